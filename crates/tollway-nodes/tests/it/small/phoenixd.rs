//! phoenixd's API, as <https://phoenix.acinq.co/server/api> describes it.

use std::time::Duration;

use l402::{Invoicer as _, Msat, NodeErrorKind, Outcome, PayOrder, Payer as _};
use serde_json::json;
use testkit::{FakeNetwork, FakeNode};

use super::{form, json, not_found, paid};
use crate::ends::Ends;
use crate::fake::{Asked, Fake, Say};
use crate::running::open_url;

/// More than any fee here.
const ANY: Msat = Msat::from_msat(1_000_000_000);

async fn phoenixd(node: FakeNode) -> Fake {
    Fake::plain(move |asked| {
        let node = node.clone();
        async move { answer(&node, &asked).await }
    })
    .await
}

async fn answer(node: &FakeNode, asked: &Asked) -> Say {
    // The user has no name, and the password is `hunter2`.
    if asked.headers["authorization"] != "Basic Omh1bnRlcjI=" {
        return Say::Json(401, "Invalid authentication".to_owned());
    }
    let path: Vec<&str> = asked.path.split('/').skip(1).collect();
    match path[..] {
        ["getinfo"] => json(&json!({ "nodeId": "02ab", "chain": "regtest", "version": "0.6.0" })),
        ["payinvoice"] => {
            let invoice = form(asked)["invoice"].clone();
            match paid(node, &invoice, ANY).await {
                Ok(paid) => json(&json!({
                    "recipientAmountSat": 21,
                    "routingFeeSat": paid.fee.msat() / 1000,
                    "paymentId": "cd2a1e0a-b1c1-4d5c-9e13-111111111111",
                    "paymentHash": paid.preimage.hash(),
                    "paymentPreimage": paid.preimage.expose_hex(),
                })),
                Err(error) => json(&json!({ "reason": error.to_string() })),
            }
        }
        ["payments", "outgoingbyhash", hash] => {
            let hash = hash.parse().unwrap();
            if !node.orders().contains(&hash) {
                return not_found();
            }
            let row = match node.outcome(hash).await.unwrap() {
                Outcome::Pending => json!({ "isPaid": false }),
                Outcome::NotPaid => json!({ "isPaid": false, "completedAt": 1_712_785_550_079u64 }),
                Outcome::Paid(paid) => json!({
                    "isPaid": true, "preimage": paid.preimage.expose_hex(),
                    "fees": paid.fee, "completedAt": 1_712_785_550_079u64,
                }),
            };
            json(&row)
        }
        ["createinvoice"] => {
            let fields = form(asked);
            let amount = Msat::from_sat(fields["amountSat"].parse().unwrap()).unwrap();
            let expiry = Duration::from_secs(fields["expirySeconds"].parse().unwrap());
            let invoice = node.invoice(amount, &fields["description"], expiry).await.unwrap();
            json(&json!({
                "amountSat": amount.msat() / 1000,
                "paymentHash": invoice.payment_hash(),
                "serialized": invoice.as_str(),
            }))
        }
        ["payments", "incoming", hash] => {
            match node.is_settled(hash.parse().unwrap()).await.unwrap() {
                true => json(&json!({ "type": "incoming_payment", "isPaid": true })),
                false => not_found(),
            }
        }
        _ => panic!("{}", asked.path),
    }
}

fn url(fake: &Fake) -> String {
    format!("phoenixd://{}?password={}", fake.address, fake.keep("password", "hunter2\n"))
}

async fn bought() -> Ends {
    let (buyer, seller) = FakeNetwork::pair();
    // Its published fee for the contract's 21,001 msat: 0.4 % and 4 sat.
    let fee = Msat::from_msat(4_085);
    buyer.on().set_fee(fee);
    let fake = phoenixd(buyer).await;
    let payer = open_url(&url(&fake)).await.unwrap().payer.unwrap();
    Ends { payer, invoicer: seller.invoicer(), seller, fee, _kept: Box::new(fake) }
}

testkit::payer_contract!(bought);

#[tokio::test]
async fn it_is_paid_in_whole_satoshi() {
    let (buyer, seller) = FakeNetwork::pair();
    let fake = phoenixd(seller.clone()).await;
    let limited = open_url(&format!("{}&limited=yes", url(&fake))).await.unwrap();
    assert!(limited.payer.is_none());
    let invoicer = limited.invoicer.unwrap();
    let minute = Duration::from_secs(60);
    let part = invoicer.invoice(Msat::from_msat(1_001), "", minute).await;
    assert_eq!(part.unwrap_err().kind, NodeErrorKind::Refused);
    let invoice = invoicer.invoice(Msat::from_msat(21_000), "tea & cake", minute).await.unwrap();
    assert_eq!(invoice.description().as_deref(), Some("tea & cake"));
    assert!(!invoicer.is_settled(invoice.payment_hash()).await.unwrap());
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: minute };
    buyer.pay(order).await.unwrap();
    assert!(invoicer.is_settled(invoice.payment_hash()).await.unwrap());
}
