//! The wallet in a file. Every write is on the disk, through the operating system's caches, before
//! it counts as done.

mod direct;
mod ledger;
mod open;
mod record;
mod rows;
mod sealing;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use l402::{Paid, PaymentHash};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::seal::{KeySource, Vault};
use super::turn::{self, Once, Turns};
use super::{
    Adopted, Entry, MOST_OTHERS, Purchase, Receipt, Reserve, Standing, Token, Turn, Wallet,
    WalletError,
};
use crate::origin::Origin;
use ledger::Payment;
use rows::Rows;

/// A wallet in one SQLite file that only its owner can read. Any number of processes may use it at
/// once.
#[derive(Debug)]
pub struct SqliteWallet {
    path: PathBuf,
    locks: PathBuf,
    file: Arc<Mutex<File>>,
    turns: Turns,
}

/// The file, and what seals it.
#[derive(Debug)]
struct File {
    database: Connection,
    vault: Vault,
}

impl File {
    fn rows(&self) -> Rows<'_> {
        Rows { database: &self.database, vault: &self.vault }
    }
}

/// A transaction that has the file to itself. Whether it is sealed is looked at in it: nothing is
/// written unsealed that another process has sealed in the meantime.
fn begin<'a>(rows: &Rows<'a>) -> Result<Transaction<'a>, Failed> {
    let transaction = Transaction::new_unchecked(rows.database, TransactionBehavior::Immediate)?;
    if sealing::wrapped(&transaction)?.is_some() != rows.vault.0.is_some() {
        return Err(WalletError::Resealed.into());
    }
    Ok(transaction)
}

impl SqliteWallet {
    /// Opens the wallet, and makes it where there is none: the file with mode 0600, its folder (when
    /// that is new) with 0700. Beside it a folder of lock files is kept, named as the file with
    /// `.turns` behind.
    ///
    /// # Errors
    /// [`WalletError::Storage`], [`WalletError::Exposed`] when others can read the file, or
    /// [`WalletError::Sealed`].
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, WalletError> {
        Self::opened(path.into(), None).await
    }

    /// As [`SqliteWallet::open`], with a key for a wallet that may be sealed. One that is not is opened
    /// without asking for it.
    ///
    /// # Errors
    /// As [`SqliteWallet::open`], or [`WalletError::Key`].
    pub async fn open_with(
        path: impl Into<PathBuf>,
        source: &dyn KeySource,
    ) -> Result<Self, WalletError> {
        Self::opened(path.into(), Some(source)).await
    }

