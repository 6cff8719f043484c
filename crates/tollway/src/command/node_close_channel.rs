//! `tollway node close-channel`: money in a channel becomes money on the chain.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::operator::{Close, Closing};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{STRONG, escape, paint};

/// `tollway node close-channel`.
#[derive(Debug)]
pub(crate) struct NodeCloseChannel;

#[derive(Args)]
struct Arguments {
    /// Which, as `tollway node channels` names it
    #[arg(value_name = "CHANNEL")]
    channel: String,

    /// Close it without the peer, who is gone: the money comes back after days, at a higher fee
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
What is in the channel goes to the node's own wallet on the chain.

Examples:
  tollway node close-channel 8a5b8c…:0
  tollway node close-channel --force 8a5b8c…:0";

#[async_trait]
impl Command for NodeCloseChannel {
    fn name(&self) -> &'static str {
        "node close-channel"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Close a channel; what is in it goes to the node's wallet";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { channel, force, node } = read(args);
        let node = node.operate("close a channel of", shell).await?;
        let how = if force { Close::Alone } else { Close::Together };
        let closing = node.close_channel(&channel, how).await.map_err(NodeFailure::from)?;
        Ok(Output::new(&Report(closing)))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Closing);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.transaction {
            Some(id) => write!(f, "the channel is being closed by {}", paint(STRONG, escape(id))),
            None => write!(f, "the channel is being closed; `tollway node channels` shows it"),
        }
    }
}
