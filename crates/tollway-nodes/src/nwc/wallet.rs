//! Paying and being paid through a wallet. Not every wallet can tell two orders for one invoice, so
//! it is asked before it is ordered to pay.

use std::sync::Arc;
use std::time::Duration;

use l402::{Msat, Network, NodeError, NodeErrorKind, PaymentHash, Why};
use serde_json::json;

use super::NAME;
use super::relay::Relay;
use super::wire::{self, Fault, Made, Paid, Transaction, Trouble};
use crate::remote::{Issuer, Order, Ordered, Remote, Word};

/// An open wallet.
#[derive(Debug)]
pub(super) struct Wallet {
    pub(super) relay: Arc<Relay>,
    pub(super) network: Network,
    /// Whether the wallet may decide what routing costs.
    pub(super) any_fee: bool,
}

impl Wallet {
    async fn look_up(&self, hash: PaymentHash) -> Result<Option<Transaction>, Fault> {
        let found = self.relay.query("lookup_invoice", &json!({ "payment_hash": hash })).await;
        match found {
            Ok(transaction) => Ok(Some(transaction)),
            Err(fault) if fault.is_not_found() => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

impl Remote for Wallet {
    const NAME: &'static str = NAME;
    /// A relay passes a request on in its own time.
    const LINGERS: Duration = Duration::from_secs(30);

    fn network(&self) -> Network {
        self.network
    }

    async fn order(&self, order: &Order) -> Ordered {
        if !self.any_fee {
            let source = wire::error(NodeErrorKind::Refused, Trouble::NoFeeLimit);
            return Ordered::NotBegun { why: Why::Refused, source };
        }
        match self.ask(order.invoice.payment_hash()).await {
            Ok(Word::NeverHeard | Word::NotPaid(_)) => {}
            Ok(word) => return Ordered::Taken(word),
            Err(source) => return Ordered::NotBegun { why: Why::Unreachable, source },
        }
        let pay = json!({ "invoice": order.invoice.as_str() });
        match self.relay.request::<Paid>("pay_invoice", &pay).await {
            Ok(paid) => match paid.word() {
                Some(word) => Ordered::Taken(word),
                None => Ordered::Lost(wire::error(NodeErrorKind::Protocol, Trouble::NoPreimage)),
            },
            Err(fault @ (Fault::NoRelay(_) | Fault::NotTaken(_))) => {
                Ordered::NotBegun { why: Why::Unreachable, source: fault.into() }
            }
            Err(Fault::Refused(refusal)) => {
                let why = wire::why(&refusal.code);
                Ordered::Refused { why, source: Fault::Refused(refusal).into() }
            }
            Err(fault) => Ordered::Lost(fault.into()),
        }
    }

    async fn ask(&self, hash: PaymentHash) -> Result<Word, NodeError> {
        match self.look_up(hash).await? {
            None => Ok(Word::NeverHeard),
            Some(transaction) => transaction
                .word()
                .ok_or_else(|| wire::error(NodeErrorKind::Protocol, Trouble::NoPreimage)),
        }
    }
}

impl Issuer for Wallet {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn issue(&self, amount: Msat, memo: &str, expiry: Duration) -> Result<String, NodeError> {
        let invoice =
            json!({ "amount": amount.msat(), "description": memo, "expiry": expiry.as_secs() });
        let made: Made = self.relay.query("make_invoice", &invoice).await?;
        Ok(made.invoice)
    }

    async fn settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        Ok(self.look_up(hash).await?.is_some_and(|transaction| transaction.settled()))
    }
}