    async fn opened(path: PathBuf, source: Option<&dyn KeySource>) -> Result<Self, WalletError> {
        let opening = move || {
            let mut locks = path.clone().into_os_string();
            locks.push(".turns");
            let locks = PathBuf::from(locks);
            let database = open::open(&path, &locks)?;
            let file = Arc::new(Mutex::new(File { database, vault: Vault::default() }));
            Ok::<_, WalletError>(Self { path, locks, file, turns: Turns::default() })
        };
        let opening = tokio::task::spawn_blocking(opening).await;
        let wallet: Self = opening.expect("opening a wallet does not panic")?;
        wallet.unlock(source).await?;
        Ok(wallet)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` where it may block, and says what was being done when it fails.
    async fn with<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Rows<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, WalletError> {
        self.with_file(doing, move |file| work(&file.rows())).await
    }

    /// As [`SqliteWallet::with`], for a short look that every request waits for: where nobody else has
    /// the file it is taken here and now, because handing it to another thread and back costs more
    /// than to read a page that the system has in memory.
    async fn glance<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, WalletError> {
        if let Ok(file) = self.file.try_lock() {
            return work(&file.rows()).map_err(|failed| self.failed("read", failed));
        }
        self.with("read", work).await
    }

    async fn with_file<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&mut File) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, WalletError> {
        let file = Arc::clone(&self.file);
        let working = move || work(&mut file.lock().expect("nothing panics under this lock"));
        let worked = tokio::task::spawn_blocking(working).await;
        let worked = worked.expect("reading and writing a wallet does not panic");
        worked.map_err(|failed| self.failed(doing, failed))
    }

    /// Runs `work` in one transaction: all that it writes is there, or nothing of it.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, WalletError> {
        self.with("written", move |rows| {
            let transaction = begin(rows)?;
            let done = work(rows)?;
            transaction.commit()?;
            Ok(done)
        })
        .await
    }

    /// The same for what changes the vault, which is then the wallet's. Nothing of what was there
    /// before is left in the file.
    async fn change(
        &self,
        work: impl FnOnce(&Rows<'_>) -> Result<Vault, Failed> + Send + 'static,
    ) -> Result<(), WalletError> {
        self.with_file("written", move |file| {
            let transaction = begin(&file.rows())?;
            let vault = work(&file.rows())?;
            transaction.commit()?;
            file.vault = vault;
            file.database.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
            Ok(())
        })
        .await
    }

    fn set_vault(&self, vault: Vault) {
        self.file.lock().expect("nothing panics under this lock").vault = vault;
    }

    fn failed(&self, doing: &'static str, failed: Failed) -> WalletError {
        match failed {
            Failed::Sqlite(error) => self.storage(doing, error),
            Failed::Wallet(error) => error,
        }
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

#[async_trait]
impl Wallet for SqliteWallet {
    async fn turn(
        &self,
        origin: &Origin,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Turn, WalletError> {
        let mut waiting = Once::new(waiting);
        let turn = self.turns.take(origin, &mut waiting).await;
        let file = turn::lock(&self.locks, origin, &mut waiting).await;
        let file = file.map_err(|error| self.storage("locked", error))?;
        Ok(Turn::new(origin.clone(), (file, turn)))
    }

    async fn find(&self, origin: &Origin, path: &str) -> Result<Vec<Token>, WalletError> {
        let (origin, path) = (origin.to_string(), path.to_owned());
        self.glance(move |database| {
            let usable = "origin = ?1 AND standing NOT IN ('begun', 'quarantined')";
            let newest = "ORDER BY paid_ms DESC, rowid DESC";
            let rest = format!(
                "{usable} AND (path = ?2 OR rowid IN (SELECT rowid FROM payment \
                 WHERE {usable} AND path <> ?2 {newest} LIMIT {MOST_OTHERS})) {newest}"
            );
            rows::list(database, &rest, [origin, path], record::token)
        })
        .await
    }

    async fn pending(&self, origin: Option<&Origin>) -> Result<Vec<Purchase>, WalletError> {
        let origin = origin.map(ToString::to_string);
        self.with("read", move |database| {
            let rest = "standing = 'begun' AND (?1 IS NULL OR origin = ?1) \
                        ORDER BY begun_ms, rowid";
            rows::list(database, rest, [origin], record::purchase)
        })
        .await
    }

    async fn begin(
        &self,
        turn: &Turn,
        purchase: &Purchase,
        reserve: Reserve<'_>,
    ) -> Result<(), WalletError> {
        turn.covers(purchase)?;
        let (whose, purchase, hash) = (turn.origin().clone(), purchase.clone(), purchase.hash());
        let (asked, limits) = (reserve.asked, reserve.limits.to_vec());
        self.write(move |rows| {
            match rows::look_up(rows, hash)? {
                Some(Entry::Finished(_)) => return Err(WalletError::AlreadyPaid(hash).into()),
                Some(Entry::Begun(begun)) => same_origin(whose, &begun)?,
                None => rows::insert(rows, &Entry::Begun(purchase.clone()))?,
            }
            ledger::reserve(rows, &Payment::from(&purchase), asked, limits)
        })
        .await
    }

    async fn finish(
        &self,
        turn: &Turn,
        hash: PaymentHash,
        paid: &Paid,
        at: SystemTime,
    ) -> Result<Receipt, WalletError> {
        let (whose, paid) = (turn.origin().clone(), paid.clone());
        self.write(move |rows| {
            let purchase = match rows::look_up(rows, hash)? {
                Some(Entry::Finished(token)) => return Ok(token.receipt()),
                Some(Entry::Begun(purchase)) => purchase,
                None => return Err(WalletError::NotBegun(hash).into()),
            };
            same_origin(whose, &purchase)?;
            let token = Token::bought(purchase, paid, at);
            rows::prove(rows, &token)?;
            ledger::spend(rows, &token)?;
            Ok(token.receipt())
        })
        .await
    }

    async fn forget(&self, turn: &Turn, hash: PaymentHash) -> Result<(), WalletError> {
        let whose = turn.origin().clone();
        self.write(move |rows| {
            if let Some(Entry::Begun(purchase)) = rows::look_up(rows, hash)? {
                same_origin(whose, &purchase)?;
                rows.execute("DELETE FROM payment WHERE hash = ?1", [hash.to_string()])?;
                // The row stays: that there was such a time is not given back.
                let give_back = "UPDATE spending SET held_msat = 0 WHERE hash = ?1";
                rows.execute(give_back, [hash.to_string()])?;
            }
            Ok(())
        })
        .await
    }

    async fn judge(&self, hash: PaymentHash, standing: Standing) -> Result<(), WalletError> {
        self.write(move |database| {
            let sql = "UPDATE payment SET standing = ?2, query = iif(?3, NULL, query) \
                       WHERE hash = ?1 AND standing <> 'begun'";
            let answered = standing == Standing::Honoured;
            match database.execute(sql, params![hash.to_string(), standing.name(), answered])? {
                0 => Err(WalletError::NotBegun(hash).into()),
                _ => Ok(()),
            }
        })
        .await
    }

    async fn entries(&self) -> Result<Vec<Entry>, WalletError> {
        self.with("read", |database| {
            let rest = "1 = 1 ORDER BY coalesce(paid_ms, begun_ms) DESC, rowid DESC";
            rows::list(database, rest, [], record::entry)
        })
        .await
    }

    async fn entry(&self, hash: PaymentHash) -> Result<Option<Entry>, WalletError> {
        self.with("read", move |database| rows::look_up(database, hash)).await
    }

    async fn adopt(&self, entries: &[Entry]) -> Result<Adopted, WalletError> {
        let entries = entries.to_vec();
        self.write(move |rows| {
            let mut adopted = Adopted::default();
            for entry in &entries {
                match (rows::look_up(rows, entry.hash())?, entry) {
                    (None, entry) => {
                        rows::insert(rows, entry)?;
                        if let Entry::Begun(purchase) = entry {
                            let amount = purchase.challenge.invoice.amount();
                            ledger::hold(rows, &Payment::from(purchase), amount)?;
                        }
                        adopted.added += 1;
                    }
                    (Some(Entry::Begun(_)), Entry::Finished(token)) => {
                        rows::prove(rows, token)?;
                        ledger::spend(rows, token)?;
                        adopted.proven += 1;
                    }
                    (Some(_), _) => adopted.known += 1,
                }
            }
            Ok(adopted)
        })
        .await
    }
}

fn same_origin(whose: Origin, purchase: &Purchase) -> Result<(), WalletError> {
    if whose == purchase.origin {
        return Ok(());
    }
    Err(WalletError::WrongTurn { turn: whose, origin: purchase.origin.clone() })
}
