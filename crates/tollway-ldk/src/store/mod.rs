//! The node's one SQLite file, in a folder that one process at a time may hold. Everything that
//! belongs together is committed together, with fsync: see [`crate::writer`].

mod log;

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use l402::PaymentHash;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};
use rusqlite_migration::{M, Migrations};

use crate::payments::{Received, Sent};

const FILE: &str = "node.sqlite";
const LOCK: &str = "lock";

const SCHEMA: &str = "
    CREATE TABLE kv (
        space TEXT NOT NULL, subspace TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (space, subspace, key)) WITHOUT ROWID;
    CREATE TABLE monitor (name TEXT PRIMARY KEY, body BLOB NOT NULL);
    -- Ids are eight bytes, big-endian: SQLite's integers are too small for the largest.
    CREATE TABLE monitor_update (
        name TEXT NOT NULL, id BLOB NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (name, id)) WITHOUT ROWID;
    CREATE TABLE archived_monitor (name TEXT PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE sent (
        hash BLOB PRIMARY KEY, amount_msat INTEGER, preimage BLOB, fee_msat INTEGER,
        failed INTEGER) WITHOUT ROWID;
    CREATE TABLE received (
        hash BLOB PRIMARY KEY, amount_msat INTEGER NOT NULL, claimed INTEGER NOT NULL)
        WITHOUT ROWID;
    CREATE TABLE peer (id BLOB PRIMARY KEY, address TEXT NOT NULL) WITHOUT ROWID;
";

/// When each payment was begun or came, in Unix seconds; 0 for those of before. For lists, the newest
/// first.
const TIMES: &str = "
    ALTER TABLE sent ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE received ADD COLUMN at INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX sent_at ON sent (at);
    CREATE INDEX received_at ON received (at);
";

/// The folder or its file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder cannot be made or entered.
    #[error("cannot use the node's folder {}", folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "the node in {} is running already; stop it, or reach it through its purse socket",
        folder.display()
    )]
    InUse {
        /// Which folder.
        folder: PathBuf,
    },
    /// SQLite failed: disk full, damaged file.
    #[error("the node's file failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The file was written by a newer version, or its schema is damaged.
    #[error("the node's file cannot be brought to this version")]
    Schema(#[from] rusqlite_migration::Error),
}

/// A monitor as it was written, and the updates after it in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
    pub(crate) updates: Vec<Vec<u8>>,
}

/// One write of a batch.
#[derive(Debug)]
pub(crate) enum Write {
    /// A whole monitor: what was written as updates before it is superseded.
    Monitor { name: String, body: Vec<u8> },
    /// One update of a monitor.
    Update { name: String, id: u64, body: Vec<u8> },
    /// A monitor whose channel is over and settled.
    Archive { name: String },
    /// How a payment of ours stands.
    Sent { hash: PaymentHash, sent: Sent },
    /// How a payment to us stands.
    Received { hash: PaymentHash, received: Received },
}

/// The open file. The folder is locked for as long as this lives, unless it is only looked at.
#[derive(Debug)]
pub(crate) struct Store {
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    _lock: Option<File>,
}

