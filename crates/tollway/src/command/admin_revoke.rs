//! `tollway admin revoke`: revokes a token, for ever: at this gateway at once, at others with the same store within seconds.

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use http::Method;

use crate::admin::{Door, Report, path, text};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{GOOD, KEY, paint};

/// `tollway admin revoke`.
#[derive(Debug)]
pub(crate) struct AdminRevoke;

#[derive(Args)]
struct Arguments {
    /// Its id: `tollway admin tokens` lists them, `tollway token inspect` shows that of a token
    id: String,

    #[command(flatten)]
    door: Door,
}

const AFTER_HELP: &str = "\
It cannot be taken back. A token that the gateway never wrote down can be revoked as well.

Examples:
  tollway admin revoke 8e0f4d…
  tollway admin tokens 8e0f4d…                            see what became of it";

#[async_trait]
impl Command for AdminRevoke {
    fn name(&self) -> &'static str {
        "admin revoke"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Revoke a token, or an administrator's credential";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let client = args.door.open(shell)?;
        let path = format!("{}/revoke", path("/v1/tokens", &args.id));
        let json = client.send(Method::POST, &path, None, None).await?.json;
        let text = format!("{} {}", paint(GOOD, "revoked"), paint(KEY, text(&json, "/id")));
        Ok(Output::new(&Report { text, json }))
    }
}
