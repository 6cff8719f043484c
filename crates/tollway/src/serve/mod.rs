//! What `tollway serve` and `tollway sell` have in common: a gateway from its start to its stop.

pub(crate) mod own;
pub(crate) mod reload;

use std::convert::Infallible;
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use l402::{Keyring, NodeUrl};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tollway_gateway::admin::Admin;
use tollway_gateway::{Config, ConfigFile, Doors, Gateway, SecretSource, Stopped};

use crate::failure::Failure;
use crate::output::Output;
use crate::serve::own::OwnNode;
use crate::shell::Shell;
use crate::signal::Stop;
use crate::terminal::{DIM, STRONG, paint};
use crate::{log, nodes};

/// A file that is taken again when it is written, and what it said.
pub(crate) struct Followed {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// What was read from it, without what flags say instead.
    pub(crate) config: Config,
}

/// The node that is paid on.
pub(crate) enum PaidOn {
    /// Whatever the URL names.
    Named(NodeUrl),
    /// The embedded one.
    Own(OwnNode),
}

/// Reads what a configuration says; `path` is for the mistakes.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Config, Failure> {
    Config::read(text).map_err(|mistakes| Failure::Config { path: path.to_owned(), mistakes })
}

/// Serves until it is asked to stop.
pub(crate) async fn run(
    config: Config,
    paid_on: PaidOn,
    followed: Option<Followed>,
    shell: &Shell,
) -> Result<Output, Failure> {
    log::start(shell, "info");
    let mut stop = Stop::listen()
        .map_err(|source| Failure::Io { what: "waiting for signals".into(), source })?;
    let keyring = keyring(&config, shell)?;
    let invoicer = match paid_on {
        PaidOn::Named(url) => nodes::open_invoicer(&url, shell).await?,
        PaidOn::Own(own) => own.open(shell).await?,
    };
    let environment = |name: &str| std::env::var(name).ok();
    let gateway = Gateway::open_with(&config, invoicer, keyring, environment).await?;
    let doors = Doors::open(&gateway, &config)?;
    let beside = doors.addresses();
    let (file, _doors) = match followed {
        Some(Followed { path, text, config }) => {
            let file = ConfigFile::new(path, text, config, gateway.clone());
            (Some(Arc::new(file.with_doors(doors))), None)
        }
        None => (None, Some(doors)),
    };
    let admin = match (&config.admin, &file) {
        (Some(address), Some(file)) => {
            Some(Admin::bind(address, gateway.clone(), Arc::clone(file)).await?)
        }
        _ => None,
    };
    let (listener, address) = listen(config.listen).await?;
    let plain = match config.tls.as_ref().and_then(|tls| tls.redirect_http) {
        Some(plain) => Some(listen(plain).await?),
        None => None,
    };
    let started = Started {
        admin: admin.as_ref().map(Admin::address),
        ..Started::new(address, plain.as_ref().map(|(_, address)| *address), &config)
    };
    shell.print(&Output::new(&started)).map_err(Failure::Stdout)?;
    beside.iter().for_each(|(key, address)| say_where(shell, key, *address));
    let stopping = watch::Sender::new(false);
    let serving = serve(&gateway, listener, plain, address.port(), &stopping);
    let reload = reload::follow(file);
    tokio::select! {
        stopped = serving => {
            let cut: usize = stopped.iter().map(|stopped| stopped.cut).sum();
            if cut > 0 {
                shell.say(&format!("{cut} connections took too long to end and were cut"));
            }
        }
        never = reload => match never {},
        never = administered(admin) => match never {},
        () = asked_twice(&mut stop, &stopping) => {
            shell.say("asked to stop twice: what was in flight is cut");
        }
    }
    Ok(Output::nothing())
}

/// Says where one of the listeners beside the one that sells is.
fn say_where(shell: &Shell, key: &str, address: SocketAddr) {
    shell.say(&match key {
        "metrics" => format!("the numbers are at http://{address}/metrics"),
        _ => format!("other proxies may ask at http://{address}/auth"),
    });
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |source| Failure::Io { what: format!("listening on {address}"), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Serves administrators until it is dropped: with the gateway and not before, since whoever looks after it
/// may want to see it stop.
async fn administered(admin: Option<Admin>) -> Infallible {
    if let Some(admin) = admin {
        admin.serve(pending()).await;
    }
    pending().await
}

/// Both doors, the second of which may be missing; until they are told to stop and have done so.
async fn serve(
    gateway: &Gateway,
    listener: TcpListener,
    plain: Option<(TcpListener, SocketAddr)>,
    port: u16,
    stopping: &watch::Sender<bool>,
) -> [Stopped; 2] {
    let told = || {
        let mut told = stopping.subscribe();
        async move { drop(told.wait_for(|told| *told).await.map(|_| ())) }
    };
    let redirecting = async {
        match plain {
            Some((plain, _)) => gateway.redirect(plain, port, told()).await,
            None => Stopped { cut: 0 },
        }
    };
    let (served, redirected) = tokio::join!(gateway.serve(listener, told()), redirecting);
    [served, redirected]
}

/// Passes the first request to stop on, and returns at the second.
async fn asked_twice(stop: &mut Stop, stopping: &watch::Sender<bool>) {
    stop.asked().await;
    stopping.send_replace(true);
    stop.asked().await;
}

/// The keys that the configuration names, or one in our own folder.
pub(crate) fn keyring(config: &Config, shell: &Shell) -> Result<Keyring, Failure> {
    // What the file says stays as it is: it is compared with what it says later.
    let mut config = config.clone();
    if config.secret.is_none() {
        let own = shell.need_folder()?.join("gateway.key");
        config.secret = Some(SecretSource::File(own));
    }
    Ok(config.keyring(|name| shell.variable(name))?)
}

/// What is said once it listens.
#[derive(Serialize)]
struct Started {
    listen: String,
    /// Where administrators are served; `null` where they are not.
    admin: Option<String>,
    /// Where plain HTTP is sent to `listen` from, if anywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect: Option<String>,
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
    fn new(address: SocketAddr, plain: Option<SocketAddr>, config: &Config) -> Self {
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
        let scheme = if config.tls.is_some() { "https" } else { "http" };
        let redirect = plain.map(|plain| format!("http://{plain}"));
        let (listen, services) = (format!("{scheme}://{address}"), services.collect());
        Self { listen, admin: None, redirect, services }
    }
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listening on {}", paint(STRONG, &self.listen))?;
        if let Some(plain) = &self.redirect {
            writeln!(f, "  from {plain}  {}", paint(DIM, "everybody is sent there"))?;
        }
        if let Some(admin) = &self.admin {
            writeln!(f, "administered at {}", paint(STRONG, admin))?;
        }
        for ServiceLine { name, path, price, .. } in &self.services {
            writeln!(f, "  {name}  {path}  {}", paint(DIM, price))?;
        }
        Ok(())
    }
}
