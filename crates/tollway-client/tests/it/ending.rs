//! The three endings of a payment, and what the next call does about each.

use std::sync::Arc;
use std::time::Duration;

use l402::{Msat, NodeErrorKind, Payer, PaymentHash, Why};
use testkit::{Act, FakeNetwork, FakeNode, Link};
use tollway_client::{
    Client, Ending, Error, MemoryWallet, MoneyMoved, PayerSource, Payment, Step, Terms, Wallet,
};

use crate::buying::{client, get, sat, terms, text};
use crate::refusing::lines;
use crate::seller::{NO_LIMITS, Offer, Rules, Seller, begun, offer};

/// A client that waits for a payment no longer than a test may take.
fn hasty(buyer: &FakeNode) -> Client {
    let terms = Terms { patience: Duration::from_millis(30), ..terms() };
    let wallet = Arc::new(MemoryWallet::new());
    Client::builder(wallet, terms).payer(buyer.payer()).build().unwrap()
}

fn unknown(error: Error) -> PaymentHash {
    let Error::Unknown { hash, .. } = error else { panic!("{error:?}") };
    assert_eq!((error.money_moved(), error.payment()), (MoneyMoved::Unknown, Some(hash)));
    hash
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_the_payment_is_used_the_next_time() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));

    buyer.next(Act::LoseReply);
    let hash = unknown(client.fetch(&request).await.unwrap_err());
    assert_eq!(client.held(), sat(20), "the amount and the fee limit stay set aside");
    assert_eq!(client.pending().await.unwrap()[0].hash(), hash);

    let response = client.fetch(&request).await.unwrap();
    let Payment::Recovered(receipt) = response.payment() else { panic!("{response:?}") };
    assert_eq!(receipt.hash, hash);
    assert_eq!(node.received(), [(hash, sat(10))]);
    assert_eq!((client.held(), client.spent()), (Msat::ZERO, sat(10)));
    assert_eq!(buyer.orders(), [hash]);
}

/// The proof is learned, and then the server does not answer: the money counts as gone.
#[tokio::test]
async fn no_answer_to_a_recovered_proof_does_not_read_as_unpaid() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));
    buyer.next(Act::LoseReply);
    let hash = unknown(client.fetch(&request).await.unwrap_err());
    seller.rules().breaks = true;
    let error = client.fetch(&request).await.unwrap_err();
    assert_eq!((error.money_moved(), error.payment()), (MoneyMoved::Yes, Some(hash)));
    assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_payment_that_is_still_on_its_way_is_not_made_again() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = hasty(&buyer);
    let request = get(&seller.url("/weather"));

    let late = buyer.next(Act::PayLate);
    let hash = unknown(client.fetch(&request).await.unwrap_err());
    for _ in 0..3 {
        assert_eq!(unknown(client.fetch(&request).await.unwrap_err()), hash);
    }
    assert_eq!(buyer.orders(), [hash]);
    late.proceed();
    let response = client.fetch(&request).await.unwrap();
    assert!(matches!(response.payment(), Payment::Recovered(receipt) if receipt.hash == hash));
    assert_eq!(node.received(), [(hash, sat(10))]);
}

#[tokio::test]
async fn a_payment_that_came_back_is_made_once_more_with_the_same_invoice() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = hasty(&buyer);
    let request = get(&seller.url("/weather"));

    let late = buyer.next(Act::PayLate);
    let hash = unknown(client.fetch(&request).await.unwrap_err());
    late.fail(Why::NoRoute);
    let response = client.fetch(&request).await.unwrap();
    let Payment::Bought(receipt) = response.payment() else { panic!("{response:?}") };
    assert_eq!(receipt.hash, hash, "never two live invoices for one thing");
    assert_eq!(node.received(), [(hash, sat(10))]);
    assert_eq!((client.held(), client.spent()), (Msat::ZERO, sat(10)));
}

