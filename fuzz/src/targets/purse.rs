//! JSON between a purse and the programs that use it, read as every shape in turn.

use std::fmt::Debug;

use l402::purse::{
    Info, InvoiceReply, InvoiceRequest, OutcomeReply, PayReply, PayRequest, Refusal, SettledReply,
};
use l402::{Outcome, PayError, Preimage};
use serde::Serialize;
use serde::de::DeserializeOwned;

const PAID: Preimage = Preimage::new([0x42; 32]);

pub fn run(data: &[u8]) {
    reads_back::<PayRequest>(data);
    reads_back::<InvoiceRequest>(data);
    reads_back::<InvoiceReply>(data);
    reads_back::<SettledReply>(data);
    reads_back::<Info>(data);
    reads_back::<Refusal>(data);
    if let Some(reply) = reads_back::<PayReply>(data) {
        is_paid_only_with_proof(reply);
    }
    if let Some(reply) = reads_back::<OutcomeReply>(data)
        && let Ok(Outcome::Paid(paid)) = reply.outcome(PAID.hash())
    {
        assert!(paid.preimage.opens(PAID.hash()), "paid, and the proof opens nothing");
    }
}

fn reads_back<T: Debug + PartialEq + Serialize + DeserializeOwned>(data: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(data).ok()?;
    let text = serde_json::to_string(&value).expect("every shape has a form in JSON");
    let again: T = serde_json::from_str(&text).expect("what we write, we read");
    assert_eq!(again, value, "{text}");
    Some(value)
}

/// A proof that opens nothing is no proof, and no reply turns "unknown" into "not paid".
fn is_paid_only_with_proof(reply: PayReply) {
    let hash = PAID.hash();
    let was_not_paid = matches!(reply, PayReply::NotPaid { .. });
    match reply.ended(hash) {
        Ok(paid) => assert!(paid.preimage.opens(hash), "paid, and the proof opens nothing"),
        Err(PayError::NotPaid { .. }) => assert!(was_not_paid, "not paid, and nobody said so"),
        Err(PayError::Unknown { hash: about, .. }) => assert_eq!(about, hash),
    }
}
