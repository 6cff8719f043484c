//! A Core Lightning that loses replies, lies, or has no `pay` any more.

use std::time::Duration;

use l402::{
    Invoice, Invoicer as _, Msat, Node, NodeErrorKind, OpenError, Outcome, Paid, PayError,
    PayOrder, Why,
};
use serde_json::{Value, json};
use testkit::FakeNetwork;

use super::lightningd::{rest_url, rune};
use crate::fake::{Fake, Say};
use crate::running::open_url;

fn made(body: &Value) -> Say {
    Say::Json(201, body.to_string())
}

fn refusal(status: u16, code: i64, message: &str) -> Say {
    Say::Json(status, json!({ "code": code, "message": message }).to_string())
}

/// A node that says these things to `pay`, `xpay` and `listpays`.
async fn cln(pay: Say, xpay: Say, listpays: Say) -> (Fake, Node) {
    let fake = Fake::tls(move |asked| {
        let said = match asked.path.as_str() {
            "/v1/getinfo" => made(&json!({ "network": "regtest" })),
            "/v1/pay" => pay.clone(),
            "/v1/xpay" => xpay.clone(),
            "/v1/listpays" => listpays.clone(),
            other => panic!("{other}"),
        };
        async move { said }
    })
    .await;
    let node = open_url(&rest_url(&fake, &rune("=1"))).await.unwrap();
    (fake, node)
}

async fn invoice() -> (Invoice, String) {
    let (buyer, seller) = FakeNetwork::pair();
    let hour = Duration::from_secs(3600);
    let invoice = seller.invoice(Msat::from_msat(1_000), "", hour).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: hour };
    let paid = buyer.payer().pay(order).await.unwrap();
    (invoice, paid.preimage.expose_hex())
}

async fn pay(node: &Node, invoice: &Invoice) -> Result<Paid, PayError> {
    let patience = Duration::from_secs(20);
    let order = PayOrder { invoice, max_fee: Msat::from_msat(55), patience };
    node.payer.as_ref().unwrap().pay(order).await
}

fn unknown(ended: Result<Paid, PayError>) -> NodeErrorKind {
    match ended {
        Err(PayError::Unknown { source, .. }) => source.kind,
        other => panic!("unknown was expected, not {other:?}"),
    }
}

fn not_paid(ended: Result<Paid, PayError>) -> (Why, String) {
    match ended {
        Err(PayError::NotPaid { why, source }) => {
            let cause = source.as_ref().and_then(std::error::Error::source);
            (why, cause.map(ToString::to_string).unwrap_or_default())
        }
        other => panic!("not paid was expected, not {other:?}"),
    }
}

fn complete(preimage: &str) -> Value {
    json!({ "pays": [{
        "status": "complete", "preimage": preimage, "created_at": 1,
        "amount_msat": 1000, "amount_sent_msat": 1021,
    }] })
}

fn nothing() -> Say {
    made(&json!({ "pays": [] }))
}

#[tokio::test]
async fn a_lost_reply_is_found_at_once_where_the_node_can_be_asked() {
    let (invoice, preimage) = invoice().await;
    for lost in [Say::HangUp, made(&json!({})), Say::Json(502, "<html>".into())] {
        let found = made(&complete(&preimage));
        let (_fake, node) = cln(lost, Say::HangUp, found).await;
        let paid = pay(&node, &invoice).await.unwrap();
        assert_eq!((paid.preimage.expose_hex(), paid.fee.msat()), (preimage.clone(), 21));
    }
}

#[tokio::test]
async fn a_lost_order_goes_on_trying_for_a_while() {
    let (invoice, _) = invoice().await;
    let (_fake, node) = cln(Say::HangUp, Say::HangUp, nothing()).await;
    let payer = node.payer.clone().unwrap();
    let hash = invoice.payment_hash();
    assert_eq!(payer.outcome(hash).await.unwrap(), Outcome::NotPaid);
    assert_eq!(unknown(pay(&node, &invoice).await), NodeErrorKind::Unreachable);
    assert_eq!(payer.outcome(hash).await.unwrap(), Outcome::Pending);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(payer.outcome(hash).await.unwrap(), Outcome::Pending);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    assert_eq!(payer.outcome(hash).await.unwrap(), Outcome::NotPaid);
}

