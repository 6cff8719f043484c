//! `tollway node address`: where to send bitcoin that is to go into channels.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;

/// `tollway node address`.
#[derive(Debug)]
pub(crate) struct NodeAddress;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
What is sent there is the node's to open channels with. Each call gives another address.

Examples:
  tollway node address";

#[async_trait]
impl Command for NodeAddress {
    fn name(&self) -> &'static str {
        "node address"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Give a fresh address of the node's wallet on the chain";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let node = args.node.operate("look at", shell).await?;
        let address = node.address().await.map_err(NodeFailure::from)?;
        Ok(Output::new(&Report { address }))
    }
}

#[derive(Serialize)]
struct Report {
    address: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape(&self.address))
    }
}
