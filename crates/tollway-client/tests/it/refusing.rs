//! What is not paid, and that not paying it costs nothing.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use l402::flow::{FlowError, NotTaken};
use l402::{Invoicer, Msat, Network, Refused};
use testkit::{FakeNetwork, FakeNode};
use tollway_client::{Client, Error, MemoryWallet, MoneyMoved, Payment, Terms};

use crate::buying::{client, get, sat, terms};
use crate::seller::{Offer, Rules, Seller};

const HOUR: Duration = Duration::from_secs(3600);

/// Asks, and expects to be refused by the client with nothing ordered and nothing left behind.
async fn refused(buyer: &FakeNode, rules: Rules, terms: Terms) -> Error {
    let node = buyer.on().node(Msat::ZERO);
    let seller = Seller::start(&node, rules).await;
    let wallet = Arc::new(MemoryWallet::new());
    let client = Client::builder(wallet, terms).payer(buyer.payer()).build().unwrap();
    let error = client.fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert_eq!(error.money_moved(), MoneyMoved::No);
    assert!(buyer.orders().is_empty());
    assert!(client.pending().await.unwrap().is_empty());
    assert_eq!((client.held(), client.spent()), (Msat::ZERO, Msat::ZERO));
    error
}

fn not_taken(error: &Error) -> &NotTaken {
    match error {
        Error::Terms(FlowError::NoOffer(offers)) => &offers[0].1,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn more_than_was_agreed_to_is_not_paid() {
    let (buyer, _) = FakeNetwork::pair();
    let rules = Rules { price: Msat::from_msat(100_001), ..Rules::default() };
    let error = refused(&buyer, rules, terms()).await;
    let NotTaken::TooDear { asked, max_cost } = not_taken(&error) else { panic!("{error:?}") };
    assert_eq!((*asked, *max_cost), (Msat::from_msat(100_001), sat(100)));
}

#[tokio::test]
async fn a_request_may_have_terms_of_its_own() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules { price: sat(500), ..Rules::default() }).await;
    let request = get(&seller.url("/weather")).terms(Terms::up_to(sat(500)));
    client(&buyer).fetch(&request).await.unwrap();
    assert_eq!(node.received_total(), sat(500));
}

#[tokio::test]
async fn the_fee_limit_is_the_nodes_to_keep_and_is_told_to_it() {
    let (buyer, node) = FakeNetwork::pair();
    buyer.on().set_fee(Msat::from_msat(10_001));
    let seller = Seller::start(&node, Rules::default()).await;
    let error = client(&buyer).fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert!(matches!(error, Error::NotPaid { why: l402::Why::NoRoute, .. }), "{error:?}");
    let dearer = Terms { max_fee: Msat::from_msat(10_001), ..terms() };
    let request = get(&seller.url("/weather")).terms(dearer);
    client(&buyer).fetch(&request).await.unwrap();
}

