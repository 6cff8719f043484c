//! Servers that mean harm. What each test counts is what the buyer's node was told to pay.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};
use l402::{Invoicer, Msat};
use testkit::{FakeNetwork, FakeNode};
use tollway_client::{
    Client, Error, HttpErrorKind, MemoryWallet, MoneyMoved, Payment, Request, Timeouts,
};

use crate::buying::{client, get, sat, soon, terms};
use crate::raw::Raw;
use crate::refusing::lines;
use crate::seller::{Door, Offer, Rules, Seller};

/// A bill over that much for the same node, in all lines.
async fn bill(node: &FakeNode, amount: Msat) -> Vec<String> {
    lines(&node.invoice(amount, "a bill", Duration::from_secs(3600)).await.unwrap())
}

#[tokio::test]
async fn a_second_and_bigger_bill_after_the_payment_is_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: Door::Never(StatusCode::PAYMENT_REQUIRED), ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    for price in [10, 50, 99] {
        seller.rules().price = sat(price);
        let error = client.fetch(&get(&seller.url("/weather"))).await.unwrap_err();
        assert!(
            matches!(error, Error::PaidInVain { .. } | Error::StillRefused { .. }),
            "{error:?}"
        );
    }
    assert_eq!((buyer.orders().len(), node.received_total()), (1, sat(10)));
}

/// The offer grows between the answer and the payment, while another purchase is waited for.
#[tokio::test]
async fn a_bill_that_grows_while_we_wait_is_within_the_terms_or_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { expiry: Duration::from_secs(2), ..Rules::default() };
    let seller = Arc::new(Seller::start(&node, rules).await);
    let growing = Arc::clone(&seller);
    // Whoever is asked takes until the first offer has expired.
    let slow = move |_: tollway_client::Proposal| {
        let growing = Arc::clone(&growing);
        async move {
            growing.rules().price = sat(101);
            tokio::time::sleep(Duration::from_millis(1100)).await;
            tollway_client::Approval::Granted
        }
    };
    let policy = tollway_client::Policy { ask_above: Some(sat(1)), ..Default::default() };
    let client = Client::builder(Arc::new(MemoryWallet::new()), terms()).payer(buyer.payer());
    let client = client.policy(policy).approver(slow).build().unwrap();
    let error = client.fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    assert!(matches!(error, Error::Terms(_)), "{error:?}");
    assert!(buyer.orders().is_empty());
}

/// A redirect behind the door, to another origin with a bill of its own.
#[tokio::test]
async fn a_redirect_after_the_payment_leads_to_no_second_one() {
    let (buyer, node) = FakeNetwork::pair();
    let other = Seller::start(&node, Rules::default()).await;
    let seller = Seller::start(&node, Rules::default()).await;
    let to = (302, other.url("/weather"));
    seller.rules().redirects.insert("/weather".to_owned(), to);
    let error = client(&buyer).fetch(&get(&seller.url("/weather")).follow(5)).await.unwrap_err();
    assert!(matches!(error, Error::Redirect { receipt: Some(_), .. }), "{error:?}");
    assert_eq!((error.money_moved(), node.received().len()), (MoneyMoved::Yes, 1));
    assert!(other.heard().iter().all(|heard| heard.authorization().is_empty()));
}

#[tokio::test]
async fn a_head_of_ten_megabytes_is_not_read_to_its_end() {
    let (buyer, _) = FakeNetwork::pair();
    for head in [
        format!("x-long: {}\r\n", "a".repeat(10_000_000)),
        "x-many: a\r\n".repeat(1_000_000),
        format!("www-authenticate: L402 macaroon=\"{}\"\r\n", "A".repeat(10_000_000)),
    ] {
        let address = Raw::start(move |_| {
            format!("HTTP/1.1 402 Payment Required\r\n{head}content-length: 0\r\n\r\n").into_bytes()
        });
        let error = soon(client(&buyer).fetch(&get(&format!("http://{}/", address.await)))).await;
        let error = error.unwrap_err();
        let Error::Http(broken) = &error else { panic!("{error:?}") };
        assert_eq!((broken.kind, error.money_moved()), (HttpErrorKind::Broken, MoneyMoved::No));
        assert!(error.to_string().len() < 200);
    }
}

