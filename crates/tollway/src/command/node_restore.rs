//! `tollway node restore`: an embedded node made anew from its words, in a folder where there is none.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Network, NodeId, Secret};
use serde::Serialize;
use tollway_ldk::Backup;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::fetch::flags::AskError;
use crate::node::paper::{self, Found, PaperFailure};
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{STRONG, ask, paint, somebody_sits_there};
use crate::{files, log};

/// `tollway node restore`.
#[derive(Debug)]
pub(crate) struct NodeRestore;

#[derive(Args)]
struct Arguments {
    /// What `tollway node backup --to` wrote, or nothing but the words; `-` reads stdin. Without it
    /// the words are asked for on the terminal
    #[arg(long, value_name = "FILE")]
    words_file: Option<PathBuf>,

    /// The height of the first block that may hold something of the node's, where the file does not
    /// say it; all blocks are looked at otherwise, which takes long with `chain=bitcoind:`
    #[arg(long, value_name = "HEIGHT")]
    born: Option<u32>,

    /// A node that a channel was with, `key@host:port`, beside those in the file; several may be given
    #[arg(long = "peer", value_name = "PEER", value_parser = peer)]
    peers: Vec<(NodeId, String)>,

    #[command(flatten)]
    node: NodeFlag,
}

fn peer(text: &str) -> Result<(NodeId, String), String> {
    paper::peer(text).ok_or_else(|| format!("`{text}` is no peer; write key@host:port"))
}

const AFTER_HELP: &str = "\
A folder that holds a node is never written over. Words on the command line would be seen by others, so
they come from the terminal or a file. The same words must never run in two places.

Examples:
  tollway node restore --node 'ldk:~/.tollway/node?network=signet&chain=esplora:https://mempool.space/signet/api'
  tollway node restore --words-file /media/usb/node.words --node 'ldk:~/.tollway/node?network=signet&chain=esplora:https://mempool.space/signet/api'";

#[async_trait]
impl Command for NodeRestore {
    fn name(&self) -> &'static str {
        "node restore"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Make the embedded node anew from its words";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "warn");
        let url = args.node.named("restore", shell)?;
        let (folder, network) = paper::place(&url, shell).await.map_err(NodeFailure::from)?;
        let text = match &args.words_file {
            Some(file) => Secret::new(files::read_input(file)?),
            None if somebody_sits_there() => Secret::new(typed().await?),
            None => {
                let problem = "is needed where there is no terminal to ask on";
                return Err(AskError::Secret { flag: "--words-file", problem }.into());
            }
        };
        let found = paper::read(text.expose()).map_err(NodeFailure::from)?;
        let backup = backup(found, &args, network).map_err(NodeFailure::from)?;
        let restored = backup.restore(&folder).map_err(PaperFailure::from);
        restored.map_err(NodeFailure::from)?;
        let (born, peers) = (backup.born, backup.peers.len());
        Ok(Output::new(&Report { folder: folder.display().to_string(), network, born, peers }))
    }
}

/// What was found, and what the command line adds to it.
fn backup(found: Found, args: &Arguments, asked: Network) -> Result<Backup, PaperFailure> {
    if let Some(theirs) = found.network.filter(|theirs| *theirs != asked) {
        return Err(PaperFailure::OtherNetwork { theirs, asked });
    }
    let words = found.words.expect("a paper without words is refused when it is read");
    let peers = found.peers.into_iter().chain(args.peers.iter().cloned()).collect();
    let born = args.born.or(found.born).unwrap_or(0);
    Ok(Backup { network: asked, words, born, peers })
}

/// The words as somebody types them, until there are enough or a line is empty.
async fn typed() -> Result<String, Failure> {
    let failed = |source| Failure::Io { what: "reading the words".to_owned(), source };
    let mut text =
        ask("The 24 words, on one line or several: ".to_owned()).await.map_err(failed)?;
    while text.split_whitespace().count() < 24 {
        let line = ask(format!("{} more: ", 24 - text.split_whitespace().count())).await;
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            break;
        }
        text.push_str(&line);
    }
    Ok(text)
}

#[derive(Serialize)]
struct Report {
    folder: String,
    network: Network,
    born: u32,
    peers: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, network, born, peers } = self;
        writeln!(f, "the node is in {}, on {network}", paint(STRONG, folder))?;
        writeln!(f, "run it with `tollway node run`: it looks for its money from block {born} on")?;
        match peers {
            0 => write!(
                f,
                "no peer is named, so nobody is asked to close the channels it had; to name one with \
                 `--peer`, make the node anew in another folder"
            ),
            1 => write!(f, "and asks 1 peer to close the channels it had"),
            n => write!(f, "and asks {n} peers to close the channels they had"),
        }
    }
}