#[tokio::test]
async fn a_budget_ends_and_counts_routing() {
    let (buyer, node) = FakeNetwork::pair();
    buyer.on().set_fee(sat(1));
    let rules = Rules { caveats: vec![], door: crate::seller::Door::PerRoute, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let wallet = Arc::new(MemoryWallet::new());
    let client = Client::builder(wallet, terms()).payer(buyer.payer()).budget(sat(31));
    let client = client.build().unwrap();
    client.fetch(&get(&seller.url("/a"))).await.unwrap();
    client.fetch(&get(&seller.url("/b"))).await.unwrap();
    let error = client.fetch(&get(&seller.url("/c"))).await.unwrap_err();
    let Error::OverBudget(over) = error else { panic!("{error:?}") };
    assert_eq!((over.asked, over.left), (sat(20), sat(9)));
    assert_eq!(client.spent(), sat(22));
    assert!(client.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_expired_invoice_is_not_paid() {
    let (buyer, _) = FakeNetwork::pair();
    let old = buyer.on().foreign_invoice(sat(1), HOUR, Duration::from_secs(60));
    let error = refused(&buyer, offering(&old), terms()).await;
    assert_eq!(not_taken(&error), &NotTaken::Expired);
}

#[tokio::test]
async fn an_invoice_of_another_network_is_not_paid() {
    let (buyer, _) = FakeNetwork::pair();
    let elsewhere = FakeNetwork::on(Network::Mainnet).node(Msat::ZERO);
    let invoice = elsewhere.invoice(sat(1), "x", HOUR).await.unwrap();
    let error = refused(&buyer, offering(&invoice), terms()).await;
    let NotTaken::WrongNetwork { invoice, ours } = not_taken(&error) else { panic!("{error:?}") };
    assert_eq!((*invoice, *ours), (Network::Mainnet, Network::Regtest));
}

/// A proxy, or the seller, shows somebody else's bill next to a token of its own.
#[tokio::test]
async fn a_swapped_invoice_is_not_paid() {
    let (buyer, victim) = FakeNetwork::pair();
    let bill = victim.invoice(sat(1), "somebody else's", HOUR).await.unwrap();
    let rules = Rules { offer: Offer::Invoice(Box::new(bill)), ..Rules::default() };
    let error = refused(&buyer, rules, terms()).await;
    let swapped = matches!(not_taken(&error), NotTaken::Refused(Refused::Swapped { .. }));
    assert!(swapped, "{error:?}");
}

/// Amounts in whole bitcoin are what readers of an invoice's prefix take for no amount at all.
#[tokio::test]
async fn two_bitcoin_are_too_dear_however_an_invoice_writes_them() {
    let (buyer, node) = FakeNetwork::pair();
    let coins = node.invoice(sat(200_000_000), "x", HOUR).await.unwrap();
    let error = refused(&buyer, offering(&coins), terms()).await;
    let NotTaken::TooDear { asked, .. } = not_taken(&error) else { panic!("{error:?}") };
    assert_eq!(*asked, sat(200_000_000));
}

#[tokio::test]
async fn a_token_that_shows_no_payment_is_refused_where_that_is_asked() {
    let (buyer, node) = FakeNetwork::pair();
    let invoice = node.invoice(sat(1), "x", HOUR).await.unwrap();
    let line = format!(r#"L402 token="opaque", invoice="{invoice}""#);
    let rules = Rules { offer: Offer::Lines(vec![line]), ..Rules::default() };
    let strict = Terms { require_bound: true, ..terms() };
    let error = refused(&buyer, rules, strict).await;
    assert_eq!(not_taken(&error), &NotTaken::Unbound);
}

#[tokio::test]
async fn a_402_that_asks_in_no_way_we_speak_is_an_error() {
    let (buyer, _) = FakeNetwork::pair();
    for lines in [vec![], vec!["Digest id=\"x\"".to_owned()], vec!["Basic realm=\"x\"".to_owned()]]
    {
        let rules = Rules { offer: Offer::Lines(lines), ..Rules::default() };
        let error = refused(&buyer, rules, terms()).await;
        assert!(matches!(error, Error::Terms(FlowError::NoChallenge)), "{error:?}");
    }
}

/// A challenge on any other status is no bill.
#[tokio::test]
async fn only_a_402_is_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let invoice = node.invoice(sat(1), "x", HOUR).await.unwrap();
    let lines = lines(&invoice);
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
        let mut rules = Rules { behind: status, ..Rules::default() };
        rules.free.push("/weather".to_owned());
        let challenges = lines.iter().map(|line| (WWW_AUTHENTICATE, line.clone()));
        rules.behind_headers = challenges.collect();
        let seller = Seller::start(&node, rules).await;
        let response = client(&buyer).fetch(&get(&seller.url("/weather"))).await.unwrap();
        assert_eq!((response.status(), response.payment()), (status, &Payment::None));
        assert_eq!(seller.heard().len(), 1);
    }
    assert!(buyer.orders().is_empty());
}

/// What cannot be taken does not stand in the way of what can.
#[tokio::test]
async fn a_bad_offer_beside_a_good_one_is_passed_over() {
    let (buyer, node) = FakeNetwork::pair();
    let good = node.invoice(sat(2), "x", HOUR).await.unwrap();
    let dear = node.invoice(sat(1_000), "x", HOUR).await.unwrap();
    let mut offers = vec![
        "L402 macaroon=\"x\", invoice=\"lnbc1\"".to_owned(),
        "Payment id=\"1\"".to_owned(),
        "LSAT macaroon=\"\"".to_owned(),
    ];
    offers.extend(lines(&dear));
    offers.extend(lines(&good));
    let rules = Rules { offer: Offer::Lines(offers), ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    client(&buyer).fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert_eq!(node.received(), [(good.payment_hash(), sat(2))]);
}

#[tokio::test]
async fn the_cheapest_offer_is_paid_in_its_own_scheme() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { offer: Offer::Honest(Some("LSAT")), ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    client.fetch(&get(&seller.url("/weather"))).await.unwrap();
    client.fetch(&get(&seller.url("/weather"))).await.unwrap();
    let heard = seller.heard();
    assert_eq!(heard.len(), 3);
    // The server that speaks only the old name is answered by it, each time.
    assert!(heard[1..].iter().all(|heard| heard.authorization()[0].starts_with("LSAT ")));
}

fn offering(invoice: &l402::Invoice) -> Rules {
    Rules { offer: Offer::Lines(lines(invoice)), ..Rules::default() }
}

/// The lines of an offer of that invoice, with a token for it.
pub(crate) fn lines(invoice: &l402::Invoice) -> Vec<String> {
    let keyring = l402::Keyring::new(l402::MasterKey::new([9; 32]), vec![]);
    let token = keyring.mint(invoice.payment_hash(), [1; 28], ["services=weather:0"]);
    let lines = l402::scheme::ask(&token, invoice);
    lines.map(|line| line.to_str().unwrap().to_owned()).collect()
}
