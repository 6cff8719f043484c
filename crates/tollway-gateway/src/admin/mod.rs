//! A gateway's administration: HTTP and JSON on a listener of its own, which the public one knows nothing
//! of. Every request needs a credential that says what it may do; `docs/admin-api.md` describes the
//! routes, and so does the document at `/v1/openapi.json`, which is made from the same table as they are.

mod answer;
mod book;
mod configuration;
mod credential;
mod day;
mod export;
mod guard;
mod health;
mod listen;
mod openapi;
mod pages;
mod routes;
mod services;
mod tokens;

use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use l402::Invoicer;
use l402::admin::AdminKeys;

use crate::config::AdminAddress;
use crate::file::ConfigFile;
use crate::gateway::Gateway;

pub use credential::{CAPABILITIES, Capability, UnknownCapability, bake, capabilities};
use listen::Door;
pub use listen::ListenError;

/// What administrators are told about and may change.
#[derive(Debug)]
pub(crate) struct Office {
    gateway: Gateway,
    file: Arc<ConfigFile>,
    keys: AdminKeys,
    invoicer: Arc<dyn Invoicer>,
    started: SystemTime,
}

/// The door for administrators, bound and not yet serving.
#[derive(Debug)]
pub struct Admin {
    door: Door,
    office: Arc<Office>,
}

impl Admin {
    /// Takes the address. A socket is made with mode 0600, and only the user that this process acts as
    /// is let in; one that a process left which was killed is replaced, that of a living one never.
    ///
    /// # Errors
    /// See [`ListenError`]; each says what to do about it.
    pub async fn bind(
        address: &AdminAddress,
        gateway: Gateway,
        file: Arc<ConfigFile>,
    ) -> Result<Self, ListenError> {
        let door = Door::bind(address).await?;
        let till = gateway.till();
        let (keys, invoicer) = (till.known.keyring().admin_keys(), Arc::clone(&till.invoicer));
        let started = SystemTime::now();
        Ok(Self { door, office: Arc::new(Office { gateway, file, keys, invoicer, started }) })
    }

    /// Where it is: `http://127.0.0.1:8403`, or `unix:/path`.
    pub fn address(&self) -> String {
        self.door.address()
    }

    /// Serves until `stop` is ready; then requests that have begun are finished.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { door, office } = self;
        door.serve(routes::router(office), stop).await;
    }
}

impl Office {
    /// Does what waits for the disk where that keeps nobody waiting.
    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let office = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&office)).await;
        done.expect("it does not panic, and is not aborted")
    }
}
