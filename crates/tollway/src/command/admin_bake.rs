//! `tollway admin bake`: makes a credential for administrators, from a gateway's own master key.

use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::admin;
use serde::Serialize;
use tollway_gateway::admin::{Capability, bake};

use crate::admin::{AskError, hand_out, until};
use crate::command::serve::read_text;
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::serve::{self, parse};
use crate::shell::Shell;
use crate::terminal::{GOOD, escape, paint};
use crate::utc;

/// `tollway admin bake`.
#[derive(Debug)]
pub(crate) struct AdminBake;

#[derive(Args)]
struct Arguments {
    /// The gateway's configuration, which says where its master key is
    #[arg(short, long, value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,

    /// What it may do, with commas between
    #[arg(long, value_name = "CAPABILITIES", required = true, value_delimiter = ',')]
    may: Vec<String>,

    /// How long it is valid: `12h`, `30d` or `forever`
    #[arg(long, value_name = "TIME", default_value = "30d")]
    valid_for: String,

    /// Write it to this new file, which only you can read, instead of printing it
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
It is a macaroon: `tollway admin narrow` makes one out of it that may do less, and nobody can make one
that may do more. It needs no gateway that runs. `tollway admin revoke ID` ends it before its time.

Capabilities:
  services:read    see the services           services:write  change them, in force and in the file
  tokens:read      see the tokens             tokens:revoke   revoke them
  payments:read    see bills, payments, sums  health:read     see whether everything works
  config:read      see the configuration      reload          have its file read again

Examples:
  tollway admin bake --may health:read,payments:read --output watch.credential
  tollway admin bake --config /etc/tollway/gateway.toml --may services:read,services:write --valid-for 12h";

#[async_trait]
impl Command for AdminBake {
    fn name(&self) -> &'static str {
        "admin bake"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Make a credential for administrators";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let may = args.may.iter().map(|name| name.parse::<Capability>());
        let may = may.collect::<Result<Vec<_>, _>>().map_err(AskError::Capability)?;
        let expires = until(&args.valid_for, SystemTime::now())?;
        let text = read_text(&args.config)?;
        let config = parse(&args.config, &text)?;
        let keyring = serve::keyring(&config, shell)?;
        let (macaroon, credential) =
            bake(&keyring, &may, expires).map_err(|error| Failure::Io {
                what: "making a random number".to_owned(),
                source: std::io::Error::other(error),
            })?;
        hand_out(&credential, args.output.as_deref())?;
        let id = admin::id(&macaroon).expect("it was just made").to_string();
        let written = args.output.map(|path| path.display().to_string());
        Ok(Output::new(&Baked {
            credential: written.is_none().then(|| credential.expose().clone()),
            written,
            id,
            may: args.may,
            expires: expires.map(utc::date),
        }))
    }
}

/// What was made.
#[derive(Serialize)]
struct Baked {
    /// The credential itself, when it was not written to a file.
    credential: Option<String>,
    /// Where it was written.
    written: Option<String>,
    /// Its name, by which it can be revoked.
    id: String,
    may: Vec<String>,
    /// `null`: never.
    expires: Option<String>,
}

impl fmt::Display for Baked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.credential, &self.written) {
            // For `$(…)` and `>`: nothing but the credential.
            (Some(credential), _) => f.write_str(credential),
            (None, written) => {
                let until = self.expires.as_deref().unwrap_or("it is revoked");
                let (written, may) = (written.as_deref().unwrap_or_default(), self.may.join(", "));
                writeln!(f, "{} {}", paint(GOOD, "written to"), escape(written))?;
                write!(f, "may {may} until {until}; its id is {}", self.id)
            }
        }
    }
}
