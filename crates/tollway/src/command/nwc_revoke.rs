//! `tollway nwc revoke`: an application may use the node no more.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use serde::Serialize;
use tollway_purse::nwc::Connections;

use crate::command::{Command, nwc_add::BOOK, read};
use crate::failure::Failure;
use crate::log;
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;

/// `tollway nwc revoke`.
#[derive(Debug)]
pub(crate) struct NwcRevoke;

#[derive(Args)]
struct Arguments {
    /// Which, as `tollway nwc list` names it
    name: String,
}

const AFTER_HELP: &str = "\
It begins no payment from now on, also where `tollway node run --nwc` is running. What it has under way
ends as it would have.

Examples:
  tollway nwc revoke phone";

#[async_trait]
impl Command for NwcRevoke {
    fn name(&self) -> &'static str {
        "nwc revoke"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "End a connection: its application may use the node no more";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { name } = read(args);
        log::start(shell, "warn");
        let connections = Connections::open(shell.need_folder()?.join(BOOK)).await?;
        connections.revoke(&name).await?;
        Ok(Output::new(&Revoked { revoked: name }))
    }
}

#[derive(Serialize)]
struct Revoked {
    revoked: String,
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is revoked", escape(&self.revoked))
    }
}