#[tokio::test]
async fn a_payment_that_came_back_too_late_is_forgotten_and_a_new_one_made() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(MemoryWallet::new());
    let request = get(&seller.url("/weather"));

    let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
    let expired = buyer.on().foreign_invoice(sat(10), hour, minute);
    let begun = begun(&request, offer(&expired, &["services=weather:0"]));
    let turn = wallet.turn(request.origin(), &|| {}).await.unwrap();
    wallet.begin(&turn, &begun, NO_LIMITS).await.unwrap();
    drop(turn);

    let client = Client::builder(wallet, terms()).payer(buyer.payer()).build().unwrap();
    let response = client.fetch(&request).await.unwrap();
    let Payment::Bought(receipt) = response.payment() else { panic!("{response:?}") };
    assert_eq!(node.received(), [(receipt.hash, sat(10))]);
    assert_eq!(buyer.orders(), [receipt.hash]);
    assert!(client.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_came_back_is_not_paid_when_todays_terms_do_not_allow_it() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = hasty(&buyer);
    let request = get(&seller.url("/weather"));
    let late = buyer.next(Act::PayLate);
    let hash = unknown(client.fetch(&request).await.unwrap_err());
    late.fail(Why::NoRoute);

    // The server has become cheaper, and the old invoice can still be paid.
    seller.rules().price = sat(1);
    let cheap = request.clone().terms(Terms::up_to(sat(5)));
    let error = client.fetch(&cheap).await.unwrap_err();
    assert_eq!(error.to_string(), "it asks 10 sat, and at most 5 sat was agreed to");
    assert_eq!(error.money_moved(), MoneyMoved::No);
    assert_eq!(client.pending().await.unwrap()[0].hash(), hash);
    assert!(node.received().is_empty());
}

#[tokio::test]
async fn what_the_node_did_not_pay_is_struck_out_and_its_hold_released() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));

    for (act, expected) in [
        (Act::Refuse(Why::NoRoute), Why::NoRoute),
        (Act::Refuse(Why::Balance), Why::Balance),
        (Act::Unreachable, Why::Unreachable),
    ] {
        buyer.next(act);
        let error = client.fetch(&request).await.unwrap_err();
        assert_eq!(error.money_moved(), MoneyMoved::No);
        assert!(matches!(error, Error::NotPaid { why, .. } if why == expected), "{error:?}");
        assert_eq!((client.held(), client.spent()), (Msat::ZERO, Msat::ZERO));
        assert!(client.pending().await.unwrap().is_empty());
    }
    let response = client.fetch(&request).await.unwrap();
    assert_eq!(text(response).await, "GET /weather ");
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn a_node_that_hangs_is_unknown_when_patience_ends() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = hasty(&buyer);
    let request = get(&seller.url("/weather"));

    buyer.next(Act::Hang);
    let hash = unknown(client.fetch(&request).await.unwrap_err());
    assert_eq!(unknown(client.fetch(&request).await.unwrap_err()), hash);
    assert_eq!(buyer.orders(), [hash]);
}

#[tokio::test]
async fn a_node_that_cannot_be_asked_how_it_ended_is_not_told_to_pay() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = hasty(&buyer);
    let request = get(&seller.url("/weather"));
    buyer.next(Act::LoseReply);
    let hash = unknown(client.fetch(&request).await.unwrap_err());

    for (link, kind) in
        [(Link::Down, NodeErrorKind::Unreachable), (Link::Stuck, NodeErrorKind::Timeout)]
    {
        buyer.set_link(link);
        let error = client.fetch(&request).await.unwrap_err();
        let Error::Unknown { hash: named, source: Some(source) } = error else {
            panic!("{error:?}")
        };
        assert_eq!((named, source.kind), (hash, kind));
    }
    buyer.set_link(Link::Up);
    client.fetch(&request).await.unwrap();
    assert_eq!(node.received(), [(hash, sat(10))]);
}

/// A driver that breaks the contract: it never returns.
#[derive(Debug)]
struct Sleeper(FakeNode);

#[async_trait::async_trait]
impl Payer for Sleeper {
    fn network(&self) -> l402::Network {
        self.0.payer().network()
    }

    async fn pay(&self, _: l402::PayOrder<'_>) -> Result<l402::Paid, l402::PayError> {
        std::future::pending().await
    }

    async fn outcome(&self, hash: PaymentHash) -> Result<l402::Outcome, l402::NodeError> {
        self.0.payer().outcome(hash).await
    }
}

#[tokio::test]
async fn a_driver_that_never_returns_does_not_hold_us_for_ever() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(MemoryWallet::new());
    let payer = Arc::new(Sleeper(buyer));
    let client = Client::builder(wallet, terms()).payer(payer).build().unwrap();
    // The clock stands still from when the order is given, and then leaps to where we give up.
    let stop_the_clock = |step: &Step<'_>| {
        if step.name() == "paying" {
            tokio::time::pause();
        }
    };
    let request = get(&seller.url("/weather"));
    let call = client.fetch_observed(&request, &stop_the_clock);
    let ended = tokio::time::timeout(Duration::from_secs(1000), call).await;
    unknown(ended.expect("it is given up").unwrap_err());
}

