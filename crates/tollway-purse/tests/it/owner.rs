//! What a purse tells of its node and does for its owner, at which socket, and what it says where the
//! node tells nothing.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use l402::operator::{
    About, Balance, Channel, Close, Closing, Direction, OperateError, Rights, Sent, Transfer,
    TransferState, Withdrawal, owner_socket,
};
use l402::{Msat, Network, Node, NodeError, NodeErrorKind, Operator, PaymentHash};
use serde_json::json;
use testkit::FakeNetwork;

use crate::running::{Running, post};

/// A node that has five payments behind it, and cannot say its rights.
#[derive(Debug)]
pub(crate) struct Talkative;

#[async_trait]
impl Operator for Talkative {
    fn driver(&self) -> &'static str {
        "talkative"
    }

    async fn about(&self) -> Result<About, OperateError> {
        Ok(About { height: Some(7), synced: Some(true), ..About::default() })
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        Err(self.cannot("say its rights"))
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        Ok(Balance { outbound: Some(Msat::from_msat(5)), ..Balance::default() })
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let row = |at| Transfer {
            direction: Direction::Sent,
            hash: PaymentHash([9; 32]),
            state: TransferState::Paid,
            amount: Msat::from_msat(1_000),
            fee: Some(Msat::ZERO),
            at: Some(at),
            memo: None,
        };
        Ok((0..5).rev().map(row).take(most).collect())
    }

    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        Ok(Vec::new())
    }

    async fn close_channel(&self, id: &str, _: Close) -> Result<Closing, OperateError> {
        Err(OperateError::NoSuchChannel { id: id.to_owned() })
    }

    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let lost = || NodeError::new("talkative", NodeErrorKind::Unreachable);
        match order.amount {
            Some(_) => Ok(Sent { transaction: order.address.clone() }),
            None => Err(OperateError::MayHaveSent(lost())),
        }
    }
}

#[tokio::test]
async fn a_purse_passes_on_what_its_node_tells() {
    let (buyer, _) = FakeNetwork::pair();
    let node = Node { operator: Some(Arc::new(Talkative)), ..buyer.both() };
    let purse = Running::start(node).await;
    let (status, about) = purse.get("/v1/node").await;
    assert_eq!(status, StatusCode::OK);
    let about: About = serde_json::from_value(about).unwrap();
    assert_eq!((about.network, about.height), (Some(Network::Regtest), Some(7)));
    let (_, balance) = purse.get("/v1/balance").await;
    assert_eq!(balance, serde_json::json!({ "outbound_msat": 5 }));
    let (_, rows) = purse.get("/v1/payments?most=2").await;
    assert_eq!(rows.as_array().unwrap().len(), 2);
    let (_, rows) = purse.get("/v1/payments").await;
    assert_eq!(rows.as_array().unwrap().len(), 5);
    let (status, _) = purse.get("/v1/payments?least=2").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = purse.get("/v1/channels").await;
    assert_eq!(status, StatusCode::NOT_FOUND, "channels are not this socket's business");
}

#[tokio::test]
async fn what_moves_money_is_ordered_at_the_owners_socket_and_nowhere_else() {
    let (buyer, _) = FakeNetwork::pair();
    let node = Node { operator: Some(Arc::new(Talkative)), ..buyer.both() };
    let purse = Running::start(node).await;
    let door = owner_socket(purse.path());
    assert_eq!(door.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let order = json!({ "address": "bcrt1q", "amount_sat": 5 });
    for path in ["/v1/withdrawals", "/v1/withdrawals/quote", "/v1/channels", "/v1/address"] {
        let (status, _) = purse.post(path, &order).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: programs have the purse, not the node");
    }
    let (status, sent) = post(&door, "/v1/withdrawals", &order).await;
    assert_eq!((status, sent), (StatusCode::OK, json!({ "transaction": "bcrt1q" })));
    // Money that may be gone is no refusal that can be ordered again.
    let (status, refused) = post(&door, "/v1/withdrawals", &json!({ "address": "bcrt1q" })).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused["error"]["kind"], "timeout", "{refused}");
    let limited = json!({ "address": "bcrt1q", "amount_sat": 5, "most_sat": 1 });
    let (status, _) = post(&door, "/v1/withdrawals", &limited).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "an unknown field may be a limit");
    let (status, refused) = post(&door, "/v1/address", &json!({})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    let closing = json!({ "id": "x", "how": "alone" });
    let (status, refused) = post(&door, "/v1/channels/close", &closing).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    for path in ["/v1/pay", "/v1/invoice"] {
        let (status, _) = post(&door, path, &json!({})).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "paying is the purse's business");
    }
    let path = purse.path().to_owned();
    let stopped = purse.stop().await.unwrap();
    assert_eq!(stopped.unresolved, []);
    assert!(!door.exists() && !path.exists(), "both sockets are gone with the purse");
}

#[tokio::test]
async fn a_node_that_tells_nothing_is_named_so() {
    let (buyer, _) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let (status, about) = purse.get("/v1/node").await;
    assert_eq!((status, about), (StatusCode::OK, serde_json::json!({ "network": "regtest" })));
    let (status, refused) = purse.get("/v1/balance").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(refused["error"]["message"].as_str().unwrap().contains("tells nothing"), "{refused}");
}
