//! Opening the file: nobody else's eyes, one schema, every write through to the disk.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::record::MIGRATIONS;
use crate::wallet::{WalletError, turn};

/// How long to wait for another process's write to end. Each is one row.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn open(path: &Path, locks: &Path) -> Result<Connection, WalletError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| WalletError::Storage {
        path: path.to_owned(),
        doing: "opened",
        source,
    };
    make_private(path, locks).map_err(|error| failed(error.into()))?;
    refuse_exposed(path)?;
    // Two that make the same table at the same time would be one too many.
    let _alone = turn::lock_all(locks).map_err(|error| failed(error.into()))?;
    let connect = || -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        let mut database = Connection::open(path)?;
        database.busy_timeout(PATIENCE)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        // What is written over is gone: a secret that is sealed later is not left in a free page.
        database.pragma_update(None, "secure_delete", "ON")?;
        let migrations = MIGRATIONS.iter().map(|sql| M::up(sql)).collect();
        Migrations::new(migrations).to_latest(&mut database)?;
        Ok(database)
    };
    connect().map_err(failed)
}

/// Makes file and folders with nobody else's rights before SQLite sees them; its own files beside
/// the database take over the database's mode.
fn make_private(path: &Path, locks: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    folder.map_or(Ok(()), |folder| builder.create(folder))?;
    builder.create(locks)?;
    options.open(path).map(drop)
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), WalletError> {
    use std::os::unix::fs::PermissionsExt;

    let storage = |source: io::Error| WalletError::Storage {
        path: path.to_owned(),
        doing: "opened",
        source: source.into(),
    };
    let mode = fs::metadata(path).map_err(storage)?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(WalletError::Exposed { path: path.to_owned(), mode })
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), WalletError> {
    Ok(())
}
