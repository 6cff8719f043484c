//! eclair's API, as <https://acinq.github.io/eclair/> describes it.

use std::time::Duration;

use l402::{Invoicer as _, Msat, Outcome, Payer as _, PaymentHash};
use serde_json::json;
use testkit::{FakeNetwork, FakeNode};

use super::{form, json, not_found, paid};
use crate::ends::Ends;
use crate::fake::{Asked, Fake, Say};
use crate::running::open_url;

async fn eclair(node: FakeNode) -> Fake {
    Fake::plain(move |asked| {
        let node = node.clone();
        async move { answer(&node, &asked).await }
    })
    .await
}

async fn answer(node: &FakeNode, asked: &Asked) -> Say {
    assert_eq!(asked.method, "POST");
    if asked.headers["authorization"] != "Basic Omh1bnRlcjI=" {
        return Say::Json(401, "The supplied authentication is invalid".to_owned());
    }
    let fields = form(asked);
    let hash = || -> PaymentHash { fields["paymentHash"].parse().unwrap() };
    match asked.path.as_str() {
        "/getinfo" => json(&json!({ "version": "0.13.0", "network": "regtest" })),
        "/payinvoice" => {
            assert_eq!((&*fields["maxFeePct"], &*fields["blocking"]), ("0", "true"));
            let max_fee = Msat::from_sat(fields["maxFeeFlatSat"].parse().unwrap()).unwrap();
            match paid(node, &fields["invoice"], max_fee).await {
                Ok(paid) => json(&json!({
                    "type": "payment-sent",
                    "id": "e17fe9c9-c4b4-4cd2-bdd2-111111111111",
                    "paymentHash": paid.preimage.hash(),
                    "paymentPreimage": paid.preimage.expose_hex(),
                    "parts": [{ "amount": 21_001, "feesPaid": paid.fee }],
                })),
                Err(_) => json(&json!({ "type": "payment-failed", "failures": [] })),
            }
        }
        "/getsentinfo" => {
            if !node.orders().contains(&hash()) {
                return json(&json!([]));
            }
            let status = match node.outcome(hash()).await.unwrap() {
                Outcome::Pending => json!({ "type": "pending" }),
                Outcome::NotPaid => json!({ "type": "failed", "failures": [] }),
                Outcome::Paid(paid) => json!({
                    "type": "sent", "paymentPreimage": paid.preimage.expose_hex(),
                    "feesPaid": paid.fee, "route": [],
                }),
            };
            json(&json!([{ "paymentHash": hash(), "status": status }]))
        }
        "/createinvoice" => {
            let amount = Msat::from_msat(fields["amountMsat"].parse().unwrap());
            let expiry = Duration::from_secs(fields["expireIn"].parse().unwrap());
            let invoice = node.invoice(amount, &fields["description"], expiry).await.unwrap();
            json(&json!({ "prefix": "lnbcrt", "serialized": invoice.as_str() }))
        }
        "/getreceivedinfo" => match node.is_settled(hash()).await.unwrap() {
            true => json(&json!({ "status": { "type": "received", "amount": 21_001 } })),
            false => not_found(),
        },
        other => panic!("{other}"),
    }
}

fn url(fake: &Fake) -> String {
    format!("eclair://{}?password={}", fake.address, fake.keep("password", "hunter2"))
}

async fn bought() -> Ends {
    let (buyer, seller) = FakeNetwork::pair();
    let fee = Msat::from_msat(2_000);
    buyer.on().set_fee(fee);
    let (buying, selling) = (eclair(buyer).await, eclair(seller.clone()).await);
    let payer = open_url(&url(&buying)).await.unwrap().payer.unwrap();
    let invoicer = open_url(&url(&selling)).await.unwrap().invoicer.unwrap();
    Ends { payer, invoicer, seller, fee, _kept: Box::new([buying, selling]) }
}

testkit::payer_contract!(bought);
testkit::invoicer_contract!(bought);
