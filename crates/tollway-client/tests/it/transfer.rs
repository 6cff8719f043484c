//! Taking a wallet's contents elsewhere, and bringing in those of other programs.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use l402::{Invoicer, Paid, PayOrder, Payer};
use testkit::{Act, FakeNetwork, FakeNode};
use tollway_client::transfer::{self, ImportError, LngetStore, PassedOver};
use tollway_client::{
    Adopted, Client, Entry, Ledger, Limit, MemoryWallet, Payment, SqliteWallet, Wallet, Window,
};

use crate::buying::{get, sat, soon, terms};
use crate::seller::{Rules, Seller};

fn client(wallet: Arc<dyn Wallet>, buyer: &FakeNode) -> Client {
    Client::builder(wallet, terms()).payer(buyer.payer()).build().unwrap()
}

/// A wallet with a token and with a payment whose end is not known.
async fn filled(folder: &Path, buyer: &FakeNode, seller: &Seller) -> Arc<SqliteWallet> {
    let wallet = Arc::new(SqliteWallet::open(folder.join("wallet.db")).await.unwrap());
    let client = client(wallet.clone(), buyer);
    client.fetch(&get(&seller.url("/weather"))).await.unwrap();
    seller.rules().caveats = vec!["services=weather:0".to_owned(), "path_prefix=/news".to_owned()];
    let late = buyer.next(Act::PayLate);
    let request = get(&seller.url("/news"));
    let dying = tokio::spawn(async move { client.fetch(&request).await.map(drop) });
    soon(late.arrived()).await;
    dying.abort();
    dying.await.unwrap_err();
    late.proceed();
    wallet.set_limit("food", &Limit::new(sat(100), Window::Day)).await.unwrap();
    wallet
}

#[tokio::test]
async fn what_is_exported_is_the_same_wallet_elsewhere() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: crate::seller::Door::PerRoute, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = filled(folder.path(), &buyer, &seller).await;
    let exported = transfer::export(&*wallet).await.unwrap();
    assert!(!format!("{exported:?}").contains("preimage"));

    let second: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
    let adopted = transfer::import(&*second, exported.expose()).await.unwrap();
    assert_eq!(adopted, Adopted { added: 2, proven: 0, known: 0 });
    let again = transfer::import(&*second, exported.expose()).await.unwrap();
    assert_eq!(again, Adopted { added: 0, proven: 0, known: 2 });
    assert_eq!(transfer::export(&*second).await.unwrap().expose(), exported.expose());
    assert_eq!(second.limits().await.unwrap().len(), 1);
    // What was paid elsewhere does not count here; what may still be paid does.
    let accounts = second.accounts(&[], std::time::SystemTime::now()).await.unwrap();
    assert_eq!((accounts[0].spent, accounts[0].held), (sat(0), sat(10)));

    let client = client(second, &buyer);
    let used = client.fetch(&get(&seller.url("/weather"))).await.unwrap();
    assert!(matches!(used.payment(), Payment::Token(_)));
    let resumed = client.fetch(&get(&seller.url("/news"))).await.unwrap();
    assert!(matches!(resumed.payment(), Payment::Recovered(_)), "{:?}", resumed.payment());
    assert_eq!(node.received().len(), 2);
}

/// The proof is brought in for what is still begun here.
#[tokio::test]
async fn a_proof_from_elsewhere_ends_what_was_begun_here() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: crate::seller::Door::PerRoute, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = filled(folder.path(), &buyer, &seller).await;
    let elsewhere = Arc::new(MemoryWallet::new());
    let exported = transfer::export(&*wallet).await.unwrap();
    transfer::import(&*elsewhere, exported.expose()).await.unwrap();
    client(elsewhere.clone(), &buyer).settle().await.unwrap();
    let proven = transfer::export(&*elsewhere).await.unwrap();
    let adopted = transfer::import(&*wallet, proven.expose()).await.unwrap();
    assert_eq!(adopted, Adopted { added: 0, proven: 1, known: 1 });
    assert!(wallet.pending(None).await.unwrap().is_empty());
    let accounts = wallet.accounts(&[], std::time::SystemTime::now()).await.unwrap();
    assert_eq!((accounts[0].spent, accounts[0].held), (sat(20), sat(0)));
}

