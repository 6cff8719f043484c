//! A real lnd that is killed, frozen or given a new certificate while it is in use.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use l402::{Invoice, Msat, NodeErrorKind, Outcome, Paid, PayError, PayOrder, Payer, Preimage, Why};
use serde_json::json;

use super::binary::is_there;
use super::rig::{Lnd, pair};

/// An invoice that is paid only when its seller says so.
async fn held(seller: &Lnd, preimage: &Preimage) -> Invoice {
    let hash = BASE64_STANDARD.encode(preimage.hash().0);
    let made = seller.post("/v2/invoices/hodl", json!({ "hash": hash, "value_msat": "77000" }));
    Invoice::parse(made.await["payment_request"].as_str().unwrap()).unwrap()
}

async fn until_held(seller: &Lnd, invoice: &Invoice) {
    let path = format!("/v1/invoice/{}", invoice.payment_hash());
    seller
        .until("the payment has arrived", async || seller.get(&path).await["state"] == "ACCEPTED")
        .await;
}

async fn settle(seller: &Lnd, preimage: &Preimage) {
    let preimage = BASE64_STANDARD.encode(preimage.expose());
    seller.post("/v2/invoices/settle", json!({ "preimage": preimage })).await;
}

async fn pay(payer: &dyn Payer, invoice: &Invoice, patience: u64) -> Result<Paid, PayError> {
    let patience = Duration::from_secs(patience);
    payer.pay(PayOrder { invoice, max_fee: Msat::ZERO, patience }).await
}

fn unknown(ended: Result<Paid, PayError>) -> NodeErrorKind {
    match ended {
        Err(PayError::Unknown { source, .. }) => source.kind,
        other => panic!("unknown was expected, not {other:?}"),
    }
}

async fn fresh(seller: &Lnd) -> Invoice {
    let invoicer = seller.open().await.unwrap().invoicer.unwrap();
    invoicer.invoice(Msat::from_msat(5_000), "", Duration::from_secs(600)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_lnd_killed_in_mid_payment_leaves_an_unknown_end_that_is_found_later() {
    if !is_there() {
        return;
    }
    let mut pair = pair().await;
    let payer = pair.buyer.open().await.unwrap().payer.unwrap();
    let preimage = Preimage::new([0x1d; 32]);
    let invoice = held(&pair.seller, &preimage).await;
    let hash = invoice.payment_hash();

    let (ended, ()) = {
        let pair = &mut *pair;
        let kill = async {
            until_held(&pair.seller, &invoice).await;
            pair.buyer.kill();
        };
        tokio::join!(pay(&*payer, &invoice, 60), kill)
    };
    assert_eq!(unknown(ended), NodeErrorKind::Unreachable);
    assert_eq!(unknown(pay(&*payer, &invoice, 60).await), NodeErrorKind::Unreachable);
    assert_eq!(payer.outcome(hash).await.unwrap_err().kind, NodeErrorKind::Unreachable);
    let never_ordered = fresh(&pair.seller).await;
    let ended = pay(&*payer, &never_ordered, 60).await;
    assert!(matches!(ended, Err(PayError::NotPaid { why: Why::Unreachable, .. })), "{ended:?}");

    pair.buyer.start();
    pair.buyer.synced().await;
    assert_eq!(payer.outcome(hash).await.unwrap(), Outcome::Pending);
    assert_eq!(unknown(pay(&*payer, &invoice, 1).await), NodeErrorKind::Timeout);
    settle(&pair.seller, &preimage).await;
    let paid = pay(&*payer, &invoice, 60).await.unwrap();
    assert_eq!(paid, Paid { preimage, fee: Msat::ZERO });
    assert_eq!(payer.outcome(hash).await.unwrap(), Outcome::Paid(paid));
    pair.usable().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_lnd_that_does_not_answer_is_not_waited_for_and_nothing_is_concluded() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let payer = pair.buyer.open().await.unwrap().payer.unwrap();
    let invoice = fresh(&pair.seller).await;
    pair.buyer.freeze(true);
    let ended = pay(&*payer, &invoice, 1).await;
    pair.buyer.freeze(false);
    assert_eq!(unknown(ended), NodeErrorKind::Timeout);
    pair.buyer
        .until("the payment has ended", async || {
            payer.outcome(invoice.payment_hash()).await.unwrap() != Outcome::Pending
        })
        .await;
    let Outcome::Paid(found) = payer.outcome(invoice.payment_hash()).await.unwrap() else {
        panic!("the order had arrived whole");
    };
    assert_eq!(pay(&*payer, &invoice, 60).await.unwrap(), found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_taken_from_its_file_without_opening_again() {
    if !is_there() {
        return;
    }
    let mut pair = pair().await;
    let url = pair.seller.url(&pair.seller.macaroon("admin"));
    let invoicer = super::rig::open(&url).await.unwrap().invoicer.unwrap();
    let old = std::fs::read(pair.seller.cert()).unwrap();
    pair.seller.kill();
    std::fs::remove_file(pair.seller.cert()).unwrap();
    std::fs::remove_file(pair.seller.folder().join("tls.key")).unwrap();
    pair.seller.start();
    pair.seller.synced().await;
    assert_ne!(std::fs::read(pair.seller.cert()).unwrap(), old);

    let minute = Duration::from_secs(60);
    let invoice = invoicer.invoice(Msat::from_msat(5_000), "", minute).await.unwrap();
    assert!(!invoicer.is_settled(invoice.payment_hash()).await.unwrap());

    // With the old certificate pinned, the new one is an impostor's.
    let kept = pair.seller.folder().join("old.cert");
    std::fs::write(&kept, old).unwrap();
    let cert = pair.seller.cert();
    let stale = url.replace(&*cert.to_string_lossy(), &kept.to_string_lossy());
    let Err(l402::OpenError::Node(error)) = super::rig::open(&stale).await else {
        panic!("nobody proved to be the old node")
    };
    assert_eq!(error.kind, NodeErrorKind::Unauthorized);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("shows a certificate that is not trusted"), "{cause}");
    pair.usable().await;
}
