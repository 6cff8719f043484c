//! The service's book, in one SQLite file that only its owner can read: here the connections, in
//! `ledger.rs` every payment and invoice of each. What is written is on the disk before it counts as
//! done.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use l402::{Msat, Secret};
use nostr::key::{Keys, PublicKey, SecretKey};
use rusqlite::{Row, params};
use rusqlite_migration::{M, Migrations};

use super::budget::{Budget, Period};
use super::ledger::used;

const SCHEMA: &str = include_str!("schema.sql");
/// How long to wait for another process's write to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// The book could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BookError {
    /// The disk or the file failed.
    #[error("{} could not be {doing}", path.display())]
    Storage {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Others can read the file, and keys are in it.
    #[error("others can read {}; run `chmod 600 {}`", path.display(), path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
    },
    /// There is a connection of that name.
    #[error("there is a connection `{name}` already; revoke it first, or choose another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is none.
    #[error("there is no connection `{name}`; `tollway nwc list` shows them")]
    NoSuchConnection {
        /// The name that was given.
        name: String,
    },
    /// Not an address of a relay.
    #[error("`{relay}` is no relay; write wss://host, or ws:// for one on this machine")]
    NotARelay {
        /// As it was given.
        relay: String,
    },
}

/// All connections to a wallet, for commands that look at and change them. A service that runs sees
/// each change within a second.
#[derive(Clone, Debug)]
pub struct Connections(pub(crate) Book);

/// A connection to make.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// How its owner calls it.
    pub name: String,
    /// By way of which relays it is used; one at the least.
    pub relays: Vec<String>,
    /// What it may spend; nothing means all there is.
    pub budget: Option<Budget>,
}

/// Who may use the wallet, and how far.
#[derive(Clone, Debug)]
pub struct Connection {
    /// How its owner calls it.
    pub name: String,
    /// By way of which relays it is used.
    pub relays: Vec<String>,
    /// What it may spend; nothing means all there is.
    pub budget: Option<Budget>,
    /// What of the budget is spent or held in this period, routing included, in millisatoshi.
    pub used: Msat,
    /// When it was made, in seconds since 1970.
    pub created: u64,
    pub(crate) id: i64,
    pub(crate) client: PublicKey,
    pub(crate) keys: Keys,
}

/// One book, however many hold it.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    path: Arc<PathBuf>,
    database: Arc<Mutex<rusqlite::Connection>>,
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl Connections {
    /// Opens the book, and makes it where there is none, with mode 0600.
    ///
    /// # Errors
    /// [`BookError::Storage`], or [`BookError::Exposed`] when others can read the file.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, BookError> {
        Ok(Self(Book::open(path.into()).await?))
    }

    /// Makes a connection, and gives the URL that its application needs. The URL holds the only copy
    /// of its secret: it cannot be shown again.
    ///
    /// # Errors
    /// [`BookError::NameTaken`], [`BookError::NotARelay`] or [`BookError::Storage`].
    pub async fn add(&self, new: NewConnection) -> Result<Secret<String>, BookError> {
        for relay in &new.relays {
            super::relay::check(relay)?;
        }
        let (client, ours) = (Keys::generate(), Keys::generate());
        let url = url_of(&ours, &client, &new.relays);
        self.0.insert_connection(new, client.public_key(), ours).await?;
        Ok(url)
    }

    /// Every connection that was not revoked, the oldest first.
    ///
    /// # Errors
    /// [`BookError::Storage`].
    pub async fn list(&self) -> Result<Vec<Connection>, BookError> {
        self.0.connections().await
    }

    /// Ends a connection. What it has under way ends as it would have; it begins nothing more.
    ///
    /// # Errors
    /// [`BookError::NoSuchConnection`] or [`BookError::Storage`].
    pub async fn revoke(&self, name: &str) -> Result<(), BookError> {
        let wanted = name.to_owned();
        let changed = self.0.with("written", move |database| {
            let revoke = "UPDATE connection SET revoked = ?2 WHERE name = ?1 AND revoked IS NULL";
            database.execute(revoke, params![wanted, signed(now())])
        });
        match changed.await? {
            0 => Err(BookError::NoSuchConnection { name: name.to_owned() }),
            _ => Ok(()),
        }
    }
}

