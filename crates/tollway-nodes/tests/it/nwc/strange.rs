//! A relay that is lost in mid-payment, and wallets that keep things to themselves.

use std::time::Duration;

use l402::{
    Invoice, Invoicer as _, Msat, NodeErrorKind, OpenError, Outcome, Paid, PayError, PayOrder,
    Payer, Why,
};
use testkit::{Act, FakeNetwork, FakeNode};

use super::open_url;
use super::service::{Pays, Running, Service};

async fn invoice(seller: &FakeNode) -> Invoice {
    let hour = Duration::from_secs(3600);
    seller.invoice(Msat::from_msat(1_000), "", hour).await.unwrap()
}

async fn pay(payer: &dyn Payer, invoice: &Invoice) -> Result<Paid, PayError> {
    let patience = Duration::from_secs(60);
    payer.pay(PayOrder { invoice, max_fee: Msat::ZERO, patience }).await
}

fn unknown(ended: Result<Paid, PayError>) -> NodeErrorKind {
    match ended {
        Err(PayError::Unknown { source, .. }) => source.kind,
        other => panic!("unknown was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn a_relay_lost_in_mid_payment_leaves_an_unknown_end_that_is_found_later() {
    let (buyer, seller) = FakeNetwork::pair();
    let mut relay = Running::start().await;
    let wallet = Service::over(buyer.clone());
    let again = wallet.clone();
    let url = wallet.serve(relay.port).await;
    let payer = open_url(&format!("{url}&fees=wallet")).await.unwrap().payer.unwrap();
    let invoice = invoice(&seller).await;

    let cue = buyer.next(Act::PayLate);
    let cut = async {
        cue.arrived().await;
        relay.relay.shutdown();
    };
    let (ended, ()) = tokio::join!(pay(&*payer, &invoice), cut);
    assert_eq!(unknown(ended), NodeErrorKind::Unreachable);
    assert!(payer.outcome(invoice.payment_hash()).await.is_err(), "there is no relay");

    relay.replace().await;
    again.serve(relay.port).await;
    assert_eq!(payer.outcome(invoice.payment_hash()).await.unwrap(), Outcome::Pending);
    cue.proceed();
    let Outcome::Paid(found) = payer.outcome(invoice.payment_hash()).await.unwrap() else {
        panic!("the money had left")
    };
    assert_eq!(pay(&*payer, &invoice).await.unwrap(), found);
    assert_eq!(seller.received().len(), 1);
}

#[tokio::test]
async fn a_wallet_that_pays_in_silence_or_without_a_preimage_is_asked() {
    for pays in [Pays::InSilence, Pays::WithoutPreimage] {
        let (buyer, seller) = FakeNetwork::pair();
        let relay = Running::start().await;
        let url = Service::over(buyer).paying(pays).serve(relay.port).await;
        let payer = open_url(&format!("{url}&fees=wallet")).await.unwrap().payer.unwrap();
        let invoice = invoice(&seller).await;
        let patience = Duration::from_millis(300);
        let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience };
        let ended = payer.pay(order).await;
        match pays {
            Pays::WithoutPreimage => assert!(ended.is_ok(), "its books have the preimage"),
            _ => assert_eq!(unknown(ended), NodeErrorKind::Timeout),
        }
        let outcome = payer.outcome(invoice.payment_hash()).await.unwrap();
        assert!(matches!(outcome, Outcome::Paid(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_wrong_preimage_is_not_paid_for_and_not_unpaid_either() {
    let (buyer, seller) = FakeNetwork::pair();
    let relay = Running::start().await;
    let url = Service::over(buyer.clone()).serve(relay.port).await;
    let payer = open_url(&format!("{url}&fees=wallet")).await.unwrap().payer.unwrap();
    let invoice = invoice(&seller).await;
    buyer.next(Act::WrongPreimage);
    assert_eq!(unknown(pay(&*payer, &invoice).await), NodeErrorKind::Protocol);
    let outcome = payer.outcome(invoice.payment_hash()).await;
    assert_eq!(outcome.unwrap_err().kind, NodeErrorKind::Protocol);
}

#[tokio::test]
async fn nothing_is_paid_until_the_user_has_said_that_fees_are_the_wallets() {
    let (buyer, seller) = FakeNetwork::pair();
    let relay = Running::start().await;
    let url = Service::over(buyer).serve(relay.port).await;
    let payer = open_url(&url).await.unwrap().payer.unwrap();
    let invoice = invoice(&seller).await;
    let ended = pay(&*payer, &invoice).await;
    let Err(PayError::NotPaid { why: Why::Refused, source: Some(source) }) = ended else {
        panic!("it has no fee limit")
    };
    let story = std::error::Error::source(&source).unwrap().to_string();
    assert!(story.contains("fees=wallet"), "{story}");
    assert!(seller.received().is_empty());
}

#[tokio::test]
async fn a_connection_opens_what_it_may_and_no_more() {
    let (buyer, _) = FakeNetwork::pair();
    let relay = Running::start().await;
    for (methods, pays, is_paid) in [
        (&["get_info", "pay_invoice", "lookup_invoice"][..], true, false),
        (&["get_info", "make_invoice", "lookup_invoice", "get_budget"], false, true),
    ] {
        let url = Service::over(buyer.clone()).with_methods(methods).serve(relay.port).await;
        let node = open_url(&url).await.unwrap();
        assert_eq!([node.payer.is_some(), node.invoicer.is_some()], [pays, is_paid]);
    }
    let blind = Service::over(buyer).with_methods(&["get_info", "pay_invoice"]);
    let url = blind.serve(relay.port).await;
    let Err(OpenError::Node(error)) = open_url(&url).await else { panic!("it cannot be asked") };
    assert_eq!(error.kind, NodeErrorKind::Unauthorized);
}
