//! The listeners of a gateway beside the one that sells: each has an address of its own, and ends when
//! the gateway does.

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tollway_gateway::{Config, Gateway};

use crate::failure::Failure;
use crate::shell::Shell;

/// What is bound and not served yet.
pub(crate) struct Doors {
    metrics: Option<TcpListener>,
    authorize: Option<TcpListener>,
}

/// What is served until this is dropped.
pub(crate) struct Open {
    _stop: watch::Sender<()>,
    _tasks: JoinSet<()>,
}

impl Doors {
    /// Binds what the configuration names. Nobody is served before all of it could be had.
    pub(crate) async fn bind(config: &Config) -> Result<Self, Failure> {
        let (metrics, authorize) = (bind(config.metrics).await?, bind(config.authorize).await?);
        Ok(Self { metrics, authorize })
    }

    /// Begins to serve them, and says where.
    pub(crate) fn open(self, gateway: &Gateway, shell: &Shell) -> Open {
        let (stop, mut tasks) = (watch::Sender::new(()), JoinSet::new());
        if let Some(listener) = self.metrics {
            say(shell, "the numbers are at", &listener, "/metrics");
            let (gateway, mut stopped) = (gateway.clone(), stop.subscribe());
            tasks.spawn(async move {
                gateway.serve_metrics(listener, async { drop(stopped.changed().await) }).await;
            });
        }
        if let Some(listener) = self.authorize {
            say(shell, "other proxies may ask at", &listener, "/auth");
            let (gateway, mut stopped) = (gateway.clone(), stop.subscribe());
            tasks.spawn(async move {
                gateway.serve_questions(listener, async { drop(stopped.changed().await) }).await;
            });
        }
        Open { _stop: stop, _tasks: tasks }
    }
}

async fn bind(address: Option<SocketAddr>) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address else { return Ok(None) };
    let what = format!("listening on {address}");
    let bound = TcpListener::bind(address).await;
    bound.map(Some).map_err(|source| Failure::Io { what, source })
}

fn say(shell: &Shell, what: &str, listener: &TcpListener, path: &str) {
    if let Ok(address) = listener.local_addr() {
        shell.say(&format!("{what} http://{address}{path}"));
    }
}
