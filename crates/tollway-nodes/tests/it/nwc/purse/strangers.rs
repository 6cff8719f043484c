//! Connections that know nothing of one another, and whoever has none.

use std::time::Duration;

use l402::{Invoice, Msat, PayOrder, PaymentHash};
use serde_json::json;

use super::super::application::{Application, Sealed};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_strangers_to_one_another() {
    let scene = Scene::set("1000 sat").await;
    let other = scene.serving().connect("other", "1000 sat/day", &scene.relay).await;
    let mut one = scene.application().await;
    let mut two = Application::connect(&other, scene.relay.port).await;
    let invoice = invoice(&scene.seller, 20).await;
    let pay = json!({ "invoice": invoice.as_str() });
    assert!(one.ask(Sealed::Nip44, "pay_invoice", pay.clone()).await["error"].is_null());
    let answer = two.ask(Sealed::Nip44, "pay_invoice", pay).await;
    assert_eq!(code(&answer), "OTHER", "its proof is the other's: {answer}");
    let hash = json!({ "payment_hash": invoice.payment_hash() });
    assert_eq!(code(&two.ask(Sealed::Nip44, "lookup_invoice", hash).await), "NOT_FOUND");
    let listed = two.ask(Sealed::Nip44, "list_transactions", json!({ "unpaid": true })).await;
    assert_eq!(listed["result"]["transactions"], json!([]));

    // What was paid by other means than a connection is not given away either.
    let elsewhere = self::invoice(&scene.seller, 3).await;
    let patience = Duration::from_secs(10);
    let order = PayOrder { invoice: &elsewhere, max_fee: Msat::ZERO, patience };
    scene.buyer.payer().pay(order).await.unwrap();
    let pay = json!({ "invoice": elsewhere.as_str() });
    assert_eq!(code(&two.ask(Sealed::Nip44, "pay_invoice", pay).await), "OTHER");
    assert_eq!(scene.seller.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_connection_begins_nothing_more() {
    let scene = Scene::set("1000 sat").await;
    let mut one = scene.application().await;
    one.ask(Sealed::Nip44, "get_info", json!({})).await;
    let other = scene.serving().connect("other", "unlimited", &scene.relay).await;
    let pay = json!({ "invoice": invoice(&scene.seller, 20).await.as_str() });
    scene.serving().connections.revoke("app").await.unwrap();
    assert!(scene.serving().connections.revoke("app").await.is_err());
    let event = one.event(Sealed::Nip44, "pay_invoice", pay);
    one.say(&event).await;
    // Another's payment is through, so this one would have been.
    let payer = open(&other, &scene.relay).await.payer.unwrap();
    let invoice = invoice(&scene.seller, 5).await;
    let patience = Duration::from_secs(60);
    payer.pay(PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience }).await.unwrap();
    assert_eq!(scene.buyer.orders(), [invoice.payment_hash()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_old_requests_get_no_answer_and_no_money() {
    let scene = Scene::set("1000 sat").await;
    let mut application = scene.application().await;
    let pay = json!({ "invoice": invoice(&scene.seller, 20).await.as_str() });
    let old = application.aged(Duration::from_secs(3600), "pay_invoice", pay.clone());
    let ended = application.expired("pay_invoice", pay.clone());
    let strange = application.by_a_stranger("pay_invoice", pay.clone());
    for event in [&old, &ended, &strange] {
        application.say(event).await;
    }
    let other_amount = json!({ "invoice": pay["invoice"], "amount": 1 });
    let answer = application.ask(Sealed::Nip44, "pay_invoice", other_amount).await;
    assert_eq!(code(&answer), "OTHER");
    assert!(scene.buyer.orders().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_connection_show_what_it_paid_and_was_paid() {
    let scene = Scene::set("1000 sat/month").await;
    let mut application = scene.application().await;
    let made = json!({ "amount": 9_000, "description": "coffee", "expiry": 600 });
    let made = application.ask(Sealed::Nip44, "make_invoice", made).await["result"].clone();
    assert_eq!((&made["type"], &made["state"]), (&json!("incoming"), &json!("pending")));
    let theirs = Invoice::parse(made["invoice"].as_str().unwrap()).unwrap();
    let patience = Duration::from_secs(10);
    let order = PayOrder { invoice: &theirs, max_fee: Msat::ZERO, patience };
    let guest = scene.buyer.on().node("100 sat".parse().unwrap());
    guest.payer().pay(order).await.unwrap();
    let ours = json!({ "invoice": invoice(&scene.seller, 4).await.as_str() });
    application.ask(Sealed::Nip44, "pay_invoice", ours).await;
    let listed = application.ask(Sealed::Nip44, "list_transactions", json!({})).await;
    let rows = listed["result"]["transactions"].as_array().unwrap().clone();
    let mut seen: Vec<_> = rows.iter().map(|row| row["type"].as_str().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["incoming", "outgoing"], "{listed}");
    assert!(rows.iter().all(|row| row["state"] == "settled" && row["preimage"].is_null()));
    let only = json!({ "type": "incoming", "limit": 1 });
    let listed = application.ask(Sealed::Nip44, "list_transactions", only).await;
    let hash: PaymentHash =
        listed["result"]["transactions"][0]["payment_hash"].as_str().unwrap().parse().unwrap();
    assert_eq!(hash, theirs.payment_hash());
    let budget = application.ask(Sealed::Nip44, "get_budget", json!({})).await;
    assert_eq!(budget["result"]["renewal_period"], "monthly");
    assert!(budget["result"]["renews_at"].as_u64().is_some());
}
