//! Buying where nothing goes wrong.

use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use l402::Msat;
use testkit::{FakeNetwork, FakeNode};
use tollway_client::{
    Client, MemoryWallet, MoneyMoved, Payment, Request, Response, Standing, Step, Terms, Wallet,
};

use crate::seller::{Rules, Seller};

pub(crate) fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

pub(crate) fn terms() -> Terms {
    Terms::up_to(sat(100))
}

pub(crate) fn client(buyer: &FakeNode) -> Client {
    let wallet = Arc::new(MemoryWallet::new());
    Client::builder(wallet, terms()).payer(buyer.payer()).build().unwrap()
}

pub(crate) async fn text(response: Response) -> String {
    String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap()
}

/// Waits for what comes at once unless the test has failed.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(30);
    tokio::time::timeout(limit, what).await.expect("it comes in time")
}

pub(crate) fn get(url: &str) -> Request {
    Request::get(url).unwrap()
}

#[tokio::test]
async fn what_is_paid_for_is_delivered_and_the_token_used_again() {
    let (buyer, node) = FakeNetwork::pair();
    buyer.on().set_fee(Msat::from_msat(1_500));
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);

    let response = client.fetch(&get(&seller.url("/weather/berlin"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let Payment::Bought(receipt) = response.payment().clone() else {
        panic!("{:?}", response.payment())
    };
    assert_eq!((receipt.amount, receipt.fee), (sat(10), Msat::from_msat(1_500)));
    assert_eq!(receipt.description.as_deref(), Some("weather"));
    assert_eq!((receipt.standing, receipt.scheme), (Standing::Honoured, "L402"));
    assert_eq!(text(response).await, "GET /weather/berlin ");
    assert_eq!(client.spent(), Msat::from_msat(11_500));

    let again = client.fetch(&get(&seller.url("/weather/berlin"))).await.unwrap();
    assert_eq!(again.payment(), &Payment::Token(receipt.clone()));
    assert_eq!(node.received(), [(receipt.hash, sat(10))]);
    // One invoice was made: the challenge that was answered is the one that was paid.
    assert_eq!((seller.heard().len(), node.invoices()), (3, 1));
    assert_eq!(client.receipts().await.unwrap(), [receipt]);
    assert!(client.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_free_is_not_paid_and_opens_no_node() {
    let (_, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(MemoryWallet::new());
    let never = || async { panic!("the node was opened for nothing") };
    let client = Client::builder(wallet, terms()).payer_source(never).build().unwrap();

    let response = client.fetch(&get(&seller.url("/free"))).await.unwrap();
    assert_eq!(response.payment(), &Payment::None);
    assert_eq!(text(response).await, "GET /free ");
}

#[tokio::test]
async fn method_headers_and_body_are_sent_again_with_the_proof() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let url = seller.url("/forecast?days=3").parse().unwrap();
    let request = Request::new(Method::POST, url).unwrap().body("{\"city\":\"berlin\"}");
    let request = request.header("x-one".parse().unwrap(), "a, b".parse().unwrap());
    let request = request.header("x-one".parse().unwrap(), "\"c\"".parse().unwrap());

    let response = client(&buyer).fetch(&request).await.unwrap();
    assert_eq!(text(response).await, "POST /forecast {\"city\":\"berlin\"}");
    let heard = seller.heard();
    assert_eq!(heard.len(), 2);
    for heard in &heard {
        let values: Vec<_> = heard.headers.get_all("x-one").iter().collect();
        assert_eq!(values, ["a, b", "\"c\""]);
        assert_eq!(heard.headers["content-length"], "17");
        assert_eq!(
            (&heard.method, &heard.body[..]),
            (&Method::POST, &b"{\"city\":\"berlin\"}"[..])
        );
    }
    assert!(heard[0].authorization().is_empty());
    assert!(heard[1].authorization()[0].starts_with("L402 "));
}

#[tokio::test]
async fn every_step_of_a_purchase_is_seen_in_order() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let seen = Mutex::new(Vec::new());
    let watch = |step: &Step<'_>| seen.lock().unwrap().push(step.name());

    client.fetch_observed(&get(&seller.url("/weather")), &watch).await.unwrap();
    let purchase = [
        "asking",
        "answered",
        "challenged",
        "turn",
        "held",
        "begun",
        "paying",
        "paid",
        "proven",
        "sent-again",
        "done",
    ];
    assert_eq!(*seen.lock().unwrap(), purchase);
    assert!(purchase.iter().all(|name| Step::NAMES.contains(name)));

    seen.lock().unwrap().clear();
    client.fetch_observed(&get(&seller.url("/weather")), &watch).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["asking", "answered", "done"]);
}

#[tokio::test]
async fn a_client_without_a_node_says_so() {
    let (_, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = Client::builder(Arc::new(MemoryWallet::new()), terms()).build().unwrap();
    let error = client.fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert_eq!(error.to_string(), "payment is asked, and there is no node to pay with");
    assert_eq!(error.money_moved(), MoneyMoved::No);
}

/// Whatever is printed of a purchase, what was bought cannot be taken from it.
#[tokio::test]
async fn nothing_that_prints_shows_the_proof() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(MemoryWallet::new());
    let client = Client::builder(wallet.clone(), terms()).payer(buyer.payer()).build().unwrap();
    let seen = Mutex::new(String::new());
    let watch = |step: &Step<'_>| seen.lock().unwrap().push_str(&format!("{step:?}"));
    let request = get(&seller.url("/weather"));
    let response = client.fetch_observed(&request, &watch).await.unwrap();

    let token = wallet.find(request.origin(), request.path()).await.unwrap().remove(0);
    let (preimage, text) = (token.preimage.expose_hex(), token.token.as_str());
    let mut printed = seen.into_inner().unwrap();
    printed.push_str(&format!("{response:?} {client:?} {wallet:?} {token:?} {request:?}"));
    let bytes = format!("{:?}", token.preimage.expose());
    assert!(!printed.contains(&preimage) && !printed.contains(&bytes), "{printed}");
    assert!(!printed.contains(text), "{printed}");
}
