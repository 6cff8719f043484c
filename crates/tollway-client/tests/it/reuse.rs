//! Tokens after they were bought: where they are sent, and what a refusal means.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use l402::{Invoicer, Msat, PayOrder, Payer};
use testkit::FakeNetwork;
use tollway_client::{
    Client, Error, MemoryWallet, MoneyMoved, Payment, Request, Standing, Step, Wallet,
};

use crate::buying::{client, get, sat, terms};
use crate::seller::{Door, NO_LIMITS, Offer, Rules, Seller, begun, offer};

fn no_caveats(door: Door) -> Rules {
    Rules { caveats: vec![], door, ..Rules::default() }
}

/// Fetches, and says whether it was paid for.
async fn is_bought(client: &Client, request: &Request) -> bool {
    let response = client.fetch(request).await.unwrap();
    matches!(response.payment(), Payment::Bought(_))
}

#[tokio::test]
async fn a_token_serves_the_whole_origin_where_the_server_takes_it() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, no_caveats(Door::ByCaveats)).await;
    let client = client(&buyer);
    for (path, bought) in [("/a", true), ("/a?x=1", false), ("/a/b?y", false), ("/z", false)] {
        assert_eq!(is_bought(&client, &get(&seller.url(path))).await, bought, "{path}");
    }
    assert_eq!(node.received().len(), 1);
}

/// Two things for sale at one origin do not evict each other's tokens.
#[tokio::test]
async fn tokens_of_two_routes_live_side_by_side() {
    for caveats in [vec![], vec!["services=weather:0".to_owned()]] {
        let (buyer, node) = FakeNetwork::pair();
        let rules = Rules { caveats, ..no_caveats(Door::PerRoute) };
        let seller = Seller::start(&node, rules).await;
        let client = client(&buyer);
        let post = Request::new(Method::POST, seller.url("/a").parse().unwrap()).unwrap();
        let requests = [get(&seller.url("/a")), get(&seller.url("/b")), post];
        for round in 0..3 {
            for request in &requests {
                assert_eq!(is_bought(&client, request).await, round == 0, "{request:?} {round}");
            }
        }
        assert_eq!(node.received().len(), 3);
        let receipts = client.receipts().await.unwrap();
        assert!(receipts.iter().all(|receipt| receipt.standing == Standing::Honoured));
    }
}

#[tokio::test]
async fn a_wrong_guess_costs_no_request() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, no_caveats(Door::PerRoute)).await;
    let client = client(&buyer);
    for path in ["/a", "/b", "/c", "/d"] {
        let before = seller.heard().len();
        assert!(is_bought(&client, &get(&seller.url(path))).await);
        assert_eq!(seller.heard().len() - before, 2, "{path}");
    }
}

#[tokio::test]
async fn a_token_that_is_used_up_is_quarantined_reported_and_replaced() {
    for path in ["/a", "/a?other"] {
        let (buyer, node) = FakeNetwork::pair();
        let seller = Seller::start(&node, no_caveats(Door::Once)).await;
        let client = client(&buyer);
        assert!(is_bought(&client, &get(&seller.url("/a"))).await);

        let refused = Mutex::new(Vec::new());
        let watch = |step: &Step<'_>| {
            if let Step::Refused { receipt, status } = step {
                refused.lock().unwrap().push((receipt.hash, receipt.standing, *status));
            }
        };
        let request = get(&seller.url(path));
        let response = client.fetch_observed(&request, &watch).await.unwrap();
        assert!(matches!(response.payment(), Payment::Bought(_)));
        let first = node.received()[0].0;
        let expected = (first, Standing::Quarantined, StatusCode::PAYMENT_REQUIRED);
        assert_eq!(*refused.lock().unwrap(), [expected]);
        let receipts = client.receipts().await.unwrap();
        let standings: Vec<_> = receipts.iter().map(|receipt| receipt.standing).collect();
        assert_eq!(standings, [Standing::Honoured, Standing::Quarantined]);
        assert_eq!(node.received().len(), 2);
    }
}

/// However many are in the wallet, used-up tokens do not cost a request each: at most the route's
/// own is tried, and the newest for the service.
#[tokio::test]
async fn many_used_up_tokens_cost_one_request_at_most() {
    for caveats in [vec![], vec!["services=weather:0".to_owned()]] {
        let (buyer, node) = FakeNetwork::pair();
        let seller = Seller::start(&node, Rules { caveats, ..no_caveats(Door::Once) }).await;
        let client = client(&buyer);
        for path in ["/a", "/a", "/b", "/c", "/d", "/b"] {
            let before = seller.heard().len();
            assert!(is_bought(&client, &get(&seller.url(path))).await);
            let asked = seller.heard().len() - before;
            assert!(asked <= 3, "{asked} for {path}");
        }
        assert_eq!(node.received().len(), 6);
    }
}

