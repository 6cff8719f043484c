//! The listeners beside the one that sells, each on the address that the configuration in force names:
//! the numbers, and the questions of other proxies. A new address is taken before anything changes, and
//! the old one is left when the new one is served, so that a configuration is in force whole or not at
//! all.

use std::net::{SocketAddr, TcpListener as Bound};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::config::Config;
use crate::gateway::Gateway;
use crate::upstream::OpenError;

/// What is served until this is dropped.
#[derive(Debug)]
pub struct Doors {
    gateway: Gateway,
    open: Mutex<[Option<Open>; KINDS.len()]>,
}

/// What is behind a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Metrics,
    Authorize,
}

/// In the order of their places.
const KINDS: [Kind; 2] = [Kind::Metrics, Kind::Authorize];

/// One listener. Dropped, it takes no new connections, and finishes what has begun.
#[derive(Debug)]
struct Open {
    /// What the configuration says.
    wanted: SocketAddr,
    bound: SocketAddr,
    _stop: watch::Sender<()>,
}

/// What is to be done with each listener for another configuration.
#[derive(Debug)]
pub(crate) struct Changes([Change; KINDS.len()]);

#[derive(Debug)]
enum Change {
    Stay,
    Close,
    Serve { wanted: SocketAddr, bound: SocketAddr, listener: TcpListener },
}

impl Kind {
    /// The key that names its address.
    fn key(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Authorize => "authorize",
        }
    }

    fn address(self, config: &Config) -> Option<SocketAddr> {
        match self {
            Self::Metrics => config.metrics,
            Self::Authorize => config.authorize,
        }
    }

    /// Serves in the background until nobody holds the other end of `told`.
    fn serve(self, gateway: Gateway, listener: TcpListener, mut told: watch::Receiver<()>) {
        let stop = async move { drop(told.changed().await) };
        tokio::spawn(async move {
            match self {
                Self::Metrics => gateway.serve_metrics(listener, stop).await,
                Self::Authorize => gateway.serve_questions(listener, stop).await,
            }
        });
    }
}

impl Doors {
    /// Takes the addresses that the configuration names in `metrics` and `authorize`, and serves them.
    ///
    /// # Errors
    /// [`OpenError::Listen`]; then none of them is served.
    pub fn open(gateway: &Gateway, config: &Config) -> Result<Self, OpenError> {
        let doors = Self { gateway: gateway.clone(), open: Mutex::default() };
        let changes = doors.prepare(config)?;
        doors.enforce(changes);
        Ok(doors)
    }

    /// The key and the address of each that is open.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let open = self.opened();
        let of = |(kind, open): (Kind, &Option<Open>)| Some((kind.key(), open.as_ref()?.bound));
        KINDS.into_iter().zip(open.iter()).filter_map(of).collect()
    }

    /// Takes the addresses that are new.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Changes, OpenError> {
        let _within = self.gateway.runtime().enter();
        let open = self.opened();
        let mut changes = KINDS.map(|_| Change::Stay);
        for ((kind, open), change) in KINDS.into_iter().zip(open.iter()).zip(&mut changes) {
            let before = open.as_ref().map(|open| open.wanted);
            *change = match kind.address(config) {
                address if address == before => Change::Stay,
                None => Change::Close,
                Some(wanted) => {
                    let failed =
                        |source| OpenError::Listen { key: kind.key(), address: wanted, source };
                    let listener = bind(wanted).map_err(failed)?;
                    let bound = listener.local_addr().map_err(failed)?;
                    Change::Serve { wanted, bound, listener }
                }
            };
        }
        Ok(Changes(changes))
    }

    /// Serves those, and closes what is not wanted any more.
    pub(crate) fn enforce(&self, Changes(changes): Changes) {
        let _within = self.gateway.runtime().enter();
        let mut open = self.opened();
        for ((kind, open), change) in KINDS.into_iter().zip(open.iter_mut()).zip(changes) {
            match change {
                Change::Stay => {}
                Change::Close => {
                    *open = None;
                    tracing::info!(key = kind.key(), "no longer served");
                }
                Change::Serve { wanted, bound, listener } => {
                    let stop = watch::Sender::new(());
                    kind.serve(self.gateway.clone(), listener, stop.subscribe());
                    *open = Some(Open { wanted, bound, _stop: stop });
                    tracing::info!(key = kind.key(), address = %bound, "served");
                }
            }
        }
    }

    fn opened(&self) -> MutexGuard<'_, [Option<Open>; KINDS.len()]> {
        // Nothing panics between two changes that belong together.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// To be called within a runtime.
fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let bound = Bound::bind(address)?;
    bound.set_nonblocking(true)?;
    TcpListener::from_std(bound)
}
