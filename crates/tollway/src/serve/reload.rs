//! A configuration that changes while the gateway runs: on SIGHUP, and when its file is written. A
//! configuration with a mistake changes nothing.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::path::Path;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tollway_gateway::{Config, Gateway};

use crate::command::serve::read_text;
use crate::failure::Failure;
use crate::serve::{Followed, parse};

/// Editors write a file in several steps; what comes within this time is one change.
const SETTLED: std::time::Duration = std::time::Duration::from_millis(200);

/// Puts each new configuration in force, until it is dropped. Without a file there is never one.
pub(crate) async fn follow(
    followed: Option<Followed>,
    mut config: Config,
    gateway: Gateway,
) -> Infallible {
    let Some(Followed { path, text: mut seen }) = followed else { return pending().await };
    let mut hangup = signal(SignalKind::hangup()).ok();
    if hangup.is_none() {
        tracing::warn!("SIGHUP cannot be waited for; write the configuration's file instead");
    }
    // The watcher ends when it is dropped, with this future.
    let (_watcher, mut written) = watch(&path);
    // The file may have been written between being read and being watched.
    let mut asked = false;
    loop {
        match reload(&path, &mut seen, &config, &gateway) {
            Ok(Some(new)) => config = new,
            Ok(None) if asked => tracing::info!("the configuration has not changed"),
            Ok(None) => {}
            Err(failure) => {
                // One that was read and could not be put in force is counted there.
                if let Failure::Config { .. } | Failure::Io { .. } = failure {
                    gateway.reload_failed();
                }
                tell(&failure);
            }
        }
        asked = tokio::select! {
            () = hung_up(&mut hangup) => true,
            Some(()) = written.recv() => false,
        };
        if !asked {
            tokio::time::sleep(SETTLED).await;
            while written.try_recv().is_ok() {}
        }
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => pending().await,
    }
}

/// Reads the file again. `None` when it says what it said.
fn reload(
    path: &Path,
    seen: &mut String,
    old: &Config,
    gateway: &Gateway,
) -> Result<Option<Config>, Failure> {
    let text = read_text(path)?;
    if text == *seen {
        return Ok(None);
    }
    // A mistake is told once, not at each look.
    seen.clone_from(&text);
    let new = parse(path, &text)?;
    gateway.replace(&new)?;
    tracing::info!(services = new.services.len(), "the new configuration is in force");
    for (key, changed) in [
        ("listen", new.listen != old.listen),
        ("redirect_http", door(&new) != door(old)),
        ("node", new.node != old.node),
        ("secret", new.secret != old.secret || new.old_secrets != old.old_secrets),
        ("metrics", new.metrics != old.metrics),
        ("authorize", new.authorize != old.authorize),
        ("a timeout", new.patience != old.patience),
    ] {
        if changed {
            tracing::warn!("{key} has changed; that takes effect at the next start");
        }
    }
    Ok(Some(new))
}

/// Where plain HTTP is sent away from.
fn door(config: &Config) -> Option<SocketAddr> {
    config.tls.as_ref().and_then(|tls| tls.redirect_http)
}

fn tell(failure: &Failure) {
    tracing::error!("the configuration stays as it was: {failure}");
    if let Failure::Config { mistakes, .. } = failure {
        mistakes.iter().for_each(|mistake| tracing::error!("{mistake}"));
    }
}

/// Says when the file is written or replaced. It is its folder that is watched: an editor that
/// writes a new file and renames it would be missed otherwise.
fn watch(path: &Path) -> (Option<RecommendedWatcher>, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel(16);
    let name = path.file_name().map(ToOwned::to_owned);
    let handler = move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let ours = event.paths.iter().any(|path| path.file_name() == name.as_deref());
        if ours && !matches!(event.kind, EventKind::Access(_)) {
            // A full channel has news enough.
            let _ = sender.try_send(());
        }
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let watched = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(folder.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    match watched {
        Ok(watcher) => (Some(watcher), receiver),
        Err(error) => {
            tracing::warn!(%error, "the configuration's file is not watched; send SIGHUP instead");
            (None, receiver)
        }
    }
}
