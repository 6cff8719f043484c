//! `tollway node run`: one process that owns a node, and a socket through which local programs pay
//! and are paid.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::NodeUrl;
use serde::Serialize;
use tollway_purse::{Purse, Unresolved};

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{BAD, STRONG, paint};
use crate::{flags, log, nodes};

/// How long payments on their way have to end, when the process is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// `tollway node run`.
#[derive(Debug)]
pub(crate) struct NodeRun;

#[derive(Args)]
struct Arguments {
    /// The node to serve, for example `ldk:/var/lib/tollway/node?network=regtest&bitcoind=...`
    #[arg(long, value_name = "URL", env = "TOLLWAY_NODE", hide_env_values = true)]
    node: Option<String>,

    /// Where the socket is made, in a folder that only you can enter
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Only programs of the same user are served. Whatever they can ask is in docs/purse-api.md.

Examples:
  tollway node run --node 'ldk:~/.tollway/node?network=regtest&bitcoind=http://user:password@127.0.0.1:18443'
  tollway node run --node URL --socket /run/user/1000/tollway/purse.sock";

#[async_trait]
impl Command for NodeRun {
    fn name(&self) -> &'static str {
        "node run"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Run a node, and let your programs pay and be paid through it";
        Arguments::augment_args(command.about(about).after_help(AFTER_HELP))
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "info");
        let mut stop = Stop::listen()
            .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
        let url = args.node.map(NodeUrl::new).ok_or(Failure::NoNode("run"))?;
        let socket = args.socket.map_or_else(|| shell.purse_socket(), Ok)?;
        let socket = flags::absolute(&socket)?;
        let node = nodes::open(&url, shell).await?;
        let purse = Purse::bind(&socket, node).await?;
        shell.print(&Output::new(&Started::new(&purse))).map_err(Failure::Stdout)?;
        let stopped = purse.serve(async move { stop.asked().await }, GRACE).await;
        say_unresolved(shell, &stopped.unresolved);
        Ok(Output::nothing())
    }
}

/// Tells what a purse that stopped leaves open.
pub(crate) fn say_unresolved(shell: &Shell, unresolved: &[Unresolved]) {
    for payment in unresolved {
        let (hash, amount) = (payment.hash, payment.amount);
        let note = paint(BAD, "may still be in flight:");
        shell.say(&format!("{note} payment {hash}, {amount} with fees; the node knows its end"));
    }
}

/// What is said once the socket is there.
#[derive(Serialize)]
struct Started {
    node: String,
}

impl Started {
    fn new(purse: &Purse) -> Self {
        Self { node: format!("purse:{}", purse.path().display()) }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the node's URL is {}", paint(STRONG, &self.node))?;
        write!(f, "stop with Ctrl-C")
    }
}