/// A 401 that names our scheme refuses the token, as a 402 does.
#[tokio::test]
async fn a_401_to_a_token_is_a_refusal() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    assert!(is_bought(&client, &get(&seller.url("/a"))).await);
    seller.rules().door = Door::Never(StatusCode::UNAUTHORIZED);
    let error = client.fetch(&get(&seller.url("/a"))).await.unwrap_err();
    let Error::PaidInVain { receipt, status } = error else { panic!("{error:?}") };
    assert_eq!((status, receipt.standing), (StatusCode::UNAUTHORIZED, Standing::InVain));
    let receipts = client.receipts().await.unwrap();
    assert_eq!(receipts[1].standing, Standing::Quarantined);
}

/// A 401 of whoever is behind the gate says nothing about the token, and buys nothing.
#[tokio::test]
async fn a_401_from_behind_the_gate_is_a_response() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { behind: StatusCode::UNAUTHORIZED, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    for _ in 0..3 {
        let response = client.fetch(&get(&seller.url("/a"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(node.received().len(), 1);
    seller.rules().behind = StatusCode::OK;
    let response = client.fetch(&get(&seller.url("/a"))).await.unwrap();
    let Payment::Token(receipt) = response.payment() else { panic!("{response:?}") };
    assert_eq!(receipt.standing, Standing::Honoured);
}

#[tokio::test]
async fn what_was_paid_in_vain_is_tried_first_and_not_paid_for_again() {
    let (buyer, node) = FakeNetwork::pair();
    let never = Door::Never(StatusCode::PAYMENT_REQUIRED);
    let seller = Seller::start(&node, Rules { door: never, ..Rules::default() }).await;
    let client = client(&buyer);
    let request = get(&seller.url("/a"));

    let error = client.fetch(&request).await.unwrap_err();
    assert_eq!(error.money_moved(), MoneyMoved::Yes);
    let Error::PaidInVain { receipt, .. } = error else { panic!("{error:?}") };
    assert_eq!(receipt.hash, node.received()[0].0);

    // Not by the same request, not by another method, path or query of the same service.
    let post = Request::new(Method::POST, seller.url("/a").parse().unwrap()).unwrap();
    for request in [&request, &post, &get(&seller.url("/a?b")), &get(&seller.url("/elsewhere"))] {
        let error = client.fetch(request).await.unwrap_err();
        assert_eq!(error.money_moved(), MoneyMoved::No);
        let Error::StillRefused { receipt: named, status } = error else { panic!("{error:?}") };
        assert_eq!((named.hash, status), (receipt.hash, StatusCode::PAYMENT_REQUIRED));
    }
    assert_eq!(node.received().len(), 1);

    // The server has come to its senses.
    seller.rules().door = Door::ByCaveats;
    let response = client.fetch(&request).await.unwrap();
    let Payment::Token(honoured) = response.payment() else { panic!("{response:?}") };
    assert_eq!((honoured.hash, honoured.standing), (receipt.hash, Standing::Honoured));
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn what_was_paid_in_vain_is_paid_for_again_when_the_caller_insists() {
    let (buyer, node) = FakeNetwork::pair();
    let never = Door::Never(StatusCode::PAYMENT_REQUIRED);
    let seller = Seller::start(&node, Rules { door: never, ..Rules::default() }).await;
    let client = client(&buyer);
    let request = get(&seller.url("/a"));
    client.fetch(&request).await.unwrap_err();
    client.fetch(&request).await.unwrap_err();

    let error = client.fetch(&request.clone().buy_again()).await.unwrap_err();
    assert!(matches!(error, Error::PaidInVain { .. }), "{error:?}");
    assert_eq!(node.received().len(), 2);
    seller.rules().door = Door::ByCaveats;
    client.fetch(&request).await.unwrap();
    assert_eq!(node.received().len(), 2);
}

#[tokio::test]
async fn what_was_paid_in_vain_and_has_expired_is_bought_anew() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet = Arc::new(MemoryWallet::new());
    let request = get(&seller.url("/a"));

    let hour = Duration::from_secs(3600);
    let invoice = node.invoice(sat(10), "x", hour).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: hour };
    let paid = buyer.pay(order).await.unwrap();
    let expired = offer(&invoice, &["services=weather:0", "weather_valid_until=1"]);
    let turn = wallet.turn(request.origin(), &|| {}).await.unwrap();
    wallet.begin(&turn, &begun(&request, expired), NO_LIMITS).await.unwrap();
    let hash = invoice.payment_hash();
    wallet.finish(&turn, hash, &paid, SystemTime::now()).await.unwrap();
    wallet.judge(hash, Standing::InVain).await.unwrap();
    drop(turn);

    let client = Client::builder(wallet, terms()).payer(buyer.payer()).build().unwrap();
    assert!(is_bought(&client, &request).await);
    assert!(seller.heard()[0].authorization().is_empty());
    assert_eq!(node.received().len(), 2);
}

#[tokio::test]
async fn a_token_that_has_expired_is_not_sent() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    seller.rules().caveats = vec!["services=weather:0".into(), "weather_valid_until=1".into()];
    seller.rules().door = Door::ByCaveats;
    let client = client(&buyer);
    client.fetch(&get(&seller.url("/a"))).await.unwrap_err();
    seller.rules().caveats.pop();
    assert!(is_bought(&client, &get(&seller.url("/a"))).await);
    let sent: Vec<_> = seller.heard().iter().map(|heard| heard.authorization().len()).collect();
    assert_eq!(sent, [0, 1, 0, 1]);
}

/// A server that asks once more for the very payment that was made gets nothing.
#[tokio::test]
async fn the_same_invoice_is_never_paid_twice() {
    let (buyer, node) = FakeNetwork::pair();
    let door = Door::Never(StatusCode::PAYMENT_REQUIRED);
    let rules = Rules { door, offer: Offer::Repeated, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let request = get(&seller.url("/a"));
    client.fetch(&request).await.unwrap_err();
    let error = client.fetch(&request.clone().buy_again()).await.unwrap_err();
    assert!(error.to_string().contains("was made already"), "{error}");
    assert_eq!((error.money_moved(), client.held()), (MoneyMoved::No, l402::Msat::ZERO));
    assert_eq!((buyer.orders().len(), node.received().len()), (1, 1));
}

#[tokio::test]
async fn a_token_is_sent_to_its_own_origin_alone() {
    let (buyer, node) = FakeNetwork::pair();
    let one = Seller::start(&node, Rules::default()).await;
    let other = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    assert!(is_bought(&client, &get(&one.url("/a"))).await);
    assert!(is_bought(&client, &get(&other.url("/a"))).await);
    assert!(other.heard()[0].authorization().is_empty());
    // The same server under another name is another origin.
    let by_name = one.url("/a").replace("127.0.0.1", "localhost");
    assert!(is_bought(&client, &get(&by_name)).await);
}

/// The text that the server sent goes back letter for letter, whatever alphabet it is in.
#[tokio::test]
async fn a_token_goes_back_as_it_came() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let invoice = l402::Invoicer::invoice(&node, sat(1), "x", Duration::from_secs(60)).await;
    let invoice = invoice.unwrap();
    let line = format!("l402 Invoice={invoice}, token=opaque_-~.x, future=\"1\"");
    seller.rules().offer = Offer::Lines(vec![line]);
    let error = client(&buyer).fetch(&get(&seller.url("/a"))).await.unwrap_err();
    assert!(matches!(error, Error::PaidInVain { .. }), "{error:?}");
    let sent = seller.heard()[1].authorization()[0].to_owned();
    assert!(sent.starts_with("L402 opaque_-~.x:"), "{sent}");
}

/// A server that fails after it was paid has the proof to honour the next time.
#[tokio::test]
async fn a_server_error_after_payment_is_a_response_and_the_token_is_kept() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { behind: StatusCode::BAD_GATEWAY, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let response = client.fetch(&get(&seller.url("/a"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let Payment::Bought(receipt) = response.payment() else { panic!("{response:?}") };
    assert_eq!(receipt.standing, Standing::Fresh);
    seller.rules().behind = StatusCode::OK;
    let response = client.fetch(&get(&seller.url("/a"))).await.unwrap();
    assert!(matches!(response.payment(), Payment::Token(_)));
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn another_wallet_shares_the_node_and_no_token() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let wallet: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
    let first = client(&buyer);
    let second = first.with_wallet(wallet);
    assert!(is_bought(&first, &get(&seller.url("/a"))).await);
    assert!(is_bought(&second, &get(&seller.url("/a"))).await);
    assert_eq!((first.spent(), second.spent()), (sat(10), sat(10)));
}
