//! The wallet in a file. Every write is on the disk, through the operating system's caches, before
//! it counts as done.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use l402::{Paid, PaymentHash};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use rusqlite_migration::{M, Migrations};

use super::claim::{self, Once, Turns};
use super::record::{self, BEGUN, COLUMNS, SCHEMA};
use super::{Claim, MOST_OTHERS, Purchase, Receipt, Standing, Token, Wallet, WalletError};
use crate::origin::Origin;

/// How long to wait for another process's write to end. Each is one row.
const PATIENCE: Duration = Duration::from_secs(10);

/// A wallet in one SQLite file that only its owner can read. Any number of processes may use it at
/// once.
#[derive(Debug)]
pub struct SqliteWallet {
    path: PathBuf,
    locks: PathBuf,
    database: Arc<Mutex<Connection>>,
    turns: Turns,
}

impl SqliteWallet {
    /// Opens the wallet, and makes it where there is none: the file with mode 0600, its folder (when
    /// that is new) with 0700. Beside it a folder of lock files is kept, named as the file with
    /// `.claims` behind.
    ///
    /// # Errors
    /// [`WalletError::Storage`], or [`WalletError::Exposed`] when others can read the file.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, WalletError> {
        let path = path.into();
        let opening = move || {
            let mut locks = path.clone().into_os_string();
            locks.push(".claims");
            let locks = PathBuf::from(locks);
            let database = open(&path, &locks)?;
            let database = Arc::new(Mutex::new(database));
            Ok(Self { path, locks, database, turns: Turns::default() })
        };
        tokio::task::spawn_blocking(opening).await.expect("opening a wallet does not panic")
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` where it may block, and says what was being done when it fails.
    async fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut Connection) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, WalletError> {
        let database = Arc::clone(&self.database);
        let working = move || {
            let mut database = database.lock().expect("nothing panics under this lock");
            work(&mut database)
        };
        let worked = tokio::task::spawn_blocking(working).await;
        worked.expect("reading and writing a wallet does not panic").map_err(
            |failed| match failed {
                Failed::Sqlite(error) => self.storage(doing, error),
                Failed::Wallet(error) => error,
            },
        )
    }

    fn storage(
        &self,
        doing: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> WalletError {
        WalletError::Storage { path: self.path.clone(), doing, source: source.into() }
    }
}

/// What can go wrong under the database's lock.
enum Failed {
    Sqlite(rusqlite::Error),
    Wallet(WalletError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<WalletError> for Failed {
    fn from(error: WalletError) -> Self {
        Self::Wallet(error)
    }
}

fn open(path: &Path, locks: &Path) -> Result<Connection, WalletError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| WalletError::Storage {
        path: path.to_owned(),
        doing: "opened",
        source,
    };
    make_private(path, locks).map_err(|error| failed(error.into()))?;
    refuse_exposed(path)?;
    // Two that make the same table at the same time would be one too many.
    let _alone = claim::lock_all(locks).map_err(|error| failed(error.into()))?;
    let connect = || -> Result<Connection, Box<dyn std::error::Error + Send + Sync>> {
        let mut database = Connection::open(path)?;
        database.busy_timeout(PATIENCE)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        Migrations::new(vec![M::up(SCHEMA)]).to_latest(&mut database)?;
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

/// The payment of that hash, as far as it got: begun or finished.
enum Found {
    Begun(Purchase),
    Finished(Token),
}

fn look_up(database: &Connection, hash: PaymentHash) -> Result<Option<Found>, Failed> {
    let sql = format!("SELECT {COLUMNS} FROM payment WHERE hash = ?1");
    let mut statement = database.prepare_cached(&sql)?;
    let read = |row: &rusqlite::Row<'_>| Ok(found(row));
    let found = statement.query_row([hash.to_string()], read).optional()?;
    Ok(found.transpose()?)
}

fn found(row: &rusqlite::Row<'_>) -> Result<Found, WalletError> {
    let is_begun = row.get::<_, String>("standing").is_ok_and(|standing| standing == BEGUN);
    if is_begun {
        record::purchase(row).map(Found::Begun)
    } else {
        record::token(row).map(Found::Finished)
    }
}

/// Every row that the rest of a statement picks.
fn list<T>(
    database: &Connection,
    rest: &str,
    arguments: impl rusqlite::Params,
    read: fn(&rusqlite::Row<'_>) -> Result<T, WalletError>,
) -> Result<Vec<T>, Failed> {
    let mut statement =
        database.prepare_cached(&format!("SELECT {COLUMNS} FROM payment WHERE {rest}"))?;
    let rows = statement.query_map(arguments, |row| Ok(read(row)))?;
    let mut all = Vec::new();
    for row in rows {
        all.push(row??);
    }
    Ok(all)
}

#[async_trait]
impl Wallet for SqliteWallet {
    async fn claim(
        &self,
        origin: &Origin,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Claim, WalletError> {
        let mut waiting = Once::new(waiting);
        let turn = self.turns.take(origin, &mut waiting).await;
        let file = claim::lock(&self.locks, origin, &mut waiting).await;
        let file = file.map_err(|error| self.storage("locked", error))?;
        Ok(Claim::new(origin.clone(), (file, turn)))
    }

    async fn find(&self, origin: &Origin, path: &str) -> Result<Vec<Token>, WalletError> {
        let (origin, path) = (origin.to_string(), path.to_owned());
        self.with("read", move |database| {
            let usable = "origin = ?1 AND standing NOT IN ('begun', 'quarantined')";
            let newest = "ORDER BY paid_ms DESC, rowid DESC";
            let rest = format!(
                "{usable} AND (path = ?2 OR rowid IN (SELECT rowid FROM payment \
                 WHERE {usable} AND path <> ?2 {newest} LIMIT {MOST_OTHERS})) {newest}"
            );
            list(database, &rest, [origin, path], record::token)
        })
        .await
    }

    async fn pending(&self, origin: Option<&Origin>) -> Result<Vec<Purchase>, WalletError> {
        let origin = origin.map(ToString::to_string);
        self.with("read", move |database| {
            let rest = "standing = 'begun' AND (?1 IS NULL OR origin = ?1) \
                        ORDER BY begun_ms, rowid";
            list(database, rest, [origin], record::purchase)
        })
        .await
    }

    async fn begin(&self, claim: &Claim, purchase: &Purchase) -> Result<(), WalletError> {
        claim.covers(purchase)?;
        let (claimed, purchase, hash) = (claim.origin().clone(), purchase.clone(), purchase.hash());
        self.with("written", move |database| {
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            match look_up(&transaction, hash)? {
                Some(Found::Finished(_)) => return Err(WalletError::AlreadyPaid(hash).into()),
                Some(Found::Begun(begun)) => return Ok(same_origin(claimed, &begun)?),
                None => {}
            }
            let Purchase { origin, method, path, challenge, node, begun_at } = &purchase;
            transaction.execute(
                "INSERT INTO payment (hash, origin, method, path, scheme, token, invoice, \
                 amount_msat, node, begun_ms, standing) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                params![
                    hash.to_string(),
                    origin.as_str(),
                    method.as_str(),
                    path,
                    challenge.scheme.name(),
                    challenge.token.as_str(),
                    challenge.invoice.as_str(),
                    record::to_sql(challenge.invoice.amount()),
                    node,
                    record::to_ms(*begun_at),
                    BEGUN,
                ],
            )?;
            Ok(transaction.commit()?)
        })
        .await
    }

    async fn finish(
        &self,
        claim: &Claim,
        hash: PaymentHash,
        paid: &Paid,
        at: SystemTime,
    ) -> Result<Receipt, WalletError> {
        let (claimed, paid) = (claim.origin().clone(), paid.clone());
        self.with("written", move |database| {
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let purchase = match look_up(&transaction, hash)? {
                Some(Found::Finished(token)) => return Ok(token.receipt()),
                Some(Found::Begun(purchase)) => purchase,
                None => return Err(WalletError::NotBegun(hash).into()),
            };
            same_origin(claimed, &purchase)?;
            let preimage = l402::Secret::new(paid.preimage.expose_hex());
            transaction.execute(
                "UPDATE payment SET preimage = ?2, fee_msat = ?3, paid_ms = ?4, standing = ?5 \
                 WHERE hash = ?1",
                params![
                    hash.to_string(),
                    preimage.expose(),
                    record::to_sql(paid.fee),
                    record::to_ms(at),
                    Standing::Fresh.name(),
                ],
            )?;
            transaction.commit()?;
            let Paid { preimage, fee } = paid;
            let token = Token { purchase, preimage, fee, paid_at: at, standing: Standing::Fresh };
            Ok(token.receipt())
        })
        .await
    }

    async fn forget(&self, claim: &Claim, hash: PaymentHash) -> Result<(), WalletError> {
        let claimed = claim.origin().clone();
        self.with("written", move |database| {
            let transaction = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if let Some(Found::Begun(purchase)) = look_up(&transaction, hash)? {
                same_origin(claimed, &purchase)?;
                let arguments = [hash.to_string()];
                transaction.execute("DELETE FROM payment WHERE hash = ?1", arguments)?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    async fn judge(&self, hash: PaymentHash, standing: Standing) -> Result<(), WalletError> {
        self.with("written", move |database| {
            let sql = "UPDATE payment SET standing = ?2 WHERE hash = ?1 AND standing <> 'begun'";
            match database.execute(sql, [&hash.to_string(), standing.name()])? {
                0 => Err(WalletError::NotBegun(hash).into()),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn receipts(&self) -> Result<Vec<Receipt>, WalletError> {
        self.with("read", |database| {
            let rest = "standing <> 'begun' ORDER BY paid_ms DESC, rowid DESC";
            let tokens = list(database, rest, [], record::token)?;
            Ok(tokens.iter().map(Token::receipt).collect())
        })
        .await
    }
}

fn same_origin(claimed: Origin, purchase: &Purchase) -> Result<(), WalletError> {
    if claimed == purchase.origin {
        return Ok(());
    }
    Err(WalletError::WrongClaim { claimed, origin: purchase.origin.clone() })
}
