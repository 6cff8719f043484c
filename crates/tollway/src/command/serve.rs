//! `tollway serve`: the gateway.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use clap::{ArgMatches, Args};
use l402::{Keyring, NodeUrl};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tollway_gateway::{Config, Gateway, SecretSource};

use crate::command::{Command, read};
use crate::failure::Failure;
use crate::output::Output;
use crate::serve::reload;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{DIM, GOOD, STRONG, paint};
use crate::{log, nodes};

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
        Arguments::augment_args(command.about(about).after_help(AFTER_HELP))
    }

    async fn run(&self, args: &ArgMatches, shell: &Shell) -> Result<Output, Failure> {
        let args: Arguments = read(args);
        let text = read_text(&args.config)?;
        let mut config = parse(&args.config, &text)?;
        if args.check {
            return Ok(Output::new(&Checked { services: config.services.len() }));
        }
        log::start(shell, "info");
        let mut stop = Stop::listen()
            .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
        config.listen = args.listen.unwrap_or(config.listen);
        let named = args.node.map(NodeUrl::new).or_else(|| config.node.clone());
        let url = named.ok_or(Failure::NoNode("be paid on"))?;
        let keyring = keyring(&mut config, shell)?;
        let invoicer = nodes::open_invoicer(&url, shell).await?;
        let environment = |name: &str| std::env::var(name).ok();
        let gateway = Gateway::open_with(&config, invoicer, keyring, environment).await?;
        let listening =
            |source| Failure::Io { what: format!("listening on {}", config.listen), source };
        let listener = TcpListener::bind(config.listen).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        shell.print(&Output::new(&Started::new(address, &config))).map_err(Failure::Stdout)?;
        let stopping = Notify::new();
        let reload = reload::follow(args.config, text, config, gateway.clone());
        tokio::select! {
            stopped = gateway.serve(listener, stopping.notified()) => {
                if stopped.cut > 0 {
                    let cut = stopped.cut;
                    shell.say(&format!("{cut} connections took too long to end and were cut"));
                }
            }
            never = reload => match never {},
            () = asked_twice(&mut stop, &stopping) => {
                shell.say("asked to stop twice: what was in flight is cut");
            }
        }
        Ok(Output::nothing())
    }
}

/// Passes the first request to stop on, and returns at the second.
async fn asked_twice(stop: &mut Stop, stopping: &Notify) {
    stop.asked().await;
    stopping.notify_one();
    stop.asked().await;
}

/// Reads a configuration file, and nothing into it.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::Io {
        what: format!("reading the configuration {}", path.display()),
        source,
    })
}

/// Reads what a configuration file says.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Config, Failure> {
    Config::read(text).map_err(|mistakes| Failure::Config { path: path.to_owned(), mistakes })
}

/// The keys that the configuration names, or one in our own folder.
fn keyring(config: &mut Config, shell: &Shell) -> Result<Keyring, Failure> {
    if config.secret.is_none() {
        let own = shell.need_folder()?.join("gateway.key");
        config.secret = Some(SecretSource::File(own));
    }
    Ok(config.keyring(|name| shell.variable(name))?)
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

/// What is said once it listens.
#[derive(Serialize)]
struct Started {
    listen: String,
    services: Vec<ServiceLine>,
}

#[derive(Serialize)]
struct ServiceLine {
    name: String,
    path: String,
    /// In millisatoshi; `null` where nothing is asked for, and where the price is not fixed.
    price_msat: Option<u64>,
    #[serde(skip)]
    price: String,
}

impl Started {
    fn new(address: SocketAddr, config: &Config) -> Self {
        let services = config.services.iter().map(|service| {
            let price = service.tariff.price();
            let paths: Vec<String> = service.paths.iter().map(ToString::to_string).collect();
            ServiceLine {
                name: service.tariff.name().to_owned(),
                path: paths.join(", "),
                price_msat: price.map(|price| price.msat()),
                price: match price {
                    Some(price) => price.to_string(),
                    None if service.tariff.asks() => "price on request".to_owned(),
                    None => "auth off".to_owned(),
                },
            }
        });
        Self { listen: format!("http://{address}"), services: services.collect() }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listening on {}", paint(STRONG, &self.listen))?;
        for ServiceLine { name, path, price, .. } in &self.services {
            writeln!(f, "  {name}  {path}  {}", paint(DIM, price))?;
        }
        Ok(())
    }
}
