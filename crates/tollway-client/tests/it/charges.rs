//! Buying single requests: the `Payment` scheme. One payment, one delivery.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use l402::flow::{FlowError, NotTaken};
use l402::scheme::Field;
use l402::{Invoicer, Paid, PayOrder, Payer};
use testkit::{Act, FakeNetwork, FakeNode};
use tollway_client::{
    Client, Error, MemoryWallet, Payment, Request, SqliteWallet, Standing, Wallet,
};

use crate::buying::{client, get, sat, soon, terms, text};
use crate::seller::{NO_LIMITS, Offer, Rules, Seller, begun};

fn charging(field: Field) -> Rules {
    Rules { offer: Offer::Charge(field), ..Rules::default() }
}

async fn start(field: Field) -> (FakeNode, FakeNode, Seller) {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, charging(field)).await;
    (buyer, node, seller)
}

#[tokio::test]
async fn each_request_is_paid_for_and_its_payment_never_shown_again() {
    for field in [Field::Authorization, Field::PaymentAuthorization] {
        let (buyer, node, seller) = start(field).await;
        let client = client(&buyer);
        let bearer = ("authorization".parse().unwrap(), "Bearer x".parse().unwrap());
        let mut request = get(&seller.url("/weather?city=berlin"));
        if field == Field::PaymentAuthorization {
            request = request.header(bearer.0, bearer.1);
        }
        for n in 1..=2 {
            let response = client.fetch(&request).await.unwrap();
            let Payment::Bought(receipt) = response.payment().clone() else { panic!() };
            assert_eq!((receipt.scheme, receipt.standing), ("Payment", Standing::Honoured));
            let said = response.charge_receipt().expect("the seller wrote one");
            assert_eq!(said.hash, receipt.hash);
            assert_eq!(text(response).await, "GET /weather ");
            assert_eq!((node.received().len(), seller.heard().len()), (n, 2 * n));
        }
        for heard in seller.heard() {
            if field == Field::PaymentAuthorization {
                // The application's own credential stays where it was.
                assert_eq!(heard.authorization(), ["Bearer x"]);
            }
            assert_eq!(heard.headers["accept-payment"], "lightning/charge");
        }
        let with_proof = &seller.heard()[1];
        assert!(with_proof.headers[field.name()].to_str().unwrap().starts_with("Payment "));
    }
}

#[tokio::test]
async fn a_token_is_preferred_to_a_single_request_of_the_same_price_and_not_to_a_cheaper_one() {
    for (charge, scheme) in [(10, "L402"), (9, "Payment")] {
        let (buyer, node) = FakeNetwork::pair();
        let offer = Offer::Both(sat(charge));
        let seller = Seller::start(&node, Rules { offer, ..Rules::default() }).await;
        let response = client(&buyer).fetch(&get(&seller.url("/weather"))).await.unwrap();
        assert_eq!(response.payment().receipt().unwrap().scheme, scheme);
    }
}

/// The answer to a paid POST is lost: the same payment is shown with the same key, and for nothing but
/// the same request.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_payment_and_key() {
    let (buyer, node, seller) = start(Field::Authorization).await;
    let client = client(&buyer);
    let post = |body: &'static str| {
        let url = seller.url("/order?n=1").parse().unwrap();
        Request::new(Method::POST, url).unwrap().body(body)
    };
    seller.rules().breaks = true;
    let error = client.fetch(&post("one")).await.unwrap_err();
    let Error::NoAnswer { receipt, .. } = error else { panic!("{error:?}") };
    seller.rules().breaks = false;
    // The seller has not taken it, because the connection broke before.
    let other = client.fetch(&post("two")).await.unwrap();
    assert!(matches!(other.payment(), Payment::Bought(other) if other.hash != receipt.hash));
    let again = client.fetch(&post("one")).await.unwrap();
    assert_eq!(again.payment().receipt().unwrap().hash, receipt.hash);
    assert_eq!(text(again).await, "POST /order one");
    assert_eq!(node.received().len(), 2);
    let key = |hash: &str| {
        seller
            .heard()
            .iter()
            .filter(|heard| heard.headers.get("idempotency-key").is_some_and(|key| key == hash))
            .count()
    };
    assert_eq!(key(&receipt.hash.to_string()), 2);
    assert_eq!(seller.heard().len(), 6);
}

#[tokio::test]
async fn the_callers_own_key_is_kept() {
    let (buyer, _, seller) = start(Field::Authorization).await;
    let url = seller.url("/order").parse().unwrap();
    let request = Request::new(Method::POST, url).unwrap();
    let request = request.header("idempotency-key".parse().unwrap(), "mine".parse().unwrap());
    client(&buyer).fetch(&request).await.unwrap();
    assert!(seller.heard().iter().all(|heard| heard.headers["idempotency-key"] == "mine"));
}

