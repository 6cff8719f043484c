//! What is said when the purse goes away: before an order, in the middle of one, and after.

use std::time::Duration;

use l402::{
    Invoice, Invoicer as _, Msat, NodeErrorKind, Outcome, Paid, PayError, PayOrder, Payer, Why,
};
use testkit::{Act, FakeNetwork, FakeNode};

use crate::running::{Running, private_folder};

async fn invoice(seller: &FakeNode) -> Invoice {
    let amount = Msat::from_sat(10).unwrap();
    seller.invoice(amount, "test", Duration::from_secs(600)).await.unwrap()
}

async fn pay(payer: &dyn Payer, invoice: &Invoice) -> Result<Paid, PayError> {
    let patience = Duration::from_secs(60);
    payer.pay(PayOrder { invoice, max_fee: Msat::ZERO, patience }).await
}

fn unknown(ended: Result<Paid, PayError>, invoice: &Invoice) -> NodeErrorKind {
    match ended {
        Err(PayError::Unknown { hash, source }) if hash == invoice.payment_hash() => source.kind,
        other => panic!("unknown was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn a_purse_killed_in_mid_payment_leaves_an_unknown_end_that_is_found_later() {
    let (buyer, seller) = FakeNetwork::pair();
    let folder = private_folder();
    let path = folder.path().join("purse.sock");
    let purse = Running::start(path.clone(), buyer.both()).await;
    let payer = purse.payer().await;
    let (begun, fresh) = (invoice(&seller).await, invoice(&seller).await);

    let cue = buyer.next(Act::PayLate);
    let kill = async {
        cue.arrived().await;
        purse.kill().await;
    };
    let (ended, ()) = tokio::join!(pay(&*payer, &begun), kill);
    assert_eq!(unknown(ended, &begun), NodeErrorKind::Unreachable);

    // With the purse gone, what was begun stays unknown, and what was not is not paid.
    assert_eq!(unknown(pay(&*payer, &begun).await, &begun), NodeErrorKind::Unreachable);
    let Err(PayError::NotPaid { why: Why::Unreachable, source: Some(source) }) =
        pay(&*payer, &fresh).await
    else {
        panic!("nothing was begun");
    };
    assert_eq!(source.kind, NodeErrorKind::Unreachable);
    let remedy = std::error::Error::source(&source).unwrap().to_string();
    assert!(remedy.contains("not running any more; start it with `tollway node run`"), "{remedy}");
    assert!(payer.outcome(begun.payment_hash()).await.is_err());

    let _again = Running::start(path, buyer.both()).await;
    assert_eq!(payer.outcome(begun.payment_hash()).await.unwrap(), Outcome::Pending);
    cue.proceed();
    let Outcome::Paid(found) = payer.outcome(begun.payment_hash()).await.unwrap() else {
        panic!("the money had left");
    };
    assert_eq!(pay(&*payer, &begun).await.unwrap(), found);
    assert!(pay(&*payer, &fresh).await.is_ok());
    assert_eq!(seller.received().len(), 2);
}

#[tokio::test]
async fn a_known_end_leaves_no_doubt() {
    let (buyer, seller) = FakeNetwork::pair();
    let folder = private_folder();
    let purse = Running::start(folder.path().join("purse.sock"), buyer.both()).await;
    let payer = purse.payer().await;
    let invoice = invoice(&seller).await;
    let cue = buyer.next(Act::PayLate);
    let hurried = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: Duration::ZERO };
    assert_eq!(unknown(payer.pay(hurried).await, &invoice), NodeErrorKind::Timeout);
    cue.fail(Why::PayeeRefused);
    assert_eq!(payer.outcome(invoice.payment_hash()).await.unwrap(), Outcome::NotPaid);
    purse.kill().await;
    let ended = pay(&*payer, &invoice).await;
    assert!(matches!(ended, Err(PayError::NotPaid { why: Why::Unreachable, .. })), "{ended:?}");
}

#[tokio::test]
async fn every_reason_and_every_error_crosses_the_socket() {
    let (buyer, seller) = FakeNetwork::pair();
    let folder = private_folder();
    let purse = Running::start(folder.path().join("purse.sock"), buyer.both()).await;
    let node = purse.open().await;
    let (payer, invoicer) = (node.payer.unwrap(), node.invoicer.unwrap());
    let invoice = invoice(&seller).await;
    for why in [
        Why::NoRoute,
        Why::Balance,
        Why::Expired,
        Why::PayeeRefused,
        Why::WrongNetwork,
        Why::Unreachable,
        Why::Refused,
    ] {
        buyer.next(Act::Refuse(why));
        let ended = pay(&*payer, &invoice).await;
        assert!(matches!(ended, Err(PayError::NotPaid { why: told, .. }) if told == why));
    }
    for kind in [
        NodeErrorKind::Unreachable,
        NodeErrorKind::Timeout,
        NodeErrorKind::Unauthorized,
        NodeErrorKind::Refused,
        NodeErrorKind::Storage,
        NodeErrorKind::Protocol,
    ] {
        buyer.fail_invoices(Some(kind));
        let amount = Msat::from_sat(1).unwrap();
        let failed = invoicer.invoice(amount, "", Duration::from_secs(60)).await.unwrap_err();
        assert_eq!((failed.driver, failed.kind), ("purse", kind));
    }
}
