//! Looks at the files with certificates and keys, and has them read again when they were written. It
//! looks, rather than waiting to be told, because what a file's name leads to can change in ways that no
//! folder tells of: links that are turned around, mounted folders.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::material::Material;

/// How often.
const LOOK: Duration = Duration::from_secs(1);

/// How files look from the outside: which file is there, how long it is, and when it was written. `None`
/// for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<(u64, u64, Option<SystemTime>)>>);

impl Stamp {
    pub(super) fn of(files: &[PathBuf]) -> Self {
        let look = |path: &PathBuf| {
            let found = fs::metadata(path).ok()?;
            Some((found.ino(), found.len(), found.modified().ok()))
        };
        Self(files.iter().map(look).collect())
    }
}

/// Has what was written put in force, for as long as it is polled.
pub(super) async fn follow(material: Arc<Material>) {
    let files = material.files();
    let mut before = material.stamp();
    loop {
        tokio::time::sleep(LOOK).await;
        let looked = tokio::task::spawn_blocking({
            let files = files.clone();
            move || Stamp::of(&files)
        });
        let Ok(now) = looked.await else { return };
        // Certificate and key are written one after the other; what still changes is not read yet.
        let settled = now == std::mem::replace(&mut before, now.clone());
        if !settled || now == material.stamp() {
            continue;
        }
        match material.reload(now) {
            Ok(()) => tracing::info!("the new certificates are in force"),
            Err(error) => tracing::error!(%error, "the certificates stay as they were"),
        }
    }
}
