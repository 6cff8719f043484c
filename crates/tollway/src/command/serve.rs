//! `tollway serve`: the gateway.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::NodeUrl;
use serde::Serialize;

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::serve::{self, Followed, PaidOn, parse};
use crate::shell::Shell;
use crate::terminal::{GOOD, paint};

/// `tollway serve`.
#[derive(Debug)]
pub(crate) struct Serve;

#[derive(Args)]
struct Arguments {
    /// The configuration; gateway.example.toml shows all there is
    #[arg(short, long, value_name = "FILE", default_value = "gateway.toml")]
    config: PathBuf,

    /// Say what is wrong with the configuration, and stop
    #[arg(long)]
    check: bool,

    /// Listen there instead
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// Be paid on that node instead
    #[arg(long, value_name = "URL", env = "TOLLWAY_NODE", hide_env_values = true)]
    node: Option<String>,
}

const AFTER_HELP: &str = "\
SIGINT or SIGTERM stop it: what is in flight is finished first, and a second one ends it at once.
When the configuration is written, or on SIGHUP, it is read again; one with a mistake changes nothing.

Examples:
  tollway serve --config gateway.toml
  tollway serve --config gateway.toml --check
  tollway serve --node purse:/run/user/1000/tollway/purse.sock --listen 127.0.0.1:0";

#[async_trait]
impl Command for Serve {
    fn name(&self) -> &'static str {
        "serve"
    }

    fn define(&self, command: clap::Command) -> clap::Command {
        let about = "Sell: a reverse proxy that puts a price on an HTTP or gRPC service";
        Arguments::augment_args(command).about(about).after_help(AFTER_HELP)
    }

    fn serves(&self) -> bool {
        true
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let text = read_text(&args.config)?;
        let mut config = parse(&args.config, &text)?;
        if args.check {
            return Ok(Output::new(&Checked { services: config.services.len() }));
        }
        let followed = Followed { path: args.config, text, config: config.clone() };
        config.listen = args.listen.unwrap_or(config.listen);
        let node = args.node.map(NodeUrl::new).or_else(|| config.node.clone());
        let paid_on = PaidOn::Named(node.ok_or(Failure::NoNode("be paid on"))?);
        serve::run(config, paid_on, Some(followed), shell).await
    }
}

/// Reads a configuration file, and nothing into it.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::Io {
        what: format!("reading the configuration {}", path.display()),
        source,
    })
}

/// What `--check` says.
#[derive(Serialize)]
struct Checked {
    services: usize,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.services == 1 { "service" } else { "services" };
        write!(f, "{} {} {noun}", paint(GOOD, "the configuration is good:"), self.services)
    }
}
