//! Prices, found out without paying.

use std::sync::Arc;

use http::Method;
use l402::flow::FlowError;
use testkit::{Act, FakeNetwork};
use tollway_client::{Client, Error, MemoryWallet, MoneyMoved, Quote, Request, Terms};

use crate::buying::{client, get, sat, terms};
use crate::seller::{Door, Rules, Seller};

fn without_a_node() -> Client {
    let never = || async { panic!("the node was opened for a quote") };
    let wallet = Arc::new(MemoryWallet::new());
    Client::builder(wallet, terms()).payer_source(never).build().unwrap()
}

#[tokio::test]
async fn a_quote_says_what_would_be_paid_and_pays_nothing() {
    let (_, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = without_a_node();
    let url = seller.url("/forecast").parse().unwrap();
    let request = Request::new(Method::POST, url).unwrap().body("{}");
    let Quote::Price(price) = client.quote(&request).await.unwrap() else { panic!("not free") };
    assert_eq!((price.amount, price.max_fee), (sat(10), sat(10)));
    assert_eq!((price.scheme, price.bound, price.earlier), ("L402", true, None));
    assert_eq!(price.description.as_deref(), Some("weather"));
    assert_eq!(price.network, l402::Network::Regtest);
    assert!(client.pending().await.unwrap().is_empty());
    assert_eq!((client.held(), client.spent()), (sat(0), sat(0)));
    // It was asked as it would be bought: with the method and the body of the request.
    let [heard] = &seller.heard()[..] else { panic!("one request") };
    assert_eq!((&heard.method, &heard.body[..]), (&Method::POST, &b"{}"[..]));
}

#[tokio::test]
async fn what_is_free_or_bought_already_is_answered() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let free = client.quote(&get(&seller.url("/free"))).await.unwrap();
    assert!(matches!(free, Quote::Answered(_)));
    client.fetch(&get(&seller.url("/weather"))).await.unwrap();
    let bought = client.quote(&get(&seller.url("/weather"))).await.unwrap();
    let Quote::Answered(response) = bought else { panic!("it has a token") };
    assert!(response.payment().receipt().is_some());
}

/// A dry run that says yes where the real one says no is worth nothing.
#[tokio::test]
async fn a_quote_refuses_what_a_fetch_refuses() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let dear = get(&seller.url("/weather")).terms(Terms::up_to(sat(9)));
    let error = client.quote(&dear).await.unwrap_err();
    assert!(matches!(error, Error::Terms(FlowError::NoOffer(_))), "{error:?}");

    let wallet = Arc::new(MemoryWallet::new());
    let poor = Client::builder(wallet, terms()).budget(sat(19)).build().unwrap();
    let error = poor.quote(&get(&seller.url("/weather"))).await.unwrap_err();
    assert!(matches!(error, Error::OverBudget(_)), "{error:?}");
}

#[tokio::test]
async fn a_quote_names_an_earlier_payment_without_an_end() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    buyer.next(Act::LoseReply);
    let error = client.fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    let Quote::Price(price) = client.quote(&get(&seller.url("/weather"))).await.unwrap() else {
        panic!("not free")
    };
    assert_eq!(price.earlier, error.payment());
}

#[tokio::test]
async fn a_quote_for_what_was_paid_in_vain_is_refused() {
    let (buyer, node) = FakeNetwork::pair();
    let door = Door::Never(http::StatusCode::PAYMENT_REQUIRED);
    let seller = Seller::start(&node, Rules { door, ..Rules::default() }).await;
    let client = client(&buyer);
    client.fetch(&get(&seller.url("/weather"))).await.unwrap_err();
    for path in ["/weather", "/elsewhere"] {
        let error = client.quote(&get(&seller.url(path))).await.unwrap_err();
        assert!(matches!(error, Error::StillRefused { .. }), "{error:?}");
        assert_eq!(error.money_moved(), MoneyMoved::No);
    }
}