/// The seller took the payment and the answer was lost; it will not serve it twice. That is a loss to
/// be told, and nothing to be paid for once more.
#[tokio::test]
async fn a_payment_that_was_taken_and_not_delivered_is_not_made_again() {
    let (buyer, node, seller) = start(Field::Authorization).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));
    seller.rules().breaks = true;
    seller.rules().takes_before_it_breaks = true;
    client.fetch(&request).await.unwrap_err();
    seller.rules().breaks = false;
    for _ in 0..2 {
        let error = client.fetch(&request).await.unwrap_err();
        assert!(matches!(error, Error::StillRefused { .. }), "{error:?}");
    }
    assert_eq!(node.received().len(), 1);
    client.fetch(&request.clone().buy_again()).await.unwrap();
    assert_eq!(node.received().len(), 2);
    // What was delivered stands in nobody's way.
    client.fetch(&request).await.unwrap();
    assert_eq!(node.received().len(), 3);
}

#[tokio::test]
async fn what_a_crash_left_is_finished_for_the_same_request_only() {
    let (buyer, node, seller) = start(Field::PaymentAuthorization).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = SqliteWallet::open(folder.path().join("wallet.db")).await.unwrap();
    let client = Client::builder(Arc::new(wallet), terms()).payer(buyer.payer()).build().unwrap();
    let lost = buyer.next(Act::PayLate);
    let request = get(&seller.url("/weather?q=1"));
    let (dying, asked) = (client.clone(), request.clone());
    let dying = tokio::spawn(async move { dying.fetch(&asked).await.map(drop) });
    let hash = soon(lost.arrived()).await;
    dying.abort();
    dying.await.unwrap_err();
    lost.proceed();
    let other = client.fetch(&get(&seller.url("/weather?q=2"))).await.unwrap();
    assert!(matches!(other.payment(), Payment::Bought(other) if other.hash != hash));
    let response = client.fetch(&request).await.unwrap();
    assert!(matches!(response.payment(), Payment::Recovered(receipt) if receipt.hash == hash));
    assert_eq!((response.status(), node.received().len()), (StatusCode::OK, 2));
}

#[tokio::test]
async fn a_payment_whose_time_is_over_is_not_shown() {
    let (buyer, node, seller) = start(Field::Authorization).await;
    let wallet = Arc::new(MemoryWallet::new());
    let client = Client::builder(wallet.clone(), terms()).payer(buyer.payer()).build().unwrap();
    let request = get(&seller.url("/weather"));
    let hour = Duration::from_secs(3600);
    let invoice = node.invoice(sat(10), "old", hour).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: sat(1), patience: hour };
    let paid: Paid = buyer.pay(order).await.unwrap();
    let over = SystemTime::now() - Duration::from_secs(1);
    let line = seller.charge("GET /weather", &invoice, over);
    let offered =
        l402::Offers::read(&[("www-authenticate".parse().unwrap(), line)].into_iter().collect());
    let challenge = offered.challenges.into_iter().next().unwrap();
    let purchase = begun(&request, challenge);
    let turn = wallet.turn(request.origin(), &|| {}).await.unwrap();
    wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
    wallet.finish(&turn, purchase.hash(), &paid, SystemTime::now()).await.unwrap();
    drop(turn);
    client.fetch(&request).await.unwrap();
    assert_eq!(node.received().len(), 2);
    assert_eq!(seller.heard().len(), 2);
}

/// A bill for another body than was sent, made up by whoever stands in between.
#[tokio::test]
async fn a_bill_for_another_body_is_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, charging(Field::Authorization)).await;
    for (digest, pays) in [
        ("sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", true),
        ("sha-256=LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", true),
        ("sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:", false),
    ] {
        seller.rules().digest = Some(digest.to_owned());
        let before = buyer.orders().len();
        let url = seller.url("/order").parse().unwrap();
        let request = Request::new(Method::POST, url).unwrap().body("hello");
        let ended = client(&buyer).fetch(&request).await;
        assert_eq!(buyer.orders().len() - before, usize::from(pays), "{digest}");
        if let Err(Error::Terms(FlowError::NoOffer(reasons))) = &ended {
            assert_eq!(reasons[..], [("Payment", NotTaken::OtherBody)]);
        }
        assert_eq!(matches!(ended, Err(Error::Terms(_))), !pays, "{ended:?}");
    }
}
