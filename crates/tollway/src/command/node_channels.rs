//! `tollway node channels`: a node's channels.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::operator::{Channel, ChannelState};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag, table};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::escape;

/// `tollway node channels`.
#[derive(Debug)]
pub(crate) struct NodeChannels;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
Examples:
  tollway node channels
  tollway node channels --format json";

#[async_trait]
impl Command for NodeChannels {
    fn name(&self) -> &'static str {
        "node channels"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "List a node's channels, and what is on each side";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let node = args.node.operate("look at", shell).await?;
        let channels = node.channels().await.map_err(NodeFailure::from)?;
        Ok(Output::new(&Report { channels }))
    }
}

#[derive(Serialize)]
struct Report {
    channels: Vec<Channel>,
}

/// A channel's state in a word.
pub(crate) fn word(state: ChannelState) -> &'static str {
    match state {
        ChannelState::Opening => "opening",
        ChannelState::Usable => "usable",
        ChannelState::Offline => "offline",
        ChannelState::Closing => "closing",
        _ => "unknown",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.channels.is_empty() {
            return write!(f, "no channels; `tollway node open-channel` opens one");
        }
        let heading = ["STATE", "CAN PAY", "CAN BE PAID", "CAPACITY", "KIND", "PEER", "CHANNEL"];
        let mut rows = vec![heading.map(str::to_owned)];
        for channel in &self.channels {
            rows.push([
                word(channel.state).to_owned(),
                channel.outbound.to_string(),
                channel.inbound.to_string(),
                channel.capacity.to_string(),
                if channel.public { "public" } else { "private" }.to_owned(),
                channel.peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string()),
                escape(&channel.id),
            ]);
        }
        table::write(f, &rows, &[1, 2, 3])
    }
}
