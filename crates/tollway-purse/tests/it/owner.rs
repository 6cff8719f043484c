//! What a purse tells of its node, and what it says where the node tells nothing.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use l402::operator::{About, Balance, Direction, OperateError, Rights, Transfer, TransferState};
use l402::{Msat, Network, Node, Operator, PaymentHash};
use testkit::FakeNetwork;

use crate::running::Running;

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
    assert_eq!(status, StatusCode::NOT_FOUND, "channels are not the socket's business");
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
