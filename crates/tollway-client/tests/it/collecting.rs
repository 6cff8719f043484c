//! What was paid for and did not come, asked for again: never paid again.

use std::sync::Arc;

use http::StatusCode;
use l402::PaymentHash;
use testkit::{FakeNetwork, FakeNode};
use tollway_client::{
    Client, Error, MemoryWallet, MoneyMoved, Payment, Quote, Request, SqliteWallet, Standing,
    Unobserved, Wallet, WalletKey,
};

use crate::buying::{get, sat, terms, text};
use crate::seller::{Door, Rules, Seller};

fn client(buyer: &FakeNode, wallet: &Arc<dyn Wallet>) -> Client {
    Client::builder(Arc::clone(wallet), terms()).payer(buyer.payer()).build().unwrap()
}

/// In memory, in a file, and in a file that is sealed.
async fn wallets() -> (tempfile::TempDir, [Arc<dyn Wallet>; 3]) {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| SqliteWallet::open(folder.path().join(name).join("wallet.db"));
    let (file, sealed) = (open("plain").await.unwrap(), open("sealed").await.unwrap());
    sealed.seal(&WalletKey::generate().0).await.unwrap();
    (folder, [Arc::new(MemoryWallet::new()), Arc::new(file), Arc::new(sealed)])
}

/// Pays, and the connection breaks.
async fn pay_in_vain(client: &Client, seller: &Seller, request: &Request) -> PaymentHash {
    seller.rules().breaks = true;
    let error = client.fetch(request).await.unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
    seller.rules().breaks = false;
    error.payment().unwrap()
}

/// Whether any file in there has that text in it.
fn holds(folder: &std::path::Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files = files.filter(|path| path.is_file()).map(|path| std::fs::read(path).unwrap());
    files.any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test]
async fn what_did_not_come_is_known_by_its_query_until_it_has() {
    let (folder, wallets) = wallets().await;
    for wallet in wallets {
        let (buyer, node) = FakeNetwork::pair();
        let seller = Seller::start(&node, Rules::default()).await;
        let client = client(&buyer, &wallet);
        let asked = get(&seller.url("/weather?key=hunter2"));
        let hash = pay_in_vain(&client, &seller, &asked).await;
        let owed = wallet.entry(hash).await.unwrap().unwrap().token().unwrap().clone();
        assert!(!format!("{owed:?}").contains("hunter2"));
        let again = owed.request().expect("it had no body and no answer");
        assert_eq!(again.url(), asked.url());
        assert!(!holds(&folder.path().join("sealed"), "hunter2"), "it may be a secret");

        // Nobody else uses what its buyer has not used yet.
        let quoted = client.quote(&again).await.unwrap();
        assert!(matches!(quoted, Quote::Price(_)), "{quoted:?}");
        let collected = client.collect(&again, hash, &Unobserved).await.unwrap();
        let Quote::Answered(response) = collected else { panic!("{collected:?}") };
        assert!(matches!(response.payment(), Payment::Token(receipt) if receipt.hash == hash));
        assert_eq!(text(*response).await, "GET /weather ");
        assert_eq!(node.received(), [(hash, sat(10))]);

        let entry = wallet.entry(hash).await.unwrap().unwrap();
        let token = entry.token().unwrap();
        assert_eq!(token.standing, Standing::Honoured);
        assert!(token.request().is_none(), "an answer has come, and the query is gone");
    }
}

#[tokio::test]
async fn a_proof_that_is_refused_is_not_replaced() {
    for door in [Door::Never(StatusCode::PAYMENT_REQUIRED), Door::Never(StatusCode::UNAUTHORIZED)] {
        let wallet: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
        let (buyer, node) = FakeNetwork::pair();
        let seller = Seller::start(&node, Rules::default()).await;
        let client = client(&buyer, &wallet);
        let request = get(&seller.url("/weather"));
        let hash = pay_in_vain(&client, &seller, &request).await;
        seller.rules().door = door;
        let error = client.collect(&request, hash, &Unobserved).await.unwrap_err();
        assert!(matches!(error, Error::StillRefused { .. }), "{error:?}");
        assert_eq!((error.money_moved(), error.payment()), (MoneyMoved::No, Some(hash)));
        assert_eq!(buyer.orders(), [hash]);
    }
}

/// Another token is not shown in its place, and where this one opens nothing the price is said.
#[tokio::test]
async fn only_the_proof_that_is_named_is_shown() {
    let wallet: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: Door::PerRoute, caveats: vec![], ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer, &wallet);
    let hash = pay_in_vain(&client, &seller, &get(&seller.url("/a"))).await;
    client.fetch(&get(&seller.url("/b"))).await.unwrap();
    let quoted = client.collect(&get(&seller.url("/b")), hash, &Unobserved).await.unwrap();
    assert!(matches!(quoted, Quote::Price(_)), "{quoted:?}");
    assert_eq!(buyer.orders().len(), 2);
}

/// Text that a server chose, by a redirect, is not read as something that the wallet has sealed.
#[tokio::test]
async fn a_query_is_never_taken_for_something_sealed() {
    let (_folder, wallets) = wallets().await;
    for wallet in wallets {
        for query in ["sealed1:AAAA", "", "?", "?sealed1:"] {
            let (buyer, node) = FakeNetwork::pair();
            let seller = Seller::start(&node, Rules::default()).await;
            let client = client(&buyer, &wallet);
            let request = get(&seller.url(&format!("/weather?{query}")));
            let hash = pay_in_vain(&client, &seller, &request).await;
            let entry = wallet.entry(hash).await.unwrap().unwrap();
            let kept = entry.token().unwrap().query.as_ref().unwrap().expose().clone();
            assert_eq!(kept, query);
            client.collect(&request, hash, &Unobserved).await.unwrap();
        }
        assert_eq!(wallet.entries().await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn a_request_with_a_body_is_not_kept() {
    let wallet: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer, &wallet);
    let url = seller.url("/order").parse().unwrap();
    let request = Request::new(http::Method::POST, url).unwrap().body("x");
    let hash = pay_in_vain(&client, &seller, &request).await;
    let entry = wallet.entry(hash).await.unwrap().unwrap();
    assert!(entry.token().unwrap().request().is_none());
}
