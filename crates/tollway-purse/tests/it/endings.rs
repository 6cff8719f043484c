//! Every way in which a payment ends, as it is on the wire, and what is held meanwhile.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use l402::{Network, Node, NodeError, Outcome, Paid, PayError, PayOrder, Payer, PaymentHash, Why};
use serde_json::json;
use testkit::{Act, FakeNetwork, Link};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::running::{Running, invoice, pay_request};

const PATIENT: u64 = 60_000;
const HURRIED: u64 = 0;

#[tokio::test]
async fn a_payment_is_paid_with_its_proof() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let paid = purse.pay(&invoice, PATIENT).await;
    assert_eq!((&paid["ended"], &paid["fee_msat"]), (&json!("paid"), &json!(0)));
    let preimage: l402::Preimage = paid["preimage"].as_str().unwrap().parse().unwrap();
    assert!(preimage.opens(invoice.payment_hash()));
    assert_eq!(purse.pay(&invoice, PATIENT).await, paid);
    let (_, outcome) = purse.get(&format!("/v1/outcome/{}", invoice.payment_hash())).await;
    assert_eq!(outcome, json!({ "outcome": "paid", "preimage": paid["preimage"], "fee_msat": 0 }));
    assert_eq!(seller.received().len(), 1);
    assert_eq!(purse.held().await, (0, 0));
}

#[tokio::test]
async fn what_was_not_paid_says_why() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    buyer.next(Act::Refuse(Why::NoRoute));
    let ended = purse.pay(&invoice, PATIENT).await;
    assert_eq!(ended, json!({ "ended": "not_paid", "why": "no_route" }));
    buyer.next(Act::Unreachable);
    let ended = purse.pay(&invoice, PATIENT).await;
    let error = json!({ "kind": "unreachable", "message": "fake: node unreachable" });
    assert_eq!(ended, json!({ "ended": "not_paid", "why": "unreachable", "error": error }));
    let (_, outcome) = purse.get(&format!("/v1/outcome/{}", invoice.payment_hash())).await;
    assert_eq!(outcome, json!({ "outcome": "not_paid" }));
    assert_eq!(purse.held().await, (0, 0));
}

#[tokio::test]
async fn unknown_keeps_its_hold_until_the_node_knows() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let cue = buyer.next(Act::PayLate);
    let ended = purse.pay(&invoice, HURRIED).await;
    assert_eq!(ended["ended"], "unknown");
    assert_eq!(ended["hash"], invoice.payment_hash().to_string());
    assert_eq!(ended["error"]["kind"], "timeout");
    assert_eq!(purse.held().await, (1, 11_000));
    let (_, outcome) = purse.get(&format!("/v1/outcome/{}", invoice.payment_hash())).await;
    assert_eq!(outcome, json!({ "outcome": "pending" }));
    assert_eq!(purse.held().await, (1, 11_000));
    cue.proceed();
    assert_eq!(purse.held().await, (0, 0));
}

#[tokio::test]
async fn a_wrong_preimage_is_no_proof() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    buyer.next(Act::WrongPreimage);
    assert_eq!(purse.pay(&invoice, PATIENT).await["ended"], "unknown");
    let outcome = purse.get(&format!("/v1/outcome/{}", invoice.payment_hash())).await;
    assert_eq!(outcome.0, StatusCode::BAD_GATEWAY);
    assert_eq!(outcome.1["error"]["kind"], "protocol");
    assert_eq!(purse.held().await, (1, 11_000));
}

#[tokio::test]
async fn a_caller_that_hangs_up_changes_nothing() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let cue = buyer.next(Act::PayLate);
    let body = pay_request(&invoice, PATIENT).to_string();
    let mut caller = UnixStream::connect(purse.path()).await.unwrap();
    let head =
        format!("POST /v1/pay HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
    caller.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    cue.arrived().await;
    drop(caller);
    assert_eq!(purse.held().await, (1, 11_000), "the node is working on it");
    cue.proceed();
    let paid = purse.pay(&invoice, PATIENT).await;
    assert_eq!(paid["ended"], "paid");
    assert_eq!(seller.received().len(), 1);
    let stopped = purse.stop().await.unwrap();
    assert_eq!(stopped.unresolved, []);
}

#[tokio::test]
async fn a_node_that_is_down_is_not_an_outcome() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let hash = invoice.payment_hash();
    assert_eq!(purse.get(&format!("/v1/settled/{hash}")).await.1, json!({ "settled": false }));
    buyer.set_link(Link::Down);
    for path in ["outcome", "settled"] {
        let (status, body) = purse.get(&format!("/v1/{path}/{hash}")).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(body["error"]["kind"], "unreachable", "{path}");
    }
}

#[tokio::test]
async fn invoices_are_made_and_seen_settled() {
    let (buyer, seller) = FakeNetwork::pair();
    let (buying, selling) =
        (Running::start(buyer.both()).await, Running::start(seller.both()).await);
    let request = json!({ "amount_msat": 21_001, "memo": "☂", "expiry_s": 77 });
    let (status, made) = selling.post("/v1/invoice", &request).await;
    assert_eq!(status, StatusCode::OK);
    let invoice = l402::Invoice::parse(made["invoice"].as_str().unwrap()).unwrap();
    assert_eq!(made["hash"], invoice.payment_hash().to_string());
    assert_eq!((invoice.amount().msat(), invoice.expiry().as_secs()), (21_001, 77));
    assert_eq!(buying.pay(&invoice, PATIENT).await["ended"], "paid");
    let settled = selling.get(&format!("/v1/settled/{}", invoice.payment_hash())).await;
    assert_eq!(settled, (StatusCode::OK, json!({ "settled": true })));
}

/// A node with a bug.
#[derive(Debug)]
struct Broken;

#[async_trait]
impl Payer for Broken {
    fn network(&self) -> Network {
        Network::Regtest
    }

    async fn pay(&self, _: PayOrder<'_>) -> Result<Paid, PayError> {
        panic!("a bug, on purpose");
    }

    async fn outcome(&self, _: PaymentHash) -> Result<Outcome, NodeError> {
        Ok(Outcome::Pending)
    }
}

#[tokio::test]
async fn a_node_that_panics_leaves_an_unknown_end() {
    let (_, seller) = FakeNetwork::pair();
    let node = Node { payer: Some(Arc::new(Broken)), ..Node::default() };
    let purse = Running::start(node).await;
    let ended = purse.pay(&invoice(&seller).await, PATIENT).await;
    assert_eq!(ended["ended"], "unknown");
    assert_eq!(purse.held().await, (1, 11_000));
}
