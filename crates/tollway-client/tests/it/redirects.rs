//! Redirects: followed when asked, and never a way to a credential or to a bill of somebody else's.

use std::sync::Arc;

use http::{Method, StatusCode};
use testkit::{FakeNetwork, Origin};
use tollway_client::{Client, Error, MemoryWallet, MoneyMoved, Payment, RedirectError, Request};

use crate::buying::{client, get, terms, text};
use crate::seller::{Rules, Seller};

/// Free paths that lead elsewhere.
fn leading(paths: &[(&str, u16, String)]) -> Rules {
    let mut rules = Rules::default();
    for (path, status, location) in paths {
        rules.free.push((*path).to_owned());
        rules.redirects.insert((*path).to_owned(), (*status, location.clone()));
    }
    rules
}

fn redirect_error(error: Error) -> (RedirectError, MoneyMoved) {
    let moved = error.money_moved();
    let Error::Redirect { why, .. } = error else { panic!("{error:?}") };
    (why, moved)
}

#[tokio::test]
async fn a_redirect_is_a_response_unless_it_is_to_be_followed() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = leading(&[("/old", 302, "/new?x=1".to_owned())]);
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let response = client.fetch(&get(&seller.url("/old"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    let response = client.fetch(&get(&seller.url("/old")).follow(1)).await.unwrap();
    assert_eq!(response.url().as_str(), seller.url("/new?x=1"));
    // Within the origin that was asked, a bill is paid.
    assert!(matches!(response.payment(), Payment::Bought(_)));
    assert_eq!(text(response).await, "GET /new ");
}

#[tokio::test]
async fn a_credential_never_follows_a_redirect_to_another_origin() {
    let (buyer, node) = FakeNetwork::pair();
    let elsewhere = Origin::start().await;
    let mut rules = Rules::default();
    rules.redirects.insert("/file".to_owned(), (302, elsewhere.url("/blob")));
    let seller = Seller::start(&node, rules).await;
    let client = Client::builder(Arc::new(MemoryWallet::new()), terms()).payer(buyer.payer());
    let client = client.second_authorization().build().unwrap();
    let request = get(&seller.url("/file")).follow(3);
    let request = request.header("cookie".parse().unwrap(), "a=b".parse().unwrap());
    let request = request.header("authorization".parse().unwrap(), "Bearer x".parse().unwrap());
    let request = request.header("x-kept".parse().unwrap(), "1".parse().unwrap());

    for bought in [true, false] {
        let response = client.fetch(&request).await.unwrap();
        assert_eq!(response.url().as_str(), elsewhere.url("/blob"));
        // What was paid on the way is not forgotten at its end.
        assert_eq!(matches!(response.payment(), Payment::Bought(_)), bought);
    }
    for received in elsewhere.received() {
        assert!(!received.headers.contains_key("authorization"), "{received:?}");
        assert!(!received.headers.contains_key("cookie"), "{received:?}");
        assert_eq!(received.headers["x-kept"], "1");
    }
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn another_origin_s_bill_is_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let dear = Seller::start(&node, Rules::default()).await;
    let rules = leading(&[("/cheap", 307, dear.url("/trap"))]);
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let error = client.fetch(&get(&seller.url("/cheap")).follow(9)).await.unwrap_err();
    let (why, moved) = redirect_error(error);
    assert!(matches!(why, RedirectError::OthersBill(_)), "{why}");
    assert_eq!((moved, buyer.orders().len()), (MoneyMoved::No, 0));

    // A token that was bought there by asking there is used, though.
    client.fetch(&get(&dear.url("/trap"))).await.unwrap();
    let response = client.fetch(&get(&seller.url("/cheap")).follow(9)).await.unwrap();
    assert!(matches!(response.payment(), Payment::Token(_)));
}

#[tokio::test]
async fn one_call_pays_one_bill() {
    let (buyer, node) = FakeNetwork::pair();
    let mut rules =
        Rules { caveats: vec![], door: crate::seller::Door::PerRoute, ..Rules::default() };
    rules.redirects.insert("/a".to_owned(), (302, "/b".to_owned()));
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let (why, moved) =
        redirect_error(client.fetch(&get(&seller.url("/a")).follow(9)).await.unwrap_err());
    assert!(matches!(why, RedirectError::SecondBill(_)), "{why}");
    assert_eq!((moved, node.received().len()), (MoneyMoved::Yes, 1));
}

#[tokio::test]
async fn an_endless_redirect_ends() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = leading(&[("/round", 302, "/round".to_owned())]);
    let seller = Seller::start(&node, rules).await;
    let error = client(&buyer).fetch(&get(&seller.url("/round")).follow(5)).await.unwrap_err();
    assert!(matches!(redirect_error(error).0, RedirectError::TooMany(5)));
    assert_eq!(seller.heard().len(), 6);
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_an_error() {
    let (buyer, node) = FakeNetwork::pair();
    for location in ["ftp://example.com/", "http://a:b@example.com/", "http://"] {
        let rules = leading(&[("/x", 301, location.to_owned())]);
        let seller = Seller::start(&node, rules).await;
        let error = client(&buyer).fetch(&get(&seller.url("/x")).follow(5)).await.unwrap_err();
        assert!(matches!(redirect_error(error).0, RedirectError::BadLocation), "{location}");
    }
}

#[tokio::test]
async fn what_fails_behind_a_paid_redirect_does_not_read_as_unpaid() {
    let (buyer, node) = FakeNetwork::pair();
    let elsewhere = Origin::start().await;
    let mut rules = Rules::default();
    rules.redirects.insert("/file".to_owned(), (302, elsewhere.url("/fail")));
    let seller = Seller::start(&node, rules).await;
    let error = client(&buyer).fetch(&get(&seller.url("/file")).follow(1)).await.unwrap_err();
    assert_eq!(error.money_moved(), MoneyMoved::Yes);
    assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
}

/// As curl: 303 and, for a POST, 301 and 302 become a GET without a body; 307 and 308 change nothing.
#[tokio::test]
async fn method_and_body_follow_as_the_status_says() {
    let (buyer, node) = FakeNetwork::pair();
    for (status, expected) in [
        (301, "GET /n "),
        (302, "GET /n "),
        (303, "GET /n "),
        (307, "POST /n x"),
        (308, "POST /n x"),
    ] {
        let mut rules = leading(&[("/o", status, "/n".to_owned())]);
        rules.free.push("/n".to_owned());
        let seller = Seller::start(&node, rules).await;
        let post = Request::new(Method::POST, seller.url("/o").parse().unwrap()).unwrap();
        let post = post.body("x").follow(1);
        let post = post.header("content-type".parse().unwrap(), "text/x".parse().unwrap());
        assert_eq!(text(client(&buyer).fetch(&post).await.unwrap()).await, expected);
        let kept = expected.starts_with("POST");
        assert_eq!(seller.heard()[1].headers.contains_key("content-type"), kept);
    }
}
