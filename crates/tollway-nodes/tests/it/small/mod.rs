//! The drivers of small REST APIs, each against a server that answers as that API's documentation
//! says, over a fake node; and against ones that lose replies and lie.

mod eclair;
mod lnbits;
mod owner;
mod phoenixd;
mod real;
mod strange;

use std::collections::HashMap;
use std::time::Duration;

use l402::{Invoice, Msat, Paid, PayError, PayOrder, Payer as _};
use testkit::FakeNode;

use crate::fake::{Asked, Say};

fn json(body: &serde_json::Value) -> Say {
    Say::Json(200, body.to_string())
}

fn not_found() -> Say {
    Say::Json(404, "\"Not found\"".to_owned())
}

fn form(asked: &Asked) -> HashMap<String, String> {
    url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect()
}

/// What such a server does with an order, whatever it may cost.
async fn paid(node: &FakeNode, invoice: &str, max_fee: Msat) -> Result<Paid, PayError> {
    let invoice = Invoice::parse(invoice).unwrap();
    let patience = Duration::from_secs(60);
    node.pay(PayOrder { invoice: &invoice, max_fee, patience }).await
}
