//! `tollway sell`: a price on a server, with no configuration file.

use std::net::SocketAddr;
use std::path::PathBuf;

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Msat, NodeUrl};
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::flags;
use crate::output::Output;
use crate::serve::own::OwnNode;
use crate::serve::{self, PaidOn};
use crate::shell::Shell;

/// `tollway sell`.
#[derive(Debug)]
pub(crate) struct Sell;

#[derive(Args)]
struct Arguments {
    /// The server to sell, for example http://127.0.0.1:3000
    upstream: String,

    /// What a token for it costs; a bare number is satoshi
    #[arg(long, value_name = "AMOUNT", value_parser = flags::amount)]
    price: Msat,

    /// A path that costs nothing, as `/health` or `/docs/*`; several may be given
    #[arg(long, value_name = "PATH")]
    free: Vec<String>,

    /// For how long a token opens it, as `30s`, `24h` or `7d`; for ever unless given
    #[arg(long, value_name = "TIME")]
    valid_for: Option<String>,

    /// What it is called, in invoices and tokens
    #[arg(long, value_name = "NAME", default_value = "api")]
    name: String,

    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8402")]
    listen: SocketAddr,

    /// The node to be paid on; the one in this process unless given
    #[arg(long, value_name = "URL", env = "TOLLWAY_NODE", hide_env_values = true)]
    node: Option<String>,

    #[command(flatten)]
    own: OwnNode,
}

const AFTER_HELP: &str = "\
Without `--node` it is paid on a node that runs in this process and keeps its keys and channels in
~/.tollway/node/<network>; docs/embedded-node.md says how such a node gets its first channel.

For more than one service, and for all there is to say about one, write a configuration file and use
`tollway serve`.

Examples:
  tollway sell http://127.0.0.1:3000 --price 10sat --lsp 02ab...@lsp.example.com:9735
  tollway sell http://127.0.0.1:3000 --price 10sat --node purse:/run/user/1000/tollway/purse.sock
  tollway sell http://127.0.0.1:3000 --price 10sat --free /health --valid-for 24h";

#[async_trait]
impl Command for Sell {
    fn name(&self) -> &'static str {
        "sell"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Sell: put a price on a server, with no configuration file";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    fn serves(&self) -> bool {
        true
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let text = File::new(&args).text();
        let mut config = serve::parse(&PathBuf::from("the command line"), &text)?;
        config.listen = args.listen;
        let own = PaidOn::Own(args.own);
        let paid_on = args.node.map_or(own, |url| PaidOn::Named(NodeUrl::new(url)));
        serve::run(config, paid_on, None, shell).await
    }
}

/// The configuration file that says the same, so that what is refused there is refused here.
#[derive(Serialize)]
struct File<'a> {
    service: [Service<'a>; 1],
}

#[derive(Serialize)]
struct Service<'a> {
    name: &'a str,
    upstream: &'a str,
    price: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    free: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_for: Option<&'a str>,
}

impl<'a> File<'a> {
    fn new(args: &'a Arguments) -> Self {
        let service = Service {
            name: &args.name,
            upstream: &args.upstream,
            price: format!("{} msat", args.price.msat()),
            free: &args.free,
            valid_for: args.valid_for.as_deref(),
        };
        Self { service: [service] }
    }

    fn text(&self) -> String {
        toml::to_string(self).expect("texts and lists of texts are TOML")
    }
}