impl Book {
    async fn open(path: PathBuf) -> Result<Self, BookError> {
        let opening = move || {
            let failed =
                |source| BookError::Storage { path: path.clone(), doing: "opened", source };
            make_private(&path).map_err(|error| failed(error.into()))?;
            let mode = path.metadata().map_err(|error| failed(error.into()))?.mode();
            if mode & 0o077 != 0 {
                return Err(BookError::Exposed { path });
            }
            let connect = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
                let mut database = rusqlite::Connection::open(&path)?;
                database.busy_timeout(PATIENCE)?;
                database.pragma_update(None, "journal_mode", "WAL")?;
                database.pragma_update(None, "synchronous", "FULL")?;
                Migrations::new(vec![M::up(SCHEMA)]).to_latest(&mut database)?;
                Ok(database)
            };
            let database = connect().map_err(failed)?;
            Ok(Self { path: Arc::new(path), database: Arc::new(Mutex::new(database)) })
        };
        tokio::task::spawn_blocking(opening).await.expect("opening a book does not panic")
    }

    /// Runs `work` where it may block.
    pub(crate) async fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BookError> {
        let database = Arc::clone(&self.database);
        let working = move || {
            let mut database = database.lock().expect("nothing panics under this lock");
            work(&mut database)
        };
        let worked = tokio::task::spawn_blocking(working).await;
        worked.expect("reading and writing a book does not panic").map_err(|source| {
            BookError::Storage { path: self.path.to_path_buf(), doing, source: source.into() }
        })
    }

    async fn insert_connection(
        &self,
        new: NewConnection,
        client: PublicKey,
        ours: Keys,
    ) -> Result<(), BookError> {
        let taken = BookError::NameTaken { name: new.name.clone() };
        let insert = move |database: &mut rusqlite::Connection| {
            let insert = "INSERT INTO connection
                (name, client, secret, relays, budget_msat, period, created)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING";
            let relays = serde_json::to_string(&new.relays).expect("texts are JSON");
            let secret = ours.secret_key().to_secret_hex();
            let (amount, period) = match new.budget {
                Some(Budget { amount, period }) => (Some(signed(amount.msat())), period),
                None => (None, Period::Never),
            };
            let row = params![
                new.name,
                client.to_hex(),
                secret,
                relays,
                amount,
                period.word(),
                signed(now())
            ];
            database.execute(insert, row)
        };
        match self.with("written", insert).await? {
            0 => Err(taken),
            _ => Ok(()),
        }
    }

    pub(crate) async fn connections(&self) -> Result<Vec<Connection>, BookError> {
        self.with("read", |database| {
            let select = "SELECT id, name, client, secret, relays, budget_msat, period, created
                FROM connection WHERE revoked IS NULL ORDER BY id";
            let mut select = database.prepare_cached(select)?;
            let found = select.query_map([], read_connection)?;
            let mut found: Vec<Connection> = found.collect::<Result<_, _>>()?;
            for connection in &mut found {
                connection.used = used(database, connection.id, period(connection), now())?;
            }
            Ok(found)
        })
        .await
    }

    /// What that connection has spent and holds in this period.
    pub(crate) async fn used(&self, connection: &Connection) -> Result<Msat, BookError> {
        let (id, period) = (connection.id, period(connection));
        self.with("read", move |database| used(database, id, period, now())).await
    }
}

/// What an application is given.
fn url_of(ours: &Keys, client: &Keys, relays: &[String]) -> Secret<String> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for relay in relays {
        query.append_pair("relay", relay);
    }
    query.append_pair("secret", &client.secret_key().to_secret_hex());
    let (key, query) = (ours.public_key().to_hex(), query.finish());
    Secret::new(format!("nostr+walletconnect://{key}?{query}"))
}

pub(super) fn period(connection: &Connection) -> Period {
    connection.budget.map_or(Period::Never, |budget| budget.period)
}

/// SQLite's numbers have a sign. All of ours are far below where that matters.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn damaged(column: usize, what: &str) -> rusqlite::Error {
    let what = Box::from(what.to_owned());
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what)
}

pub(super) fn read_connection(row: &Row<'_>) -> rusqlite::Result<Connection> {
    let text = |column| row.get::<_, String>(column);
    let relays = serde_json::from_str(&text(4)?).map_err(|_| damaged(4, "no list of relays"))?;
    let period = Period::of_word(&text(6)?).ok_or_else(|| damaged(6, "no period"))?;
    let amount: Option<i64> = row.get(5)?;
    let secret = SecretKey::from_hex(&text(3)?).map_err(|_| damaged(3, "no key"))?;
    Ok(Connection {
        id: row.get(0)?,
        name: text(1)?,
        client: PublicKey::from_hex(&text(2)?).map_err(|_| damaged(2, "no key"))?,
        keys: Keys::new(secret),
        relays,
        budget: amount.map(|amount| Budget { amount: Msat::from_msat(unsigned(amount)), period }),
        used: Msat::ZERO,
        created: unsigned(row.get(7)?),
    })
}

/// Makes the file and its folder with nobody else's rights before SQLite sees them.
fn make_private(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    Ok(())
}