/// Whatever a server puts into a bill, no error of ours moves a cursor.
#[tokio::test]
async fn no_error_repeats_a_servers_control_characters() {
    let (buyer, node) = FakeNetwork::pair();
    let evil = "\u{1b}[2J\u{7}\u{202e}\r\nowned";
    let hour = Duration::from_secs(3600);
    let dear = node.invoice(sat(101), evil, hour).await.unwrap();
    let quoted = r#"L402 macaroon="a\b", invoice="c\"d""#.to_owned();
    for offer in [lines(&dear), vec![quoted], vec![format!(r#"L402 {}="x""#, "y".repeat(999))]] {
        let rules = Rules { offer: Offer::Lines(offer), ..Rules::default() };
        let seller = Seller::start(&node, rules).await;
        let mut error: &dyn std::error::Error =
            &client(&buyer).fetch(&get(&seller.url("/weather"))).await.unwrap_err();
        loop {
            let text = error.to_string();
            assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
            let Some(source) = error.source() else { break };
            error = source;
        }
    }
    // Nor does a header with such bytes come through at all.
    let address = Raw::start(|_| {
        b"HTTP/1.1 402 x\r\nwww-authenticate: L402 \x1b[2J\r\ncontent-length: 0\r\n\r\n".to_vec()
    });
    let error =
        client(&buyer).fetch(&get(&format!("http://{}/", address.await))).await.unwrap_err();
    assert!(matches!(error, Error::Http(_)), "{error:?}");
    assert!(buyer.orders().is_empty());
}

/// The bill comes at once, and its body never.
#[tokio::test]
async fn a_body_that_dawdles_holds_up_no_payment_and_no_caller() {
    let (buyer, node) = FakeNetwork::pair();
    let asks = bill(&node, sat(10)).await;
    let address = Raw::start(move |head| {
        if head.contains("\nauthorization: ") {
            return b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nslo".to_vec();
        }
        let lines: Vec<_> =
            asks.iter().map(|line| format!("www-authenticate: {line}\r\n")).collect();
        let lines = lines.concat();
        format!("HTTP/1.1 402 x\r\n{lines}content-length: 1000\r\n\r\nsome of it").into_bytes()
    });
    let timeouts = Timeouts { idle: Duration::from_millis(200), ..Timeouts::default() };
    let client = Client::builder(Arc::new(MemoryWallet::new()), terms()).payer(buyer.payer());
    let client = client.timeouts(timeouts).build().unwrap();
    let request = get(&format!("http://{}/", address.await));
    let response = soon(client.fetch(&request)).await.unwrap();
    assert!(matches!(response.payment(), Payment::Bought(_)));
    assert_eq!(soon(response.bytes()).await.unwrap_err().kind, HttpErrorKind::Timeout);
    // What was paid for is kept, and used.
    let again = soon(client.fetch(&request)).await.unwrap();
    assert!(matches!(again.payment(), Payment::Token(_)));
    assert_eq!(buyer.orders().len(), 1);
}

/// A body without an end is given up where the caller's patience ends, and what was paid for is kept.
#[tokio::test]
async fn a_body_that_is_held_in_memory_has_an_end() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let whole = "GET /weather ";
    for (longest, is_read) in [(whole.len(), true), (whole.len() - 1, false), (0, false)] {
        let response = client.fetch(&get(&seller.url("/weather"))).await.unwrap();
        let read = response.bytes_up_to(longest).await;
        match read {
            Ok(body) => assert!(is_read && body == whole),
            Err(error) => assert!(!is_read && error.kind == HttpErrorKind::TooLong, "{error:?}"),
        }
    }
    assert_eq!(buyer.orders().len(), 1);
}

#[tokio::test]
async fn a_402_to_head_is_paid_once_and_answered_by_head() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let request = Request::new(Method::HEAD, seller.url("/weather").parse().unwrap()).unwrap();
    for _ in 0..2 {
        let response = client.fetch(&request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    assert!(seller.heard().iter().all(|heard| heard.method == Method::HEAD));
    assert_eq!(node.received().len(), 1);
}

/// A 402 inside, or behind, an answer that has begun is text.
#[tokio::test]
async fn a_402_in_mid_stream_is_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let asks = bill(&node, sat(10)).await;
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let bill =
        format!("HTTP/1.1 402 x\r\nwww-authenticate: {}\r\ncontent-length: 0\r\n\r\n", asks[0]);
    let length = bill.len();
    let address = Raw::start(move |_| {
        called.fetch_add(1, Ordering::Relaxed);
        // Once as the body, and once more behind it.
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{bill}{bill}").into_bytes()
    });
    let client = client(&buyer);
    let request = get(&format!("http://{}/", address.await));
    for _ in 0..2 {
        let response = soon(client.fetch(&request)).await.unwrap();
        assert_eq!((response.status(), response.payment()), (StatusCode::OK, &Payment::None));
        assert_eq!(soon(response.bytes()).await.unwrap().len(), length);
    }
    assert_eq!((calls.load(Ordering::Relaxed), buyer.orders().len()), (2, 0));
}
