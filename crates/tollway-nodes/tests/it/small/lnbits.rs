//! LNbits's API, as version 1.6.2 of it answers.

use std::time::Duration;

use l402::{Invoicer as _, Msat, NodeErrorKind, Outcome, PayOrder, Payer as _};
use serde_json::{Value, json};
use testkit::{FakeNetwork, FakeNode};

use super::{json, not_found, paid};
use crate::ends::Ends;
use crate::fake::{Asked, Fake, Say};
use crate::running::open_url;

async fn lnbits(node: FakeNode, fee: Msat) -> Fake {
    Fake::tls(move |asked| {
        let node = node.clone();
        async move { answer(&node, fee, &asked).await }
    })
    .await
}

async fn answer(node: &FakeNode, fee: Msat, asked: &Asked) -> Say {
    let is_admin = match asked.headers["x-api-key"].as_str() {
        "admin" => true,
        "invoice" => false,
        _ => return Say::Json(401, r#"{"detail":"Invalid key"}"#.to_owned()),
    };
    let path = asked.path.strip_prefix("/api/v1/").unwrap();
    match (asked.method.as_str(), path) {
        ("GET", "wallet") if is_admin => json(&json!({ "id": "w", "name": "w", "balance": 1 })),
        ("GET", "wallet") => json(&json!({ "name": "w", "balance": 1 })),
        ("GET", path) if path.starts_with("payments/fee-reserve?invoice=lnbcrt") => {
            json(&json!({ "fee_reserve": fee }))
        }
        ("GET", path) => look(node, path.strip_prefix("payments/").unwrap()).await,
        ("POST", "payments") => {
            let body: Value = serde_json::from_str(&asked.body).unwrap();
            if body["out"] == true {
                assert!(is_admin);
                return match paid(node, body["bolt11"].as_str().unwrap(), fee).await {
                    Ok(_) => Say::Json(201, json!({ "status": "success" }).to_string()),
                    Err(error) => {
                        let said = json!({ "detail": error.to_string(), "status": "failed" });
                        Say::Json(520, said.to_string())
                    }
                };
            }
            let amount = Msat::from_sat(body["amount"].as_u64().unwrap()).unwrap();
            let expiry = Duration::from_secs(body["expiry"].as_u64().unwrap());
            let memo = body["memo"].as_str().unwrap();
            let invoice = node.invoice(amount, memo, expiry).await.unwrap();
            Say::Json(201, json!({ "bolt11": invoice.as_str(), "status": "pending" }).to_string())
        }
        other => panic!("{other:?}"),
    }
}

async fn look(node: &FakeNode, hash: &str) -> Say {
    let hash = hash.parse().unwrap();
    if node.orders().contains(&hash) {
        let row =
            |fee: Msat| json!({ "amount": -21_001, "fee": -i64::try_from(fee.msat()).unwrap() });
        return json(&match node.outcome(hash).await.unwrap() {
            Outcome::Pending => {
                json!({ "paid": false, "status": "pending", "details": row(Msat::ZERO) })
            }
            Outcome::NotPaid => {
                json!({ "paid": false, "status": "failed", "details": row(Msat::ZERO) })
            }
            Outcome::Paid(paid) => json!({
                "paid": true, "preimage": paid.preimage.expose_hex(), "details": row(paid.fee),
            }),
        });
    }
    match node.is_settled(hash).await.unwrap() {
        true => json(&json!({ "paid": true, "details": { "amount": 21_000, "fee": 0 } })),
        false => not_found(),
    }
}

fn url(fake: &Fake, key: &str) -> String {
    let (key, cert) = (fake.keep("key", key), fake.cert());
    format!("lnbits://{}?key={key}&cert={}&network=regtest", fake.address, cert.display())
}

async fn bought() -> Ends {
    let (buyer, seller) = FakeNetwork::pair();
    let fee = Msat::from_msat(2_000);
    buyer.on().set_fee(fee);
    let fake = lnbits(buyer, fee).await;
    let payer = open_url(&url(&fake, "admin")).await.unwrap().payer.unwrap();
    Ends { payer, invoicer: seller.invoicer(), seller, fee, _kept: Box::new(fake) }
}

testkit::payer_contract!(bought);

#[tokio::test]
async fn an_invoice_key_is_paid_in_whole_satoshi_and_pays_nothing() {
    let (buyer, seller) = FakeNetwork::pair();
    let fake = lnbits(seller.clone(), Msat::ZERO).await;
    let node = open_url(&url(&fake, "invoice")).await.unwrap();
    assert!(node.payer.is_none());
    let invoicer = node.invoicer.unwrap();
    let minute = Duration::from_secs(60);
    let part = invoicer.invoice(Msat::from_msat(1_001), "", minute).await;
    assert_eq!(part.unwrap_err().kind, NodeErrorKind::Refused);
    let invoice = invoicer.invoice(Msat::from_msat(21_000), "tea", minute).await.unwrap();
    assert!(!invoicer.is_settled(invoice.payment_hash()).await.unwrap());
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: minute };
    buyer.pay(order).await.unwrap();
    assert!(invoicer.is_settled(invoice.payment_hash()).await.unwrap());
}
