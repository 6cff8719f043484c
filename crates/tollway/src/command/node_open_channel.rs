//! `tollway node open-channel`: money on the chain becomes money that can be paid over Lightning.

use std::fmt;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::operator::{ChannelOrder, Opening};
use l402::{NodeId, Sat};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::flags;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{STRONG, escape, paint};

/// `tollway node open-channel`.
#[derive(Debug)]
pub(crate) struct NodeOpenChannel;

#[derive(Args)]
struct Arguments {
    /// With whom: a node's key, or `key@host:port` of a node that ours is not connected to
    #[arg(value_name = "PEER", value_parser = peer)]
    peer: Peer,

    /// What goes into it; a bare number is satoshi
    #[arg(value_name = "AMOUNT", value_parser = flags::whole_sat)]
    amount: Sat,

    /// How much of it to give the peer from the start; it is theirs then, for good
    #[arg(long, value_name = "AMOUNT", value_parser = flags::whole_sat, default_value = "0")]
    push: Sat,

    /// Announce it to the whole network, so that others can pay through it
    #[arg(long)]
    public: bool,

    #[command(flatten)]
    node: NodeFlag,
}

/// Who and where.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Peer {
    id: NodeId,
    at: Option<String>,
}

const AFTER_HELP: &str = "\
Run twice, it opens two channels. It can be used when its transaction is some blocks deep;
`tollway node channels` tells.

Examples:
  tollway node open-channel 02eadbd9e7557375161df8b646776a547c5cbc2e95b3071ec81553f8ec2cea3b8c@10.0.0.2:9735 500000
  tollway node open-channel --public 02eadbd9e7557375161df8b646776a547c5cbc2e95b3071ec81553f8ec2cea3b8c '1000000 sat'";

#[async_trait]
impl Command for NodeOpenChannel {
    fn name(&self) -> &'static str {
        "node open-channel"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Open a channel with another node";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { peer, amount, push, public, node } = read(args);
        let node = node.operate("open a channel with", shell).await?;
        let order = ChannelOrder { peer: peer.id, at: peer.at, amount, push, public };
        let opening = node.open_channel(&order).await.map_err(NodeFailure::from)?;
        Ok(Output::new(&Report(opening)))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no peer; write its key of 66 hexadecimal digits, or key@host:port")]
struct NotAPeer(String);

fn peer(text: &str) -> Result<Peer, NotAPeer> {
    let (id, at) = match text.split_once('@') {
        Some((id, at)) => (id, Some(at.to_owned())),
        None => (text, None),
    };
    let id = id.parse().map_err(|_| NotAPeer(text.to_owned()))?;
    let has_port = |at: &String| {
        at.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        })
    };
    match at {
        Some(at) if !has_port(&at) => Err(NotAPeer(text.to_owned())),
        at => Ok(Peer { id, at }),
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Opening);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.transaction {
            Some(id) => write!(f, "the channel is being opened by {}", paint(STRONG, escape(id))),
            None => write!(f, "the channel is being opened; `tollway node channels` shows it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_key_and_perhaps_a_place() {
        let key = "02".repeat(33);
        let id = NodeId([2; 33]);
        assert_eq!(peer(&key).unwrap(), Peer { id, at: None });
        let at = Some("[::1]:9735".to_owned());
        assert_eq!(peer(&format!("{key}@[::1]:9735")).unwrap(), Peer { id, at });
        for bad in
            ["", "02", "@a:1", &format!("{key}@"), &format!("{key}@host"), &format!("{key}@host:0")]
        {
            assert!(peer(bad).is_err(), "{bad}");
        }
    }
}
