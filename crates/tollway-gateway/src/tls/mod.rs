//! TLS towards clients: the certificates that they are shown, where those come from, and how they
//! change while the gateway runs. A connection keeps what it began with.

mod accept;
mod acme;
mod error;
mod identity;
mod material;
mod pairs;
mod watch;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::config;
use acme::Acme;
use material::Material;

pub(crate) use accept::Accepted;
pub use error::{KeyError, TlsError};
pub(crate) use identity::{HEADERS, Identity};

/// One `[tls]`, opened. What it does in the background ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Tls {
    config: config::Tls,
    material: Arc<Material>,
    acme: Option<Arc<Acme>>,
    watched: AtomicBool,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Tls {
    /// Opens what the configuration names. Where the one before was opened from the same, it goes on.
    ///
    /// # Errors
    /// A file cannot be used. That an authority has not handed out a certificate yet is no mistake.
    pub(crate) fn open(
        config: &config::Tls,
        old: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, TlsError> {
        if let Some(old) = old.filter(|old| old.config == *config) {
            return Ok(Arc::clone(old));
        }
        let acme = config.acme.as_ref().map(Acme::open).transpose()?.map(Arc::new);
        let issued = acme.as_ref().map(|acme| acme.issued());
        let material = Arc::new(Material::open(config, issued)?);
        let config = config.clone();
        let (watched, tasks) = (AtomicBool::new(false), Mutex::default());
        Ok(Arc::new(Self { config, material, acme, watched, tasks }))
    }

    /// Begins to look at the files, and to ask the authority for what is missing. Needs a runtime.
    pub(crate) fn watch(&self) {
        if self.watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut tasks = self.tasks.lock().expect("nobody panics while holding it");
        tasks.push(tokio::spawn(watch::follow(Arc::clone(&self.material))).abort_handle());
        if let Some(acme) = &self.acme {
            tasks.push(tokio::spawn(acme::keep(Arc::clone(acme))).abort_handle());
        }
    }

    /// How long a handshake may take.
    pub(crate) fn patience(&self) -> Duration {
        self.config.handshake_timeout
    }

    /// The port to which plain HTTP is sent, where the configuration says.
    pub(crate) fn redirect_port(&self) -> Option<u16> {
        self.config.redirect_port
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().map(std::mem::take).unwrap_or_default();
        tasks.iter().for_each(AbortHandle::abort);
    }
}
