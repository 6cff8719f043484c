//! Core Lightning tells of payments one by one: `waitanyinvoice` answers with the first one after a
//! count of theirs, and waits for it.
//!
//! From the beginning it would tell years of them. So the newest is sought first, and by the same
//! command: told not to wait, it says whether anything was paid after a count, and counts grow. Some
//! thirty answers, each at once, find the last of millions.

use std::time::Duration;

use l402::{NodeError, NodeErrorKind, PaymentHash};
use serde::Deserialize;
use serde_json::json;

use super::NAME;
use super::rpc::{self, Fault, Rpc, Trouble};
use crate::remote::{Heard, Teller};

/// How long the node waits for a payment before it says that there was none. Proxies that stand
/// before it often give up after a minute.
const PATIENCE: Duration = Duration::from_secs(45);
/// How much further each look ahead goes, until it is too far.
const STRIDE: u64 = 16;

/// `waitanyinvoice`.
#[derive(Debug, Deserialize)]
struct Paid {
    payment_hash: PaymentHash,
    pay_index: u64,
}

impl Teller for Rpc {
    const NAME: &'static str = NAME;

    async fn tell(&self, heard: &Heard) -> Result<(), NodeError> {
        if heard.count() == 0 {
            heard.begin_after(newest(self).await?);
        }
        while let Some(paid) = paid_after(self, heard.count(), PATIENCE).await? {
            heard.add(paid.payment_hash, paid.pay_index);
        }
        Ok(())
    }
}

/// The count of the newest payment; zero where there is none.
async fn newest(rpc: &Rpc) -> Result<u64, NodeError> {
    let at_once = Duration::ZERO;
    // Nothing was paid after the upper one, and the lower one was paid.
    let (mut lower, mut upper) = (0, u64::MAX);
    let mut ahead = 0;
    while lower < upper {
        match paid_after(rpc, ahead, at_once).await? {
            Some(paid) => lower = paid.pay_index,
            None => upper = ahead,
        }
        ahead = match upper {
            u64::MAX => lower.saturating_mul(STRIDE).min(u64::MAX - 1),
            upper => lower + upper.saturating_sub(lower) / 2,
        };
    }
    Ok(lower)
}

/// The first payment after that count, if it comes within that time.
async fn paid_after(rpc: &Rpc, count: u64, within: Duration) -> Result<Option<Paid>, NodeError> {
    let wait = json!({ "lastpay_index": count, "timeout": within.as_secs() });
    match rpc.await_for::<Paid>("waitanyinvoice", &wait, within).await {
        Ok(paid) if paid.pay_index > count => Ok(Some(paid)),
        Ok(paid) => {
            let backwards = Trouble::Backwards { after: count, told: paid.pay_index };
            Err(rpc::error(NodeErrorKind::Protocol, backwards))
        }
        Err(Fault::Refused { refusal, .. }) if refusal.is_no_payment_yet() => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}
