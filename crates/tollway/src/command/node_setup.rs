//! `tollway node setup lnd`: from nothing to an lnd that pays and is paid, with its URL in the
//! settings.

use std::fmt;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args, ValueEnum};
use l402::Network;
use serde::Serialize;
use tollway_nodes::{LndPart, LndState, Seed};

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::node::doctor::Purpose;
use crate::node::setup_lnd::{Plan, find};
use crate::node::{SetupFailure, words};
use crate::output::Output;
use crate::shell::Shell;
use crate::terminal::{BAD, DIM, GOOD, STRONG, paint};
use crate::{flags, log};

/// `tollway node setup`.
#[derive(Debug)]
pub(crate) struct NodeSetup;

/// Which kind of node.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Lightning Labs' lnd, which follows the chain by itself.
    Lnd,
}

#[derive(Args)]
struct Arguments {
    /// Which kind of node
    kind: Kind,

    /// On which network: mainnet, testnet, signet or regtest
    #[arg(long, value_name = "NETWORK")]
    network: Network,

    /// lnd's own folder; `lnd` in Tollway's folder unless given
    #[arg(long, value_name = "FOLDER")]
    lnddir: Option<PathBuf>,

    /// lnd's program; the first one on the search path unless given
    #[arg(long, value_name = "FILE")]
    lnd: Option<PathBuf>,

    /// What it is to be used for; both unless given
    #[arg(long = "for", value_name = "PURPOSE")]
    purposes: Vec<Purpose>,

    /// The port for calls, on this machine only
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    rest_port: u16,

    /// The port of lnd's own command, on this machine only
    #[arg(long, value_name = "PORT", default_value_t = 10009)]
    rpc_port: u16,

    /// A node of the chain that serves compact block filters, `host:port`; several may be given
    #[arg(long = "chain-peer", value_name = "ADDRESS")]
    chain_peers: Vec<String>,

    /// Print the seed even where stdout is no terminal. Whoever reads it owns the money
    #[arg(long)]
    print_seed: bool,
}

const AFTER_HELP: &str = "\
The seed of a new wallet is shown once, and is written nowhere. The macaroon may do what is needed and no
more. Run it again wherever it stopped: what is done is not done again, and nothing is overwritten.

Examples:
  tollway node setup lnd --network signet
  tollway node setup lnd --network mainnet --for sell";

#[async_trait]
impl Command for NodeSetup {
    fn name(&self) -> &'static str {
        "node setup"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Set up an lnd of your own, with no Bitcoin node needed";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        log::start(shell, "warn");
        let Kind::Lnd = args.kind;
        let plan = plan(&args, shell)?;
        plan.write()?;
        shell.say(&format!("{} lnd's settings are in {}", done(), plan.conf().display()));
        let program = match args.lnd {
            Some(named) => named,
            None => find(shell.variable("PATH").as_deref()).ok_or(SetupFailure::NoLnd)?,
        };
        let started = plan.start(&program).await?;
        if let Some(pid) = started {
            shell.say(&format!("{} lnd is running, as process {pid}", done()));
        }
        let known = [LndState::NoWallet, LndState::Active, LndState::Locked];
        if plan.reaches(&known).await? == LndState::NoWallet {
            let seed = plan.setup().new_seed().await.map_err(SetupFailure::Silent)?;
            show(&seed, args.print_seed, shell)?;
            plan.create(&seed).await?;
            shell.say(&format!("{} the wallet is created", done()));
        }
        plan.reaches(&[LndState::Active]).await?;
        let root_key = plan.bake().await?;
        let stored = crate::node::remember(&plan.url(), shell)?;
        Ok(Output::new(&Report {
            node: plan.url(),
            lnddir: plan.folder.display().to_string(),
            macaroon: plan.macaroon().display().to_string(),
            root_key,
            pid: started,
            stored: stored.map(|file| file.display().to_string()),
        }))
    }
}

fn done() -> String {
    paint(GOOD, "*")
}

fn plan(args: &Arguments, shell: &Shell) -> Result<Plan, Failure> {
    let folder = match &args.lnddir {
        Some(folder) => flags::absolute(folder)?,
        None => shell.need_folder()?.join("lnd"),
    };
    if args.network == Network::Regtest && args.chain_peers.is_empty() {
        return Err(SetupFailure::NoChainPeer.into());
    }
    let wants = |purpose| args.purposes.is_empty() || args.purposes.contains(&purpose);
    let pay = wants(Purpose::Pay).then_some(LndPart::Buyer);
    let sell = wants(Purpose::Sell).then_some(LndPart::Seller);
    Ok(Plan {
        folder,
        network: args.network,
        host: "127.0.0.1".to_owned(),
        port: args.rest_port,
        grpc_port: args.rpc_port,
        chain_peers: args.chain_peers.clone(),
        parts: pay.into_iter().chain(sell).collect(),
    })
}

/// Shows a seed to whoever sits there, before there is a wallet that needs it.
fn show(seed: &Seed, anywhere: bool, shell: &Shell) -> Result<(), Failure> {
    let people = std::io::stdout().is_terminal() && !shell.is_json();
    if !people && !anywhere {
        return Err(SetupFailure::NobodyToShowTheSeed.into());
    }
    shell.print(&Output::new(&Words { seed: seed.expose() })).map_err(Failure::Stdout)?;
    if people && std::io::stdin().is_terminal() {
        shell.say("Write these words down, in this order, and press Enter when you have.");
        let mut line = String::new();
        std::io::stdin()
            .lock()
            .read_line(&mut line)
            .map_err(|source| Failure::Io { what: "waiting for Enter".to_owned(), source })?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Words<'a> {
    seed: &'a [String],
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", paint(BAD, "The seed of the wallet, which is not shown again:"))?;
        words::write(f, self.seed)?;
        write!(
            f,
            "It brings back what is on the chain. What is in channels needs lnd's own backups."
        )
    }
}

#[derive(Serialize)]
struct Report {
    node: String,
    lnddir: String,
    macaroon: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root_key: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// The settings' file, where the URL is in it now.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the node's URL is {}", paint(STRONG, &self.node))?;
        if let Some(root_key) = self.root_key {
            let end = format!("lncli --lnddir={} deletemacaroonid {root_key}", self.lnddir);
            writeln!(f, "{}", paint(DIM, format!("to end its macaroon: {end}")))?;
        }
        match &self.stored {
            Some(file) => writeln!(f, "it is the node in {file}")?,
            None => {
                writeln!(f, "another node is in the settings already; `--node` names this one")?
            }
        }
        write!(f, "next: `tollway node doctor` looks at it, `tollway node address` fills it")
    }
}
