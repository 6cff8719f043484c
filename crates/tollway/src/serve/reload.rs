//! A configuration that changes while the gateway runs: on SIGHUP, and when its file is written. A
//! configuration with a mistake changes nothing.

use std::convert::Infallible;
use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tollway_gateway::{ConfigFile, Mistakes, ReloadError, Reloaded};

/// Editors write a file in several steps; what comes within this time is one change.
const SETTLED: std::time::Duration = std::time::Duration::from_millis(200);

/// Puts each new configuration in force, until it is dropped. Without a file there is never one.
pub(crate) async fn follow(file: Option<Arc<ConfigFile>>) -> Infallible {
    let Some(file) = file else { return pending().await };
    let mut hangup = signal(SignalKind::hangup()).ok();
    if hangup.is_none() {
        tracing::warn!("SIGHUP cannot be waited for; write the configuration's file instead");
    }
    // The watcher ends when it is dropped, with this future.
    let (_watcher, mut written) = watch(file.path());
    // The file may have been written between being read and being watched.
    let mut asked = false;
    loop {
        let look = Arc::clone(&file);
        let reloaded = tokio::task::spawn_blocking(move || match asked {
            true => look.reload().map(Some),
            false => look.reload_if_written(),
        });
        match reloaded.await.expect("reading a configuration does not panic") {
            Ok(Some(Reloaded::Same)) if asked => {
                tracing::info!("the configuration has not changed");
            }
            Ok(_) => {}
            Err(error) => tell(&error),
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

fn tell(error: &ReloadError) {
    let cause = error as &dyn std::error::Error;
    match error {
        ReloadError::Mistakes(mistakes) => {
            tracing::error!("the configuration stays as it was: {error}");
            Mistakes::iter(mistakes).for_each(|mistake| tracing::error!("{mistake}"));
        }
        _ => tracing::error!(error = cause, "the configuration stays as it was"),
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
