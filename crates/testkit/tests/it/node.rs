//! Every way in which a [`FakeNode`] fails, and what is true afterwards.

use std::time::Duration;

use l402::{
    Invoice, Invoicer as _, Msat, NodeErrorKind, Outcome, Paid, PayError, PayOrder, Payer as _, Why,
};
use testkit::{Act, FakeNetwork, FakeNode, Link};

const PATIENCE: Duration = Duration::from_secs(30);

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

async fn invoice(seller: &FakeNode) -> Invoice {
    seller.invoice(sat(10), "test", Duration::from_secs(60)).await.unwrap()
}

async fn pay_within(
    buyer: &FakeNode,
    invoice: &Invoice,
    patience: Duration,
) -> Result<Paid, PayError> {
    buyer.pay(PayOrder { invoice, max_fee: Msat::ZERO, patience }).await
}

async fn pay(buyer: &FakeNode, invoice: &Invoice) -> Result<Paid, PayError> {
    pay_within(buyer, invoice, PATIENCE).await
}

fn unknown(ended: Result<Paid, PayError>, invoice: &Invoice) -> NodeErrorKind {
    match ended {
        Err(PayError::Unknown { hash, source }) if hash == invoice.payment_hash() => source.kind,
        other => panic!("unknown was expected, not {other:?}"),
    }
}