#[tokio::test]
async fn a_damaged_export_is_refused_whole() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
    client(wallet.clone(), &buyer).fetch(&get(&seller.url("/weather"))).await.unwrap();
    let entry = wallet.entries().await.unwrap().remove(0);
    let Entry::Finished(token) = entry else { panic!("{entry:?}") };
    let exported = transfer::export(&*wallet).await.unwrap();
    let preimage = token.preimage.expose_hex();
    for (from, to, named) in [
        (preimage.as_str(), &*"00".repeat(32), "preimage"),
        ("\"honoured\"", "\"loved\"", "standing"),
        ("\"scheme\": \"L402\"", "\"scheme\": \"L403\"", "scheme"),
        ("http://127.0.0.1", "ftp://127.0.0.1", "origin"),
        (&token.hash.to_string(), &"11".repeat(32), "token"),
        ("\"version\": 1", "\"version\": 2", "version 2"),
        ("\"format\": \"tollway-wallet\"", "\"format\": \"purse\"", "`purse`"),
    ] {
        let text = exported.expose().replace(from, to);
        assert_ne!(&text, exported.expose(), "{from}");
        let fresh = MemoryWallet::new();
        let error = transfer::import(&fresh, &text).await.unwrap_err();
        assert!(error.to_string().contains(named), "{named}: {error}");
        assert!(!error.to_string().contains(&preimage));
        assert!(fresh.entries().await.unwrap().is_empty());
    }
    let error = transfer::import(&MemoryWallet::new(), "[]").await.unwrap_err();
    assert!(matches!(error, ImportError::Json(_)));
}

/// Bought by the fake nodes, and written as lnget does.
async fn token_file(buyer: &FakeNode, node: &FakeNode, paid: bool) -> Vec<u8> {
    let hour = std::time::Duration::from_secs(3600);
    let invoice = node.invoice(sat(10), "lnget", hour).await.unwrap();
    let offer = crate::seller::offer(&invoice, &["services=weather:0"]);
    let order = PayOrder { invoice: &invoice, max_fee: sat(1), patience: hour };
    let preimage = match paid {
        true => {
            let Paid { preimage, .. } = buyer.pay(order).await.unwrap();
            *preimage.expose()
        }
        false => [0; 32],
    };
    let macaroon = STANDARD.decode(offer.token.as_str()).unwrap();
    let length = u32::try_from(macaroon.len()).unwrap().to_be_bytes();
    let numbers = [10_000u64, 0, 1_800_000_000_000_000_000].map(u64::to_be_bytes).concat();
    [&length[..], &macaroon, &invoice.payment_hash().0, &preimage, &numbers].concat()
}

#[tokio::test]
async fn what_lnget_has_bought_is_used() {
    let (buyer, node) = FakeNetwork::pair();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, domain: Option<&str>, file: &str, bytes: &[u8]| {
        let folder = folder.path().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), bytes).unwrap();
        if let Some(domain) = domain {
            fs::write(folder.join(".domain"), domain).unwrap();
        }
    };
    let paid = token_file(&buyer, &node, true).await;
    put("127.0.0.1_8080", Some("127.0.0.1:8080\n"), "l402.token", &paid);
    put("api.example.com", None, "lsat.token", &token_file(&buyer, &node, true).await);
    put("b.example.com", None, "l402.token.pending", &token_file(&buyer, &node, false).await);
    put("c.example.com", None, "l402.token", b"junk");
    put("odd", Some("https://x/y"), "l402.token", &token_file(&buyer, &node, true).await);
    fs::write(folder.path().join("a file"), "of no interest").unwrap();

    let store = LngetStore::read(folder.path()).unwrap();
    let read: Vec<_> = store.tokens.iter().map(|t| (t.origin.as_str(), t.scheme.name())).collect();
    assert_eq!(read, [("http://127.0.0.1:8080", "L402"), ("https://api.example.com", "LSAT")]);
    let reasons: Vec<_> = store.passed_over.iter().map(|passed| &passed.why).collect();
    assert!(
        matches!(reasons[..], [PassedOver::Pending(_), PassedOver::Bad(_), PassedOver::Domain(_)]),
        "{reasons:?}"
    );

    // A seller at which such a token opens everything takes it, and nothing more is paid.
    let seller = Seller::start(&node, Rules::default()).await;
    let mut token = store.tokens[0].clone();
    token.origin = seller.url("").parse().unwrap();
    seller.knows(token.hash);
    let wallet: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
    let adopted = wallet.adopt(&[Entry::Finished(token.clone())]).await.unwrap();
    assert_eq!(adopted.added, 1);
    let before = buyer.orders().len();
    let response = client(wallet, &buyer).fetch(&get(&seller.url("/weather"))).await.unwrap();
    assert_eq!(response.payment().receipt().unwrap().hash, token.hash);
    assert_eq!(buyer.orders().len(), before);

    // A wallet in a file keeps it, without an invoice as it came.
    let path = folder.path().join("wallet.db");
    let wallet = SqliteWallet::open(&path).await.unwrap();
    wallet.adopt(&[Entry::Finished(token.clone())]).await.unwrap();
    let wallet = SqliteWallet::open(&path).await.unwrap();
    let Some(Entry::Finished(kept)) = wallet.entry(token.hash).await.unwrap() else { panic!() };
    assert_eq!((kept.amount, kept.invoice, kept.token), (sat(10), None, token.token));
}