#[tokio::test]
async fn a_preimage_that_proves_nothing_is_in_doubt_and_never_paid_again() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));

    buyer.next(Act::WrongPreimage);
    for _ in 0..3 {
        let error = client.fetch(&request).await.unwrap_err();
        assert_eq!(error.money_moved(), MoneyMoved::Unknown);
        assert!(matches!(error, Error::WrongPreimage { .. }), "{error:?}");
    }
    assert_eq!((buyer.orders().len(), node.received().len()), (1, 1));
    assert_eq!(client.held(), sat(20));
    assert!(client.receipts().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_unknown_payment_for_one_thing_is_no_reason_not_to_buy_another() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { caveats: vec![], ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = hasty(&buyer);
    buyer.next(Act::Hang);
    unknown(client.fetch(&get(&seller.url("/a"))).await.unwrap_err());
    client.fetch(&get(&seller.url("/b"))).await.unwrap();
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn an_unknown_payment_for_a_service_stands_for_all_its_paths() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = hasty(&buyer);
    buyer.next(Act::Hang);
    let hash = unknown(client.fetch(&get(&seller.url("/weather/berlin"))).await.unwrap_err());
    let other = client.fetch(&get(&seller.url("/weather/paris"))).await;
    assert_eq!(unknown(other.unwrap_err()), hash);
}

#[tokio::test]
async fn another_network_s_node_is_not_asked_about_a_payment() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(MemoryWallet::new());
    let client = Client::builder(wallet.clone(), terms()).payer(buyer.payer()).build().unwrap();
    let request = get(&seller.url("/weather"));
    buyer.next(Act::LoseReply);
    let hash = unknown(client.fetch(&request).await.unwrap_err());

    // Another node on another network, and a seller that has moved there too.
    let elsewhere = FakeNetwork::on(l402::Network::Signet);
    let (other, other_seller) = (elsewhere.node(sat(1000)), elsewhere.node(Msat::ZERO));
    let client = Client::builder(wallet, terms()).payer(other.payer()).build().unwrap();
    let invoice = l402::Invoicer::invoice(&other_seller, sat(1), "x", Duration::from_secs(3600));
    seller.rules().offer = Offer::Lines(lines(&invoice.await.unwrap()));
    assert_eq!(unknown(client.fetch(&request).await.unwrap_err()), hash);
    assert!(other.orders().is_empty());
}

/// A node with a name.
struct Named(&'static str, FakeNode);

#[async_trait::async_trait]
impl PayerSource for Named {
    async fn open(&self) -> Result<Arc<dyn Payer>, l402::OpenError> {
        Ok(self.1.payer())
    }

    fn name(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

/// A node that was never told of a payment would say that it was not made.
#[tokio::test]
async fn only_the_node_that_was_told_to_pay_is_asked_how_it_ended() {
    let (buyer, node) = FakeNetwork::pair();
    let other = buyer.on().node(sat(1000));
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(MemoryWallet::new());
    let client = |name, node: &FakeNode| {
        let source = Named(name, node.clone());
        Client::builder(wallet.clone(), terms()).payer_source(source).build().unwrap()
    };
    let request = get(&seller.url("/weather"));
    buyer.next(Act::LoseReply);
    let hash = unknown(client("one", &buyer).fetch(&request).await.unwrap_err());
    let error = client("other", &other).fetch(&request).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.source().unwrap().to_string().contains("another node"), "{cause:?}");
    assert_eq!(unknown(error), hash);
    assert!(other.orders().is_empty());
    let response = client("one", &buyer).fetch(&request).await.unwrap();
    assert!(matches!(response.payment(), Payment::Recovered(_)));
    assert_eq!(node.received(), [(hash, sat(10))]);
}

#[tokio::test]
async fn everything_that_was_begun_can_be_settled_without_asking_a_server() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules { caveats: vec![], ..Rules::default() }).await;
    let client = hasty(&buyer);
    let mut hashes = Vec::new();
    let cues = [Act::LoseReply, Act::PayLate, Act::Hang].map(|act| buyer.next(act));
    for path in ["/paid", "/not", "/hangs"] {
        hashes.push(unknown(client.fetch(&get(&seller.url(path))).await.unwrap_err()));
    }
    cues[1].fail(Why::NoRoute);
    let asked = seller.heard().len();

    let endings = client.settle().await.unwrap();
    let [Ending::Paid(receipt), Ending::NotPaid(not), Ending::Unknown(hangs)] = &endings[..] else {
        panic!("{endings:?}")
    };
    assert_eq!([receipt.hash, *not, *hangs], hashes[..]);
    assert_eq!((client.spent(), client.held()), (sat(10), sat(20)));
    assert_eq!(seller.heard().len(), asked);
    // What was not paid and still can be stays, so that no second invoice is paid beside it.
    let left: Vec<_> = client.pending().await.unwrap().iter().map(|begun| begun.hash()).collect();
    assert_eq!(left, hashes[1..]);
    let response = client.fetch(&get(&seller.url("/paid"))).await.unwrap();
    assert!(matches!(response.payment(), Payment::Token(_)));
}