fn not_paid(ended: Result<Paid, PayError>) -> Why {
    match ended {
        Err(PayError::NotPaid { why, .. }) => why,
        other => panic!("not paid was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn money_is_conserved_through_every_ending() {
    let (buyer, seller) = FakeNetwork::pair();
    let total = buyer.on().total();
    let acts = [
        Act::Pay,
        Act::Refuse(Why::NoRoute),
        Act::Unreachable,
        Act::Hang,
        Act::PayLate,
        Act::LoseReply,
        Act::SlowReply,
        Act::WrongPreimage,
    ];
    for act in acts {
        let cue = buyer.next(act);
        let invoice = invoice(&seller).await;
        let ended = pay_within(&buyer, &invoice, Duration::ZERO).await;
        assert_eq!(buyer.on().total(), total, "{act:?}: {ended:?}");
        cue.fail(Why::PayeeRefused);
        assert_eq!(buyer.on().total(), total, "{act:?}, failed");
        cue.proceed();
        assert_eq!(buyer.on().total(), total, "{act:?}, and let go on");
    }
    assert_eq!(seller.received_total(), seller.balance());
}

#[tokio::test]
async fn refused_and_unreachable_move_nothing_and_can_be_tried_again() {
    let (buyer, seller) = FakeNetwork::pair();
    let invoice = invoice(&seller).await;
    buyer.next(Act::Refuse(Why::NoRoute));
    buyer.next(Act::Unreachable);
    assert_eq!(not_paid(pay(&buyer, &invoice).await), Why::NoRoute);
    assert_eq!(not_paid(pay(&buyer, &invoice).await), Why::Unreachable);
    assert_eq!(buyer.outcome(invoice.payment_hash()).await.unwrap(), Outcome::NotPaid);
    assert_eq!(seller.balance(), Msat::ZERO);
    assert!(pay(&buyer, &invoice).await.is_ok());
    assert_eq!(seller.balance(), sat(10));
    assert_eq!(buyer.orders().len(), 2, "the unreachable one never arrived");
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_later_found_paid() {
    let (buyer, seller) = FakeNetwork::pair();
    let invoice = invoice(&seller).await;
    buyer.next(Act::LoseReply);
    assert_eq!(unknown(pay(&buyer, &invoice).await, &invoice), NodeErrorKind::Unreachable);
    let Outcome::Paid(found) = buyer.outcome(invoice.payment_hash()).await.unwrap() else {
        panic!("the money had left");
    };
    assert_eq!(pay(&buyer, &invoice).await.unwrap(), found);
    assert_eq!(seller.received(), [(invoice.payment_hash(), sat(10))]);
}

#[tokio::test]
async fn a_late_payment_is_pending_until_the_test_says_how_it_ends() {
    let (buyer, seller) = FakeNetwork::pair();
    for (settle, expected) in [(true, sat(10)), (false, Msat::ZERO)] {
        let (invoice, before) = (invoice(&seller).await, seller.balance());
        let cue = buyer.next(Act::PayLate);
        let hurried = pay_within(&buyer, &invoice, Duration::ZERO).await;
        assert_eq!(unknown(hurried, &invoice), NodeErrorKind::Timeout);
        assert_eq!(cue.arrived().await, invoice.payment_hash());
        assert_eq!(buyer.outcome(invoice.payment_hash()).await.unwrap(), Outcome::Pending);
        if settle {
            cue.proceed()
        } else {
            cue.fail(Why::PayeeRefused)
        }
        let outcome = buyer.outcome(invoice.payment_hash()).await.unwrap();
        assert_eq!(matches!(outcome, Outcome::Paid(_)), settle);
        assert_eq!(seller.balance().checked_sub(before), Some(expected));
    }
}

#[tokio::test]
async fn one_who_waits_for_a_late_payment_sees_its_end() {
    let (buyer, seller) = FakeNetwork::pair();
    let invoice = invoice(&seller).await;
    let cue = buyer.next(Act::PayLate);
    let end = async {
        cue.arrived().await;
        cue.proceed();
    };
    let (paid, ()) = tokio::join!(pay(&buyer, &invoice), end);
    assert!(paid.unwrap().preimage.opens(invoice.payment_hash()));
}

#[tokio::test]
async fn a_hanging_payment_hangs_whatever_it_is_told() {
    let (buyer, seller) = FakeNetwork::pair();
    let invoice = invoice(&seller).await;
    buyer.next(Act::Hang);
    unknown(pay_within(&buyer, &invoice, Duration::ZERO).await, &invoice);
    assert_eq!(buyer.outcome(invoice.payment_hash()).await.unwrap(), Outcome::Pending);
    assert_eq!(seller.balance(), Msat::ZERO);
    assert_eq!(buyer.balance(), sat(999_990), "the money is neither here nor there");
}

#[tokio::test]
async fn a_slow_reply_is_a_payment_already_made() {
    let (buyer, seller) = FakeNetwork::pair();
    let invoice = invoice(&seller).await;
    let cue = buyer.next(Act::SlowReply);
    let end = async {
        cue.arrived().await;
        assert_eq!(seller.balance(), sat(10));
        cue.proceed();
    };
    let (paid, ()) = tokio::join!(pay(&buyer, &invoice), end);
    assert!(paid.unwrap().preimage.opens(invoice.payment_hash()));
}

#[tokio::test]
async fn a_wrong_preimage_is_told_by_pay_and_by_outcome() {
    let (buyer, seller) = FakeNetwork::pair();
    let invoice = invoice(&seller).await;
    buyer.next(Act::WrongPreimage);
    let paid = pay(&buyer, &invoice).await.unwrap();
    assert!(!paid.preimage.opens(invoice.payment_hash()));
    assert_eq!(buyer.outcome(invoice.payment_hash()).await.unwrap(), Outcome::Paid(paid));
    assert_eq!(seller.balance(), sat(10));
}

#[tokio::test]
async fn a_node_that_is_down_does_not_deny_what_is_in_flight() {
    let (buyer, seller) = FakeNetwork::pair();
    let (begun, fresh) = (invoice(&seller).await, invoice(&seller).await);
    buyer.next(Act::PayLate);
    unknown(pay_within(&buyer, &begun, Duration::ZERO).await, &begun);
    buyer.set_link(Link::Down);
    assert_eq!(unknown(pay(&buyer, &begun).await, &begun), NodeErrorKind::Unreachable);
    assert_eq!(not_paid(pay(&buyer, &fresh).await), Why::Unreachable);
    let asked = buyer.outcome(begun.payment_hash()).await;
    assert_eq!(asked.unwrap_err().kind, NodeErrorKind::Unreachable);
}

#[tokio::test]
async fn a_stuck_node_answers_when_it_comes_back() {
    let (buyer, seller) = FakeNetwork::pair();
    let invoice = invoice(&seller).await;
    buyer.set_link(Link::Stuck);
    let hurried = pay_within(&buyer, &invoice, Duration::ZERO).await;
    assert_eq!(unknown(hurried, &invoice), NodeErrorKind::Timeout);
    let payment = pay(&buyer, &invoice);
    let mend = async { buyer.set_link(Link::Up) };
    let (paid, ()) = tokio::join!(payment, mend);
    assert!(paid.is_ok());
}

#[tokio::test]
async fn an_old_invoice_and_one_paid_by_another_are_refused() {
    let (buyer, seller) = FakeNetwork::pair();
    let other = buyer.on().node(sat(100));
    let invoice = invoice(&seller).await;
    pay(&buyer, &invoice).await.unwrap();
    assert_eq!(not_paid(pay(&other, &invoice).await), Why::PayeeRefused);
    let old = self::invoice(&seller).await;
    buyer.on().advance(Duration::from_secs(61));
    assert_eq!(not_paid(pay(&buyer, &old).await), Why::Expired);
    assert_eq!(seller.received().len(), 1);
}

#[tokio::test]
async fn invoices_can_fail_and_are_counted() {
    let (_, seller) = FakeNetwork::pair();
    invoice(&seller).await;
    seller.fail_invoices(Some(NodeErrorKind::Storage));
    let failed = seller.invoice(sat(1), "", Duration::from_secs(60)).await;
    assert_eq!(failed.unwrap_err().kind, NodeErrorKind::Storage);
    seller.fail_invoices(None);
    invoice(&seller).await;
    assert_eq!(seller.invoices(), 2);
}
