//! The client as one knows it from other HTTP clients.

use http::Method;
use serde_json::json;
use testkit::FakeNetwork;
use tollway_client::{BadRequest, Error, MoneyMoved, Payment, Quote, Terms};

use crate::buying::{client, sat};
use crate::seller::{Rules, Seller};

#[tokio::test]
async fn a_request_is_put_together_sent_and_paid_in_one_line() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let order = json!({ "city": "berlin" });
    let sending = client.post(&seller.url("/order")).query("days", "3 or 4").json(&order);
    let response = sending.header("x-one", "1").send().await.unwrap();
    assert!(matches!(response.payment(), Payment::Bought(_)));
    assert_eq!(response.text().await.unwrap(), r#"POST /order {"city":"berlin"}"#);
    let heard = seller.heard().pop().unwrap();
    assert_eq!(heard.target, "/order?days=3+or+4");
    assert_eq!(
        (&heard.headers["content-type"], &heard.headers["x-one"]),
        (&"application/json".parse().unwrap(), &"1".parse().unwrap())
    );

    let fields = [("a", "1 & 2"), ("b", "ü")];
    let sending = client.request(Method::PUT, &seller.url("/order")).form(&fields);
    assert_eq!(
        sending.send().await.unwrap().text().await.unwrap(),
        "PUT /order a=1+%26+2&b=%C3%BC"
    );
    let heard = seller.heard().pop().unwrap();
    assert_eq!(heard.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn a_price_is_asked_for_and_agreed_to_in_one_line() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let url = seller.url("/weather");
    let Quote::Price(price) = client.get(&url).quote().await.unwrap() else { panic!("free") };
    let dear = client.get(&url).terms(Terms::up_to(sat(9))).send().await.unwrap_err();
    assert!(matches!(dear, Error::Terms(_)), "{dear:?}");
    client.get(&url).quoted(&price).send().await.unwrap();
    assert_eq!(node.received_total(), price.amount);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_before_anything_is_sent() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let url = seller.url("/weather");
    let secret = "hunter2\r\nx: y";
    for (request, problem) in [
        (client.get("weather"), BadRequest::Url { problem: "it is no URL" }),
        (client.get(&url).header("x", secret), BadRequest::Header),
        (client.get(&url).header("a b", "c").header("x", "y"), BadRequest::Header),
        (client.get(&url).json(&std::collections::HashMap::from([((1, 2), 3)])), BadRequest::Json),
    ] {
        let error = request.send().await.unwrap_err();
        assert_eq!(error.money_moved(), MoneyMoved::No);
        assert!(!error.to_string().contains("hunter2"));
        assert!(matches!(error, Error::BadRequest(why) if why == problem), "{problem}");
    }
    assert!(seller.heard().is_empty());
}

#[tokio::test]
async fn a_body_that_is_not_the_json_it_should_be_is_an_error() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let answer = client(&buyer).get(&seller.url("/free")).accept_json().send().await.unwrap();
    assert!(answer.json::<serde_json::Value>().await.is_err());
    assert_eq!(seller.heard()[0].headers["accept"], "application/json");
}
