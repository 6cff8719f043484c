//! The wallet's file: who can read it, and what happens when it cannot be written.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use l402::{Msat, Paid, PaymentHash};
use testkit::{Act, FakeNetwork};
use tollway_client::{
    Account, Adopted, Client, Entry, Error, Ledger, Limit, MoneyMoved, Origin, Payment, Purchase,
    Receipt, Reserve, SqliteWallet, Standing, Token, Turn, Wallet, WalletError,
};

use crate::buying::{get, sat, terms};
use crate::seller::{Rules, Seller};

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;

    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_a_wallet() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("a/b");
    let wallet = SqliteWallet::open(home.join("wallet.db")).await.unwrap();
    let client = Client::builder(Arc::new(wallet), terms()).payer(buyer.payer());
    client.build().unwrap().fetch(&get(&seller.url("/weather"))).await.unwrap();

    assert_eq!((mode(&home), mode(&folder.path().join("a"))), (0o700, 0o700));
    for entry in fs::read_dir(&home).unwrap() {
        let path = entry.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    let locks: Vec<_> = fs::read_dir(home.join("wallet.db.turns")).unwrap().collect();
    assert_eq!(locks.len(), 2, "one for opening the wallet, one for the origin");
    for lock in locks {
        assert_eq!(mode(&lock.unwrap().path()), 0o600);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_wallet_that_others_can_read_is_refused_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    drop(SqliteWallet::open(&path).await.unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = SqliteWallet::open(&path).await.unwrap_err();
    assert!(matches!(error, WalletError::Exposed { mode: 0o644, .. }), "{error:?}");
    assert!(error.to_string().ends_with("(mode 644); run `chmod 600` on it"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_may_open_a_new_wallet_at_once() {
    for _ in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wallet.db");
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..8 {
            opening.spawn(SqliteWallet::open(path.clone()));
        }
        for wallet in opening.join_all().await {
            assert!(wallet.unwrap().receipts().await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_wallet_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    drop(SqliteWallet::open(&path).await.unwrap());
    fs::write(&path, "this is no database, and was not made by one").unwrap();
    let error = SqliteWallet::open(&path).await.unwrap_err();
    assert!(matches!(error, WalletError::Storage { doing: "opened", .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap()[..12], *b"this is no d");
}

/// A wallet of a newer version is not written by an older one.
#[tokio::test]
async fn a_wallet_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    drop(SqliteWallet::open(&path).await.unwrap());
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    assert!(SqliteWallet::open(&path).await.is_err());
}

#[tokio::test]
async fn a_damaged_record_is_named_and_kept() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let open = || async {
        let wallet = Arc::new(SqliteWallet::open(&path).await.unwrap());
        Client::builder(wallet, terms()).payer(buyer.payer()).build().unwrap()
    };
    let request = get(&seller.url("/weather"));
    open().await.fetch(&request).await.unwrap();
    let hash = node.received()[0].0;
    for (field, value) in [("preimage", "00"), ("token", ""), ("invoice", "lnbc1"), ("scheme", "x")]
    {
        let database = rusqlite::Connection::open(&path).unwrap();
        let sql = format!("SELECT {field} FROM payment");
        let before: String = database.query_row(&sql, [], |row| row.get(0)).unwrap();
        let set = format!("UPDATE payment SET {field} = ?1");
        database.execute(&set, [value]).unwrap();
        let error = open().await.fetch(&request).await.unwrap_err();
        let Error::Wallet(WalletError::Damaged { hash: named, what }) = error else {
            panic!("{error:?}")
        };
        assert_eq!((named, what), (hash.to_string(), field));
        database.execute(&set, [before]).unwrap();
    }
    open().await.fetch(&request).await.unwrap();
    assert_eq!(node.received().len(), 1);
}

/// Without the record on disk there is no payment.
#[tokio::test]
async fn a_full_disk_before_the_payment_pays_nothing() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(Full::new("begin"));
    let client = Client::builder(wallet, terms()).payer(buyer.payer()).build().unwrap();
    let error = client.fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert!(matches!(error, Error::Wallet(WalletError::Storage { .. })), "{error:?}");
    assert_eq!(error.money_moved(), MoneyMoved::No);
    assert!(buyer.orders().is_empty());
    assert_eq!((client.held(), client.spent()), (Msat::ZERO, Msat::ZERO));
}

/// The node keeps the proof that the disk had no room for.
#[tokio::test]
async fn a_full_disk_after_the_payment_loses_nothing() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(Full::new("finish"));
    let client = Client::builder(wallet.clone(), terms()).payer(buyer.payer()).build().unwrap();
    let request = get(&seller.url("/weather"));
    for _ in 0..2 {
        let error = client.fetch(&request).await.unwrap_err();
        assert_eq!(error.money_moved(), MoneyMoved::Yes);
        let hash = node.received()[0].0;
        assert!(matches!(error, Error::NotStored { hash: named, .. } if named == hash));
    }
    wallet.make_room();
    let response = client.fetch(&request).await.unwrap();
    assert!(matches!(response.payment(), Payment::Recovered(_)));
    assert_eq!((node.received().len(), client.spent()), (1, sat(10)));
}

/// What the server made of a token is worth no failure: at worst it is tried once more.
#[tokio::test]
async fn a_full_disk_when_a_token_is_judged_changes_nothing_for_the_caller() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(Full::new("judge"));
    let client = Client::builder(wallet.clone(), terms()).payer(buyer.payer()).build().unwrap();
    let request = get(&seller.url("/weather"));
    let response = client.fetch(&request).await.unwrap();
    assert!(matches!(response.payment(), Payment::Bought(_)));
    let again = client.fetch(&request).await.unwrap();
    assert!(matches!(again.payment(), Payment::Token(_)));
    assert_eq!(node.received().len(), 1);
}

/// A payment that was not made stays in the wallet, and the node is asked about it once more.
#[tokio::test]
async fn a_full_disk_when_a_payment_is_struck_out_pays_nothing_twice() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(Full::new("forget"));
    let client = Client::builder(wallet.clone(), terms()).payer(buyer.payer()).build().unwrap();
    let request = get(&seller.url("/weather"));
    let _ = buyer.next(Act::Refuse(l402::Why::NoRoute));
    let error = client.fetch(&request).await.unwrap_err();
    assert!(matches!(error, Error::NotPaid { .. }), "{error:?}");
    assert_eq!(client.pending().await.unwrap().len(), 1);
    client.fetch(&request).await.unwrap();
    assert_eq!((node.received().len(), client.pending().await.unwrap().len()), (1, 0));
}

/// A wallet whose disk has no room for one kind of write.
#[derive(Debug)]
struct Full {
    inner: tollway_client::MemoryWallet,
    what: std::sync::Mutex<&'static str>,
}

impl Full {
    fn new(what: &'static str) -> Self {
        Self { inner: tollway_client::MemoryWallet::new(), what: std::sync::Mutex::new(what) }
    }

    fn make_room(&self) {
        *self.what.lock().unwrap() = "";
    }

    fn room(&self, what: &str) -> Result<(), WalletError> {
        if *self.what.lock().unwrap() != what {
            return Ok(());
        }
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull).into();
        Err(WalletError::Storage { path: "full".into(), doing: "written", source })
    }
}

#[async_trait]
impl Wallet for Full {
    async fn turn(
        &self,
        origin: &Origin,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Turn, WalletError> {
        self.inner.turn(origin, waiting).await
    }

    async fn find(&self, origin: &Origin, path: &str) -> Result<Vec<Token>, WalletError> {
        self.inner.find(origin, path).await
    }

    async fn pending(&self, origin: Option<&Origin>) -> Result<Vec<Purchase>, WalletError> {
        self.inner.pending(origin).await
    }

    async fn begin(
        &self,
        turn: &Turn,
        purchase: &Purchase,
        reserve: Reserve<'_>,
    ) -> Result<(), WalletError> {
        self.room("begin")?;
        self.inner.begin(turn, purchase, reserve).await
    }

    async fn finish(
        &self,
        turn: &Turn,
        hash: PaymentHash,
        paid: &Paid,
        at: SystemTime,
    ) -> Result<Receipt, WalletError> {
        self.room("finish")?;
        self.inner.finish(turn, hash, paid, at).await
    }

    async fn forget(&self, turn: &Turn, hash: PaymentHash) -> Result<(), WalletError> {
        self.room("forget")?;
        self.inner.forget(turn, hash).await
    }

    async fn judge(&self, hash: PaymentHash, standing: Standing) -> Result<(), WalletError> {
        self.room("judge")?;
        self.inner.judge(hash, standing).await
    }

    async fn entries(&self) -> Result<Vec<Entry>, WalletError> {
        self.inner.entries().await
    }

    async fn entry(&self, hash: PaymentHash) -> Result<Option<Entry>, WalletError> {
        self.inner.entry(hash).await
    }

    async fn adopt(&self, entries: &[Entry]) -> Result<Adopted, WalletError> {
        self.room("adopt")?;
        self.inner.adopt(entries).await
    }
}

#[async_trait]
impl Ledger for Full {
    async fn limits(&self) -> Result<Vec<(String, Limit)>, WalletError> {
        self.inner.limits().await
    }

    async fn set_limit(&self, name: &str, limit: &Limit) -> Result<(), WalletError> {
        self.inner.set_limit(name, limit).await
    }

    async fn drop_limit(&self, name: &str) -> Result<bool, WalletError> {
        self.inner.drop_limit(name).await
    }

    async fn accounts(
        &self,
        limits: &[Limit],
        now: SystemTime,
    ) -> Result<Vec<Account>, WalletError> {
        self.inner.accounts(limits, now).await
    }

    async fn has_room(
        &self,
        host: &str,
        reserve: Reserve<'_>,
        now: SystemTime,
    ) -> Result<(), WalletError> {
        self.inner.has_room(host, reserve, now).await
    }

    async fn reset(&self) -> Result<Msat, WalletError> {
        self.inner.reset().await
    }
}
