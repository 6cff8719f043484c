//! A request with an `Authorization` of its own: HTTP has one such line, and so has the proof.

use std::sync::Arc;

use l402::flow::{FlowError, NotTaken};
use l402::scheme::Field;
use testkit::FakeNetwork;
use tollway_client::{Client, Error, MemoryWallet, MoneyMoved, Payment, Request};

use crate::buying::{client, get, terms};
use crate::seller::{Offer, Rules, Seller};

async fn is_bought(client: &Client, request: &Request) -> bool {
    let response = client.fetch(request).await.unwrap();
    matches!(response.payment(), Payment::Bought(_))
}

fn with_bearer(request: Request) -> Request {
    request.header("authorization".parse().unwrap(), "Bearer x".parse().unwrap())
}

fn is_header_taken(error: &Error) -> bool {
    let Error::Terms(FlowError::NoOffer(reasons)) = error else { return false };
    reasons.iter().any(|(_, why)| *why == NotTaken::HeaderTaken("authorization"))
}

/// A request has one `Authorization` line: with the caller's own in it nothing is paid whose proof
/// would be a second, and a token in the wallet is neither shown nor bought once more.
#[tokio::test]
async fn with_an_authorization_of_ones_own_nothing_is_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let error = client.fetch(&with_bearer(get(&seller.url("/a")))).await.unwrap_err();
    assert!(is_header_taken(&error), "{error:?}");
    assert_eq!((error.money_moved(), buyer.orders().len()), (MoneyMoved::No, 0));

    assert!(is_bought(&client, &get(&seller.url("/a"))).await);
    let error = client.fetch(&with_bearer(get(&seller.url("/a")))).await.unwrap_err();
    assert!(is_header_taken(&error), "{error:?}");
    assert_eq!(seller.heard().last().unwrap().authorization(), ["Bearer x"]);
    assert_eq!(buyer.orders().len(), 1);
}

/// What was paid for stands before an offer that leaves the line free.
#[tokio::test]
async fn a_proof_that_has_no_place_is_not_replaced_by_another_purchase() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    assert!(is_bought(&client, &get(&seller.url("/a"))).await);
    seller.rules().offer = Offer::Charge(Field::PaymentAuthorization);
    let error = client.fetch(&with_bearer(get(&seller.url("/a")))).await.unwrap_err();
    assert!(is_header_taken(&error), "{error:?}");
    assert_eq!(buyer.orders().len(), 1);
}

/// A server that is known to read every line gets the caller's own behind ours.
#[tokio::test]
async fn two_authorization_lines_are_sent_to_whom_the_caller_knows_to_read_both() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = Client::builder(Arc::new(MemoryWallet::new()), terms()).payer(buyer.payer());
    let client = client.second_authorization().build().unwrap();
    assert!(is_bought(&client, &with_bearer(get(&seller.url("/a")))).await);
    let heard = seller.heard();
    assert_eq!(heard[0].authorization(), ["Bearer x"]);
    let [ours, theirs] = heard[1].authorization()[..] else { panic!("{heard:?}") };
    assert!(ours.starts_with("L402 "));
    assert_eq!(theirs, "Bearer x");
}
