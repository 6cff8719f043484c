//! `tollway node run`: one process that owns a node, and a socket through which local programs pay
//! and are paid; with `--nwc`, applications elsewhere too, each on a budget.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::Node;
use serde::Serialize;
use tollway_purse::nwc::{Connections, Fees, NewConnection, WalletService};
use tollway_purse::{Purse, Unresolved};

use crate::command::nwc_add::{self, BOOK, Limit};
use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::{NodeFailure, NodeFlag};
use crate::output::Output;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{BAD, STRONG, paint};
use crate::{flags, log, nodes};

/// How long payments on their way have to end, when the process is asked to.
const GRACE: Duration = Duration::from_secs(10);
/// The connection that `--nwc-budget` makes.
const FIRST: &str = "default";

/// `tollway node run`.
#[derive(Debug)]
pub(crate) struct NodeRun;

#[derive(Args)]
struct Arguments {
    #[command(flatten)]
    node: NodeFlag,

    /// Where the socket is made, in a folder that only you can enter
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    #[command(flatten)]
    nwc: NwcFlags,
}

#[derive(Args)]
#[command(next_help_heading = "Nostr Wallet Connect")]
struct NwcFlags {
    /// Serve the connections that `tollway nwc list` shows
    #[arg(long)]
    nwc: bool,

    /// Make a first connection with that budget, as `10000 sat/month`; see `tollway nwc add`
    #[arg(long, value_name = "BUDGET", value_parser = nwc_add::limit, requires_all = ["nwc", "nwc_relay"])]
    nwc_budget: Option<Limit>,

    /// The relay of that connection; several may be given
    #[arg(long, value_name = "URL", requires = "nwc_budget")]
    nwc_relay: Vec<String>,

    /// Print that connection's URL instead of writing it to a file in Tollway's folder
    #[arg(long, requires = "nwc_budget")]
    nwc_print_url: bool,
}

const AFTER_HELP: &str = "\
Only programs of the same user are served. Whatever they can ask is in docs/purse-api.md; what
applications can ask by Nostr Wallet Connect is in docs/nwc.md.

Examples:
  tollway node run --node 'ldk:~/.tollway/node?network=regtest&bitcoind=http://user:password@127.0.0.1:18443'
  tollway node run --node URL --socket /run/user/1000/tollway/purse.sock
  tollway node run --node URL --nwc --nwc-budget '10000 sat/month' --nwc-relay wss://relay.example";

#[async_trait]
impl Command for NodeRun {
    fn name(&self) -> &'static str {
        "node run"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Run a node, and let your programs pay and be paid through it";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    fn serves(&self) -> bool {
        true
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "info");
        let mut stop = Stop::listen()
            .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
        let url = args.node.named("run", shell)?;
        let socket = args.socket.map_or_else(|| shell.purse_socket(), Ok)?;
        let socket = flags::absolute(&socket)?;
        let node = nodes::open(&url, shell).await?;
        let purse = Purse::bind(&socket, node.clone()).await?;
        let (service, applications) = match args.nwc.nwc {
            true => {
                let (service, applications) = connect(&args.nwc, node, shell).await?;
                (Some(service), Some(applications))
            }
            false => (None, None),
        };
        let started = Started::new(purse.path(), applications);
        shell.print(&Output::new(&started)).map_err(Failure::Stdout)?;
        let (stopping, stopped) = tokio::sync::watch::channel(false);
        let told = |mut stopped: tokio::sync::watch::Receiver<bool>| async move {
            // The sender lives until the signal has come.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let purse = purse.serve(told(stopped.clone()), GRACE);
        let service = async {
            if let Some(service) = service {
                service.run(told(stopped), GRACE).await;
            }
        };
        let signal = async {
            stop.asked().await;
            stopping.send_replace(true);
        };
        let (stopped, (), ()) = tokio::join!(purse, service, signal);
        say_unresolved(shell, &stopped.unresolved);
        Ok(Output::nothing())
    }
}

/// The wallet service over that node, with the connection that the flags ask for.
async fn connect(
    flags: &NwcFlags,
    node: Node,
    shell: &Shell,
) -> Result<(WalletService, Applications), Failure> {
    let folder = shell.need_folder()?;
    let connections = Connections::open(folder.join(BOOK)).await?;
    let known = connections.list().await?;
    let (mut file, mut url) = (None, None);
    if let Some(Limit(budget)) = flags.nwc_budget {
        match known.iter().find(|known| known.name == FIRST) {
            Some(first) if first.budget == budget && first.relays == flags.nwc_relay => {}
            Some(_) => return Err(NodeFailure::OtherConnection(FIRST).into()),
            None => {
                let place = folder.join(format!("nwc-{FIRST}.url"));
                let place = (!flags.nwc_print_url).then_some(place);
                let relays = flags.nwc_relay.clone();
                let new = NewConnection { name: FIRST.to_owned(), relays, budget };
                url = nwc_add::add(&connections, new, place.as_deref()).await?;
                file = place.map(|place| place.display().to_string());
            }
        }
    }
    let count = connections.list().await?.len();
    let url = url.map(|url| url.expose().clone());
    let applications = Applications { connections: count, file, url };
    Ok((WalletService::new(node, connections, Fees::default()).await?, applications))
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
    #[serde(skip_serializing_if = "Option::is_none")]
    nwc: Option<Applications>,
}

/// Who else is served.
#[derive(Serialize)]
struct Applications {
    connections: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl Started {
    fn new(socket: &Path, nwc: Option<Applications>) -> Self {
        Self { node: format!("purse:{}", socket.display()), nwc }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the node's URL is {}", paint(STRONG, &self.node))?;
        if let Some(Applications { connections, file, url }) = &self.nwc {
            match connections {
                0 => writeln!(f, "no Nostr Wallet Connect connection yet: `tollway nwc add`")?,
                1 => writeln!(f, "1 connection is served by Nostr Wallet Connect")?,
                n => writeln!(f, "{n} connections are served by Nostr Wallet Connect")?,
            }
            if let Some(file) = file {
                writeln!(f, "the first one's URL is in {}", paint(STRONG, file))?;
            }
            if let Some(url) = url {
                writeln!(f, "the first one's URL, which is not shown again: {url}")?;
            }
        }
        write!(f, "stop with Ctrl-C")
    }
}
