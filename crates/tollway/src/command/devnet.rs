//! `tollway devnet`: a private Lightning network, offline, to develop against.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Node, Sat};
use serde::Serialize;
use tokio::sync::watch;
use tollway_ldk::{Devnet, DevnetConfig, DevnetNode};
use tollway_purse::Purse;

use crate::command::node_run::say_unresolved;
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{DIM, KEY, STRONG, paint};
use crate::{flags, log};

/// How long payments on their way have to end, when the process is asked to.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// `tollway devnet`.
#[derive(Debug)]
pub(crate) struct DevnetUp;

#[derive(Args)]
struct Arguments {
    /// Keep the network there; without it, it goes when the command ends
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    /// How many nodes, each with a channel to the next
    #[arg(long, value_name = "N", default_value_t = 2)]
    nodes: usize,

    /// How much is in each channel; half of it starts at either end
    #[arg(long, value_name = "AMOUNT", value_parser = flags::whole_sat, default_value = "10000000 sat")]
    capacity: Sat,

    /// Where the chain answers as bitcoind does, for other nodes to join
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    rpc: SocketAddr,

    /// Where the chain answers wallets as an Esplora server does
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    esplora: SocketAddr,

    /// Where the chain answers wallets as an Electrum server does
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    electrum: SocketAddr,
}

const AFTER_HELP: &str = "\
Nothing leaves this machine and no money is real. A network in a folder is the same one the next
time, however it ended.

Examples:
  tollway devnet
  tollway devnet --folder ~/.tollway/devnet --nodes 3
  tollway get --node purse:/.../alice/purse.sock http://127.0.0.1:8402/";

#[async_trait]
impl Command for DevnetUp {
    fn name(&self) -> &'static str {
        "devnet"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Run a private Lightning network on this machine";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    fn serves(&self) -> bool {
        true
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let Arguments { folder, nodes, capacity, rpc, esplora, electrum } = read(args);
        log::start(shell, "warn");
        let mut stop = Stop::listen()
            .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
        let folder = folder.as_deref().map(flags::absolute).transpose()?;
        let config = DevnetConfig {
            folder,
            nodes,
            capacity,
            rpc,
            esplora,
            electrum,
            ..DevnetConfig::default()
        };
        let devnet = tokio::select! {
            devnet = Devnet::start(config) => devnet?,
            () = stop.asked() => return Ok(Output::nothing()),
        };
        let mut purses = Vec::with_capacity(nodes);
        for node in devnet.nodes() {
            purses.push(purse(&devnet, node).await?);
        }
        let started = Started::new(&devnet, &purses);
        shell.print(&Output::new(&started)).map_err(Failure::Stdout)?;
        let (stopping, stopped) = watch::channel(false);
        let serving: Vec<_> = purses
            .into_iter()
            .map(|purse| {
                let mut stopped = stopped.clone();
                // An error means that the sender is gone: that is a stop, too.
                let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
                tokio::spawn(purse.serve(stop, GRACE))
            })
            .collect();
        stop.asked().await;
        stopping.send_replace(true);
        for served in serving {
            if let Ok(stopped) = served.await {
                say_unresolved(shell, &stopped.unresolved);
            }
        }
        devnet.stop().await;
        Ok(Output::nothing())
    }
}

/// The socket of one node of a private network, in the node's own folder.
pub(crate) async fn purse(devnet: &Devnet, node: &DevnetNode) -> Result<Purse, Failure> {
    let socket = devnet.folder().join(node.name).join("purse.sock");
    let both = Node {
        payer: Some(Arc::clone(&node.node) as _),
        invoicer: Some(Arc::clone(&node.node) as _),
        operator: Some(Arc::clone(&node.node) as _),
    };
    Ok(Purse::bind(socket, both).await?)
}

/// What is said once everything is up.
#[derive(Serialize)]
struct Started {
    nodes: Vec<NodeLine>,
    /// With the password, which others need to join.
    bitcoind: String,
    esplora: String,
    electrum: String,
    /// The node that opens a channel to whoever is paid through it, as `lsp` of an `ldk:` URL takes it.
    lsp: Option<String>,
    folder: String,
}

#[derive(Serialize)]
struct NodeLine {
    name: &'static str,
    url: String,
    node_id: String,
    address: Option<String>,
    outbound_msat: u64,
    inbound_msat: u64,
    #[serde(skip)]
    outbound: String,
}

impl Started {
    fn new(devnet: &Devnet, purses: &[Purse]) -> Self {
        let nodes = devnet.nodes().iter().zip(purses).map(|(DevnetNode { name, node }, purse)| {
            let balance = node.balance();
            NodeLine {
                name,
                url: format!("purse:{}", purse.path().display()),
                node_id: node.node_id().to_string(),
                address: node.address().map(|address| address.to_string()),
                outbound_msat: balance.outbound.msat(),
                inbound_msat: balance.inbound.msat(),
                outbound: balance.outbound.to_string(),
            }
        });
        let provider = &devnet.provider().node;
        Self {
            nodes: nodes.collect(),
            bitcoind: devnet.rpc().url().expose().clone(),
            esplora: devnet.esplora().url(),
            electrum: devnet.electrum().url(),
            lsp: provider.address().map(|address| format!("{}@{address}", provider.node_id())),
            folder: devnet.folder().display().to_string(),
        }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for NodeLine { name, url, node_id, address, outbound, .. } in &self.nodes {
            writeln!(f, "{} can send {outbound}", paint(STRONG, name))?;
            writeln!(f, "  --node {}", paint(KEY, url))?;
            if let Some(address) = address {
                writeln!(f, "  {}", paint(DIM, format!("{node_id}@{address}")))?;
            }
        }
        writeln!(f, "bitcoind's RPC at {}", paint(KEY, &self.bitcoind))?;
        writeln!(f, "Esplora at {}", paint(KEY, &self.esplora))?;
        writeln!(f, "Electrum at {}", paint(KEY, &self.electrum))?;
        if let Some(lsp) = &self.lsp {
            writeln!(f, "channels are opened to new sellers by lsp={}", paint(KEY, lsp))?;
        }
        writeln!(f, "all of it is in {}", self.folder)?;
        write!(f, "stop with Ctrl-C")
    }
}