#[tokio::test]
async fn a_wrong_preimage_is_not_paid_for_and_not_unpaid_either() {
    let (invoice, _) = invoice().await;
    let wrong = "42".repeat(32);
    let said = json!({ "payment_preimage": wrong, "amount_msat": 1, "amount_sent_msat": 1 });
    let (_fake, node) = cln(made(&said), Say::HangUp, made(&complete(&wrong))).await;
    assert_eq!(unknown(pay(&node, &invoice).await), NodeErrorKind::Protocol);
    let outcome = node.payer.unwrap().outcome(invoice.payment_hash()).await;
    assert_eq!(outcome.unwrap_err().kind, NodeErrorKind::Protocol);
}

#[tokio::test]
async fn xpay_does_where_there_is_no_pay() {
    let (invoice, preimage) = invoice().await;
    let gone = refusal(404, -32601, "Unknown command 'pay'");
    let paid = json!({
        "payment_preimage": preimage, "failed_parts": 0, "successful_parts": 1,
        "amount_msat": 1000, "amount_sent_msat": 1001,
    });
    let (fake, node) = cln(gone, made(&paid), Say::HangUp).await;
    assert_eq!(pay(&node, &invoice).await.unwrap().fee.msat(), 1);
    let said: Value = serde_json::from_str(&fake.asked().pop().unwrap().body).unwrap();
    let order = json!({ "invstring": invoice.as_str(), "maxfee": 55, "retry_for": 18 });
    assert_eq!(said, order);
}

#[tokio::test]
async fn every_code_of_pays_is_told() {
    let (invoice, _) = invoice().await;
    for (code, why) in [
        (203, Why::PayeeRefused),
        (205, Why::NoRoute),
        (206, Why::NoRoute),
        (207, Why::Expired),
        (209, Why::Refused),
        (210, Why::NoRoute),
    ] {
        let (_fake, node) = cln(refusal(500, code, "no"), Say::HangUp, nothing()).await;
        assert_eq!(not_paid(pay(&node, &invoice).await).0, why, "{code}");
        // The code says more than the row of a failed try.
        let row = made(&json!({ "pays": [{ "status": "failed", "created_at": 1 }] }));
        let (_fake, node) = cln(refusal(500, code, "no"), Say::HangUp, row).await;
        assert_eq!(not_paid(pay(&node, &invoice).await).0, why, "{code}");
    }
}

#[tokio::test]
async fn what_a_rune_lacks_is_named_with_the_command_that_makes_it() {
    let (invoice, _) = invoice().await;
    let denied = r#"{"error":{"code":1502,"message":"Not permitted: method is not equal to x"}}"#;
    let (fake, node) = cln(Say::Json(401, denied.into()), Say::HangUp, nothing()).await;
    let (why, story) = not_paid(pay(&node, &invoice).await);
    assert_eq!(why, Why::Refused);
    assert!(story.contains("lightning-cli createrune") && story.contains("method=pay"), "{story}");

    let useless = rest_url(&fake, &rune("=1&method=listpays"));
    let Err(OpenError::Node(error)) = open_url(&useless).await else { panic!("it can do nothing") };
    assert_eq!(error.kind, NodeErrorKind::Unauthorized);
    let only_selling = rest_url(&fake, &rune("=1&method^list|method=invoice|method=getinfo"));
    let opened = open_url(&only_selling).await.unwrap();
    assert!(opened.payer.is_none() && opened.invoicer.is_some());
}

#[tokio::test]
async fn a_node_that_is_behind_or_elsewhere_is_named() {
    for (info, kind, words) in [
        (
            json!({ "network": "regtest", "warning_lightningd_sync": "Still loading" }),
            NodeErrorKind::Unreachable,
            "Still loading",
        ),
        (json!({ "network": "liquidv1" }), NodeErrorKind::Refused, "`liquidv1`"),
    ] {
        let fake = Fake::tls(move |_| {
            let info = made(&info);
            async move { info }
        })
        .await;
        let Err(OpenError::Node(error)) = open_url(&rest_url(&fake, &rune("=1"))).await else {
            panic!("it is not ready")
        };
        let story = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!((error.kind, story.contains(words)), (kind, true), "{story}");
    }
}
