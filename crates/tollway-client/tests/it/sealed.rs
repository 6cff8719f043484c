//! A wallet that is encrypted at rest: what is in the file, and who can open it.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use age::secrecy::ExposeSecret;
use l402::Secret;
use testkit::{FakeNetwork, FakeNode};
use tollway_client::{
    Client, Entry, Error, KeyError, KeySource, Payment, SqliteWallet, Wallet, WalletError,
    WalletKey,
};

use crate::buying::{get, terms};
use crate::seller::{Rules, Seller};

/// One for all of these tests.
fn key() -> WalletKey {
    static IDENTITY: LazyLock<String> =
        LazyLock::new(|| age::x25519::Identity::generate().to_string().expose_secret().to_owned());
    WalletKey::Identity(Secret::new(IDENTITY.clone()))
}

fn client(wallet: &Arc<SqliteWallet>, buyer: &FakeNode) -> Client {
    Client::builder(wallet.clone(), terms()).payer(buyer.payer()).build().unwrap()
}

/// Everything that is on the disk of a wallet.
fn on_disk(folder: &Path) -> Vec<u8> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| fs::read(path).unwrap()).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The preimage and the token of the only purchase.
async fn secrets(wallet: &SqliteWallet) -> [String; 2] {
    let Entry::Finished(token) = wallet.entries().await.unwrap().remove(0) else { panic!() };
    [token.preimage.expose_hex(), token.token.as_str().to_owned()]
}

#[tokio::test]
async fn nothing_that_opens_a_door_is_in_a_sealed_file() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let wallet = Arc::new(SqliteWallet::open(&path).await.unwrap());
    let request = get(&seller.url("/weather"));
    client(&wallet, &buyer).fetch(&request).await.unwrap();
    let secrets_before = secrets(&wallet).await;
    assert!(secrets_before.iter().all(|secret| contains(&on_disk(folder.path()), secret)));

    wallet.seal(&key()).await.unwrap();
    assert!(wallet.is_sealed().await.unwrap());
    let bytes = on_disk(folder.path());
    assert!(secrets_before.iter().all(|secret| !contains(&bytes, secret)));
    // The wallet goes on as it was, and so does one that is opened with the key.
    for wallet in [wallet, Arc::new(SqliteWallet::open_with(&path, &key()).await.unwrap())] {
        let response = client(&wallet, &buyer).fetch(&request).await.unwrap();
        assert!(matches!(response.payment(), Payment::Token(_)));
        assert_eq!(secrets(&wallet).await, secrets_before);
    }
    // What is bought from now on is sealed as well.
    let wallet = Arc::new(SqliteWallet::open_with(&path, &key()).await.unwrap());
    let other = Seller::start(&node, Rules::default()).await;
    client(&wallet, &buyer).fetch(&get(&other.url("/weather"))).await.unwrap();
    let latest = secrets(&wallet).await;
    let bytes = on_disk(folder.path());
    assert!(latest.iter().all(|secret| !contains(&bytes, secret)));
    assert_ne!(latest, secrets_before);

    wallet.unseal().await.unwrap();
    let plain = SqliteWallet::open(&path).await.unwrap();
    assert_eq!((secrets(&plain).await, plain.is_sealed().await.unwrap()), (latest, false));
}

#[tokio::test]
async fn a_sealed_wallet_opens_with_its_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let wallet = SqliteWallet::open(&path).await.unwrap();
    wallet.seal(&key()).await.unwrap();
    let error = SqliteWallet::open(&path).await.unwrap_err();
    assert!(matches!(error, WalletError::Sealed { .. }), "{error:?}");
    let phrase = WalletKey::Passphrase(Secret::new("hunter2".to_owned()));
    let error = SqliteWallet::open_with(&path, &phrase).await.unwrap_err();
    assert_eq!(error.to_string(), "the key does not open this wallet");
    let absent = || async { Err::<WalletKey, _>(KeyError::Absent("no such file".to_owned())) };
    let error = SqliteWallet::open_with(&path, &absent).await.unwrap_err();
    assert!(matches!(error, WalletError::Key(KeyError::Absent(_))), "{error:?}");

    // Another key in its place: a passphrase, and the identity opens it no more.
    wallet.seal(&phrase).await.unwrap();
    SqliteWallet::open_with(&path, &phrase).await.unwrap();
    let error = SqliteWallet::open_with(&path, &key()).await.unwrap_err();
    assert!(matches!(error, WalletError::Key(KeyError::Wrong)), "{error:?}");
}

#[tokio::test]
async fn a_wallet_that_is_not_sealed_asks_for_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let never = || async { panic!("the key was asked for") };
    let source: &dyn KeySource = &never;
    SqliteWallet::open_with(folder.path().join("wallet.db"), source).await.unwrap();
}

/// It has the wallet open from before, and would write secrets in the clear.
#[tokio::test]
async fn who_does_not_know_of_the_seal_pays_nothing() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let unaware = Arc::new(SqliteWallet::open(&path).await.unwrap());
    SqliteWallet::open(&path).await.unwrap().seal(&key()).await.unwrap();
    let error = client(&unaware, &buyer).fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert!(matches!(error, Error::Wallet(WalletError::Resealed)), "{error:?}");
    assert!(buyer.orders().is_empty());
}

/// Whoever can write the file, and has no key, cannot have their own token used, or swap two.
#[tokio::test]
async fn a_secret_that_is_moved_or_put_there_is_damage() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: crate::seller::Door::PerRoute, caveats: vec![], ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let wallet = Arc::new(SqliteWallet::open(&path).await.unwrap());
    wallet.seal(&key()).await.unwrap();
    for path in ["/a", "/b"] {
        client(&wallet, &buyer).fetch(&get(&seller.url(path))).await.unwrap();
    }
    let database = rusqlite::Connection::open(&path).unwrap();
    for forged in ["(SELECT token FROM payment WHERE path = '/b')", "'opaque'"] {
        let sql = format!("UPDATE payment SET token = {forged} WHERE path = '/a'");
        assert_eq!(database.execute(&sql, []).unwrap(), 1);
        let error = client(&wallet, &buyer).fetch(&get(&seller.url("/a"))).await.unwrap_err();
        let Error::Wallet(WalletError::Damaged { what, .. }) = error else { panic!("{error:?}") };
        assert_eq!(what, "token");
    }
}
