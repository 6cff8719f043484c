//! `tollway admin narrow`: makes a credential for administrators that may do less than another. Nobody is asked.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Secret, Token, admin};
use serde::Serialize;
use tollway_gateway::admin::Capability;

use crate::admin::{AskError, hand_out, read_credential, until};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{GOOD, escape, paint};

/// `tollway admin narrow`.
#[derive(Debug)]
pub(crate) struct AdminNarrow;

#[derive(Args)]
struct Arguments {
    /// Where the credential is: `file:/path` or `env:NAME`
    #[arg(long, value_name = "SOURCE", env = "TOLLWAY_ADMIN_CREDENTIAL", hide_env_values = true)]
    credential: String,

    /// All that it may do from now on, with commas between
    #[arg(long, value_name = "CAPABILITIES", value_delimiter = ',')]
    may: Vec<String>,

    /// How long it is valid from now on: `12h` or `30d`
    #[arg(long, value_name = "TIME")]
    valid_for: Option<String>,

    /// What else must hold, `condition=value`: `client_ip=127.0.0.1`, `method=GET`, `path_prefix=/v1/payments`
    caveat: Vec<String>,

    /// Write it to this new file, which only you can read, instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
The credential that it is made from stays as it is. Both have the same id, and are revoked together.

Examples:
  tollway admin narrow --credential file:all.credential --may health:read --output watch.credential
  tollway admin narrow --credential env:ADMIN --valid-for 1h method=GET";

#[async_trait]
impl Command for AdminNarrow {
    fn name(&self) -> &'static str {
        "admin narrow"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Make a credential out of another that may do less";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let credential = read_credential(&args.credential, shell)?;
        let macaroons = Token::new(credential.expose())?.macaroons();
        let mut macaroon = match macaroons.as_deref() {
            Some([macaroon]) => macaroon.clone(),
            _ => return Err(Failure::NotAMacaroon),
        };
        let id = admin::id(&macaroon).ok_or(AskError::NotACredential(args.credential))?;
        let mut added = Vec::new();
        if !args.may.is_empty() {
            for name in &args.may {
                name.parse::<Capability>().map_err(AskError::Capability)?;
            }
            added.push(format!("admin_capabilities={}", args.may.join(",")));
        }
        if let Some(valid_for) = &args.valid_for
            && let Some(end) = until(valid_for, SystemTime::now())?
        {
            let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            added.push(format!("admin_valid_until={}", since.as_secs()));
        }
        added.extend(args.caveat);
        if added.is_empty() {
            return Err(AskError::NothingToNarrow.into());
        }
        for caveat in &added {
            macaroon.narrow(caveat)?;
        }
        let narrowed = Secret::new(macaroon.to_base64());
        hand_out(&narrowed, args.output.as_deref())?;
        let written = args.output.map(|path| path.display().to_string());
        Ok(Output::new(&Narrowed {
            credential: written.is_none().then(|| narrowed.expose().clone()),
            written,
            id: id.to_string(),
            added,
        }))
    }
}

/// What was made.
#[derive(Serialize)]
struct Narrowed {
    /// The credential itself, when it was not written to a file.
    credential: Option<String>,
    /// Where it was written.
    written: Option<String>,
    /// Its name, which is that of the one it was made from.
    id: String,
    /// The caveats that it has more.
    added: Vec<String>,
}

impl fmt::Display for Narrowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.credential, &self.written) {
            (Some(credential), _) => f.write_str(credential),
            (None, written) => {
                let written = escape(written.as_deref().unwrap_or_default());
                let added = escape(&self.added.join(", "));
                write!(f, "{} {written}, with {added}", paint(GOOD, "written to"))
            }
        }
    }
}