impl Store {
    /// Opens the folder, making it (mode 0700) and the file (mode 0600) when they are not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Folder { folder: folder.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let private = |name| {
            let path = folder.join(name);
            let open = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
            open.and_then(|file| {
                file.set_permissions(Permissions::from_mode(0o600)).map(|()| (path, file))
            })
        };
        let (_, lock) = private(LOCK).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse { folder: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let (path, _) = private(FILE).map_err(failed)?;
        let mut writer = Connection::open(&path)?;
        writer.pragma_update(None, "journal_mode", "WAL")?;
        writer.pragma_update(None, "synchronous", "FULL")?;
        Migrations::new(vec![M::up(SCHEMA), M::up(TIMES)]).to_latest(&mut writer)?;
        writer.set_prepared_statement_cache_capacity(32);
        let reader = Connection::open(&path)?;
        Ok(Self { writer: Mutex::new(writer), reader: Mutex::new(reader), _lock: Some(lock) })
    }

    /// Looks into the folder of a node that may be running, without touching it. None, when no node was
    /// ever there.
    pub(crate) fn look(folder: &Path) -> Result<Option<Self>, StoreError> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(&path, flags)
        };
        Ok(Some(Self { writer: Mutex::new(open()?), reader: Mutex::new(open()?), _lock: None }))
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().expect("no panic while held")
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().expect("no panic while held")
    }

    /// Commits the manager and a batch as one moment. When this returns it is on the disk.
    pub(crate) fn commit(&self, batch: &[Write], manager: &[u8]) -> rusqlite::Result<()> {
        let mut db = self.writer();
        let tx = db.transaction()?;
        batch.iter().try_for_each(|write| apply(&tx, write))?;
        put(&tx, ["node", "", "manager"], manager)?;
        tx.commit()
    }

    pub(crate) fn get(&self, key: [&str; 3]) -> rusqlite::Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM kv WHERE space = ? AND subspace = ? AND key = ?";
        self.reader().prepare_cached(sql)?.query_row(key, |row| row.get(0)).optional()
    }

    pub(crate) fn put(&self, key: [&str; 3], value: &[u8]) -> rusqlite::Result<()> {
        put(&self.writer(), key, value)
    }

    pub(crate) fn remove(&self, key: [&str; 3]) -> rusqlite::Result<()> {
        let sql = "DELETE FROM kv WHERE space = ? AND subspace = ? AND key = ?";
        self.writer().execute(sql, key).map(drop)
    }

    pub(crate) fn list(&self, space: &str, subspace: &str) -> rusqlite::Result<Vec<String>> {
        let db = self.reader();
        let mut query = db.prepare("SELECT key FROM kv WHERE space = ? AND subspace = ?")?;
        query.query_map([space, subspace], |row| row.get(0))?.collect()
    }

    /// Every monitor that is not archived.
    pub(crate) fn monitors(&self) -> rusqlite::Result<Vec<Kept>> {
        let db = self.reader();
        let mut monitors = db.prepare("SELECT name, body FROM monitor")?;
        let mut updates =
            db.prepare("SELECT body FROM monitor_update WHERE name = ? ORDER BY id")?;
        let rows = monitors.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        rows.map(|row| {
            let (name, body) = row?;
            let after = updates.query_map([&name], |row| row.get(0))?;
            Ok(Kept { name, body, updates: after.collect::<rusqlite::Result<_>>()? })
        })
        .collect()
    }

    pub(crate) fn put_peer(&self, id: &[u8; 33], address: &str) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO peer (id, address) VALUES (?, ?)";
        self.writer().execute(sql, params![id, address]).map(drop)
    }

    pub(crate) fn peers(&self) -> rusqlite::Result<Vec<([u8; 33], String)>> {
        let db = self.reader();
        let mut query = db.prepare("SELECT id, address FROM peer")?;
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Lets the file grow by no more than a few pages, as a full disk does.
    #[cfg(test)]
    pub(crate) fn fill_up(&self) {
        let db = self.writer();
        let pages: i64 = db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        db.pragma_update(None, "max_page_count", pages + 1).unwrap();
    }
}

fn put(db: &Connection, key: [&str; 3], value: &[u8]) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO kv (space, subspace, key, value) VALUES (?, ?, ?, ?)";
    let [space, subspace, key] = key;
    db.prepare_cached(sql)?.execute(params![space, subspace, key, value]).map(drop)
}

fn apply(tx: &Transaction<'_>, write: &Write) -> rusqlite::Result<()> {
    let run =
        |sql, values: &[&dyn rusqlite::ToSql]| tx.prepare_cached(sql)?.execute(values).map(drop);
    match write {
        Write::Monitor { name, body } => {
            run("INSERT OR REPLACE INTO monitor (name, body) VALUES (?, ?)", &[name, body])?;
            run("DELETE FROM monitor_update WHERE name = ?", &[name])
        }
        Write::Update { name, id, body } => run(
            "INSERT OR REPLACE INTO monitor_update (name, id, body) VALUES (?, ?, ?)",
            &[name, &id.to_be_bytes(), body],
        ),
        Write::Archive { name } => {
            run(
                "INSERT OR REPLACE INTO archived_monitor SELECT name, body FROM monitor WHERE name = ?",
                &[name],
            )?;
            run("DELETE FROM monitor_update WHERE name = ?", &[name])?;
            run("DELETE FROM monitor WHERE name = ?", &[name])
        }
        Write::Sent { hash, sent } => log::write_sent(tx, *hash, sent),
        Write::Received { hash, received } => log::write_received(tx, *hash, *received),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_holds_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path()).unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse { .. })));
        drop(first);
        Store::open(folder.path()).unwrap();
    }

    #[test]
    fn the_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node");
        let _store = Store::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(FILE)), 0o600);
    }

    #[test]
    fn a_whole_monitor_supersedes_its_updates() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let update = |id| Write::Update { name: "m".into(), id, body: vec![id as u8] };
        let whole = |byte| Write::Monitor { name: "m".into(), body: vec![byte] };
        store.commit(&[whole(0), update(2), update(1), update(u64::MAX)], b"one").unwrap();
        let kept = |body, updates| Kept { name: "m".to_owned(), body, updates };
        let after = vec![vec![1], vec![2], vec![255]];
        assert_eq!(store.monitors().unwrap(), [kept(vec![0], after)]);
        store.commit(&[whole(9)], b"two").unwrap();
        assert_eq!(store.monitors().unwrap(), [kept(vec![9], vec![])]);
        assert_eq!(store.get(["node", "", "manager"]).unwrap().unwrap(), b"two");
    }
}
