//! A wallet behind Nostr Wallet Connect for its owner: what the wallet tells (NIP-47 `get_info`,
//! `get_balance`, `list_transactions`). Channels are not the protocol's business.

use std::sync::Arc;

use async_trait::async_trait;
use l402::operator::{
    About, Balance, Direction, OperateError, Right, Rights, Transfer, TransferState,
};
use l402::{Msat, NodeError, Operator, PaymentHash};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::NAME;
use super::relay::Relay;
use super::wire::Info;
use crate::remote::newest_first;

/// A wallet that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) relay: Arc<Relay>,
    pub(super) network: Option<l402::Network>,
}

/// In millisatoshi.
#[derive(Debug, Deserialize)]
struct Held {
    balance: u64,
}

/// What is left of a budget, in millisatoshi; nothing where there is none.
#[derive(Debug, Deserialize)]
struct Budget {
    used_budget: Option<u64>,
    total_budget: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Listed {
    transactions: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    r#type: Option<String>,
    state: Option<String>,
    payment_hash: PaymentHash,
    amount: u64,
    fees_paid: Option<u64>,
    created_at: Option<u64>,
    settled_at: Option<u64>,
    description: Option<String>,
}

impl From<Row> for Transfer {
    fn from(row: Row) -> Self {
        let sent = row.r#type.as_deref() == Some("outgoing");
        let state = match row.state.as_deref() {
            Some("settled") => TransferState::Paid,
            Some("failed" | "expired") => TransferState::NotPaid,
            None if row.settled_at.is_some() => TransferState::Paid,
            _ => TransferState::Pending,
        };
        Self {
            direction: if sent { Direction::Sent } else { Direction::Received },
            hash: row.payment_hash,
            state,
            amount: Msat::from_msat(row.amount),
            fee: row.fees_paid.filter(|_| sent).map(Msat::from_msat),
            at: row.created_at,
            memo: row.description.filter(|memo| !memo.is_empty()),
        }
    }
}

impl Owner {
    async fn query<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: &Value,
    ) -> Result<T, OperateError> {
        let answer = self.relay.query(method, parameters).await;
        answer.map_err(|fault| NodeError::from(fault).into())
    }
}

#[async_trait]
impl Operator for Owner {
    fn driver(&self) -> &'static str {
        NAME
    }

    async fn about(&self) -> Result<About, OperateError> {
        let info: Info = self.query("get_info", &json!({})).await?;
        Ok(About {
            network: info.network()?.or(self.network),
            id: info.pubkey.as_deref().and_then(|id| id.parse().ok()),
            alias: info.alias.filter(|alias| !alias.is_empty()),
            height: info.block_height,
            ..About::default()
        })
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        let info: Info = self.query("get_info", &json!({})).await?;
        let lacks = |needed: &[&str]| {
            let lacking: Vec<&str> =
                needed.iter().copied().filter(|method| !info.can(method)).collect();
            let remedy =
                || format!("make a connection in the wallet that may {}", lacking.join(", "));
            (!lacking.is_empty()).then(remedy)
        };
        Ok(Rights {
            pay: Right::unless(lacks(&["pay_invoice", "lookup_invoice"])),
            be_paid: Right::unless(lacks(&["make_invoice", "lookup_invoice"])),
            observe: Right::unless(lacks(&["get_balance", "list_transactions"])),
            too_wide: self.too_wide(&info).await?,
        })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        let held: Held = self.query("get_balance", &json!({})).await?;
        Ok(Balance { outbound: Some(Msat::from_msat(held.balance)), ..Balance::default() })
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let listed: Listed =
            self.query("list_transactions", &json!({ "limit": most, "unpaid": true })).await?;
        Ok(newest_first(listed.transactions.into_iter().map(Transfer::from), most))
    }
}

impl Owner {
    /// A connection that may spend and has no budget can empty the wallet.
    async fn too_wide(&self, info: &Info) -> Result<Option<String>, OperateError> {
        if !info.can("pay_invoice") || !info.can("get_budget") {
            return Ok(None);
        }
        let budget: Budget = self.query("get_budget", &json!({})).await?;
        let limited = budget.used_budget.is_some() && budget.total_budget.is_some();
        let remedy = "This connection has no budget; make one in the wallet that has";
        Ok((!limited).then(|| remedy.to_owned()))
    }
}
