//! `tollway node backup`: the embedded node's secret as words, and what else its owner needs to have its
//! money back.

use std::fmt;
use std::io::IsTerminal as _;
use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Network;
use serde::Serialize;
use tollway_ldk::Backup;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::paper::{self, PaperFailure, WORTH};
use crate::node::{NodeFailure, NodeFlag, words};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{BAD, STRONG, escape, paint};
use crate::{flags, log};

/// `tollway node backup`.
#[derive(Debug)]
pub(crate) struct NodeBackup;

#[derive(Args)]
struct Arguments {
    /// Write it to a file that is not there yet, which only you can read, instead of the terminal
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,

    #[command(flatten)]
    node: NodeFlag,
}

const AFTER_HELP: &str = "\
The node may be running. The words bring back what is on the chain, and its part of each channel that the
peer closes; they do not bring back payments under way. Never copy the node's folder instead: a copy is
out of date at the next payment, and running it can lose everything.

Examples:
  tollway node backup --node 'ldk:~/.tollway/node?network=signet&chain=esplora:https://mempool.space/signet/api'
  tollway node backup --to /media/usb/node.words";

#[async_trait]
impl Command for NodeBackup {
    fn name(&self) -> &'static str {
        "node backup"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Show the words that bring the embedded node's money back";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { to, node } = read(args);
        log::start(shell, "warn");
        let url = node.named("back up", shell)?;
        let to = to.map(|file| flags::absolute(&file)).transpose()?;
        let kept = keep(&url, to, shell).await.map_err(NodeFailure::from)?;
        Ok(kept)
    }
}

async fn keep(
    url: &l402::NodeUrl,
    to: Option<PathBuf>,
    shell: &Shell,
) -> Result<Output, PaperFailure> {
    let (folder, _) = paper::place(url, shell).await?;
    if to.is_none() && (shell.is_json() || !std::io::stdout().is_terminal()) {
        return Err(PaperFailure::Nobody);
    }
    let backup = Backup::of(&folder)?;
    let Some(file) = to else {
        return Ok(Output::new(&Shown(&backup)));
    };
    paper::write(&backup, &file)?;
    let Backup { network, born, peers, .. } = backup;
    let peers = peers.len();
    Ok(Output::new(&Written { file: file.display().to_string(), network, born, peers }))
}

/// All of it, for the one who sits there.
struct Shown<'a>(&'a Backup);

impl Serialize for Shown<'_> {
    /// Words go to people, and to files that only one of them can read.
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_none()
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Backup { network, words: secret, born, peers } = self.0;
        let all: Vec<&str> = secret.expose().split(' ').collect();
        writeln!(f, "{}", paint(BAD, "The words of the node:"))?;
        words::write(f, &all)?;
        writeln!(f, "network {}, born at block {}", paint(STRONG, network), paint(STRONG, born))?;
        for (id, address) in peers {
            writeln!(f, "peer {id}@{}", escape(address))?;
        }
        write!(f, "{WORTH}")
    }
}

#[derive(Serialize)]
struct Written {
    file: String,
    network: Network,
    born: u32,
    peers: usize,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the backup is in {}, with {} peers", paint(STRONG, &self.file), self.peers)?;
        write!(f, "{WORTH}")
    }
}
