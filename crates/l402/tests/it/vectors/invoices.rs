//! BOLT 11 invoices.

use std::time::UNIX_EPOCH;

use l402::{Invoice, InvoiceError};
use serde_json::{Value, json};

use super::{Case, bytes};

pub(super) fn invoice(_: &Value, case: &Case<'_>) {
    let name = case.name;
    let text = String::from_utf8(bytes(case.input)).expect("text");
    let invoice = match Invoice::parse(&text) {
        Ok(invoice) => invoice,
        Err(why) => return case.rejected(word(&why), why),
    };
    let found = json!({
        "amount_msat": invoice.amount().msat(),
        "network": invoice.network().to_string(),
        "payment_hash": invoice.payment_hash(),
        "payee": invoice.payee().to_string(),
        "description": invoice.description(),
        "created": invoice.created_at().duration_since(UNIX_EPOCH).expect("after 1970").as_secs(),
        "expiry": invoice.expiry().as_secs(),
    });
    assert_eq!(Some(&found), case.accept(), "{name}");
    assert_eq!(invoice.as_str(), text, "{name}");
}

fn word(error: &InvoiceError) -> &'static str {
    match error {
        InvoiceError::TooLong(_) => "too-long",
        InvoiceError::Unreadable(_) => "unreadable",
        InvoiceError::NoAmount => "no-amount",
        InvoiceError::BadAmount(_) => "bad-amount",
        InvoiceError::UnknownNetwork => "unknown-network",
        other => panic!("{other} has no word yet"),
    }
}
