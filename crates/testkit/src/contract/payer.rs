//! The contract of [`l402::Payer`], rule by rule.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use l402::{Invoicer as _, Msat, Network, Outcome, PayError, PayOrder, PaymentHash, Why};

use super::{Fixture, PATIENCE, ended, invoice_for, order, pay, settled, some_amount};
use crate::FakeNetwork;

/// The network is that of the seller it can reach.
pub async fn it_knows_its_network<F: Fixture>(fixture: Arc<F>) {
    assert_eq!(fixture.payer().network(), fixture.invoicer().network());
}

/// Money goes, the proof comes, and the seller has exactly the amount.
pub async fn a_payment_ends_with_the_preimage<F: Fixture>(fixture: Arc<F>) {
    let before = fixture.received().await;
    let invoice = invoice_for(&*fixture, some_amount()).await;
    let paid = pay(&*fixture, &invoice).await.expect("it can be paid");
    assert!(paid.preimage.opens(invoice.payment_hash()));
    assert_eq!(paid.fee, fixture.routing_fee());
    settled(&*fixture, invoice.payment_hash()).await;
    assert_eq!(fixture.received().await, plus(before, some_amount(), 1));
}

/// The second order gets the end of the first payment.
pub async fn the_same_invoice_twice_pays_once<F: Fixture>(fixture: Arc<F>) {
    let before = fixture.received().await;
    let invoice = invoice_for(&*fixture, some_amount()).await;
    let first = pay(&*fixture, &invoice).await.expect("it can be paid");
    let second = pay(&*fixture, &invoice).await.expect("it is paid already");
    assert_eq!(first, second);
    settled(&*fixture, invoice.payment_hash()).await;
    assert_eq!(fixture.received().await, plus(before, some_amount(), 1));
}

/// Eight orders at once get the end of one payment.
pub async fn the_same_invoice_at_the_same_time_pays_once<F: Fixture>(fixture: Arc<F>) {
    let before = fixture.received().await;
    let invoice = invoice_for(&*fixture, some_amount()).await;
    let mut orders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (payer, invoice, max_fee) = (fixture.payer(), invoice.clone(), fixture.routing_fee());
        orders.spawn(async move {
            payer.pay(PayOrder { invoice: &invoice, max_fee, patience: PATIENCE }).await
        });
    }
    for ended in orders.join_all().await {
        let paid = ended.expect("every order learns of the one payment");
        assert!(paid.preimage.opens(invoice.payment_hash()));
    }
    settled(&*fixture, invoice.payment_hash()).await;
    assert_eq!(fixture.received().await, plus(before, some_amount(), 1));
}

/// Never begun is a known end.
pub async fn a_hash_never_heard_of_is_not_paid<F: Fixture>(fixture: Arc<F>) {
    let payer = fixture.payer();
    assert_eq!(payer.outcome(PaymentHash([0x5a; 32])).await.expect("it answers"), Outcome::NotPaid);
    let unpaid = invoice_for(&*fixture, some_amount()).await.payment_hash();
    assert_eq!(payer.outcome(unpaid).await.expect("it answers"), Outcome::NotPaid);
}

/// Asked later, the node says the same.
pub async fn the_outcome_is_what_pay_said<F: Fixture>(fixture: Arc<F>) {
    let invoice = invoice_for(&*fixture, some_amount()).await;
    let paid = pay(&*fixture, &invoice).await.expect("it can be paid");
    let outcome = fixture.payer().outcome(invoice.payment_hash()).await.expect("it answers");
    assert_eq!(outcome, Outcome::Paid(paid));
}

/// Where routing costs something, one millisatoshi less than that is too little; what was not paid
/// for want of a fee can be paid with it.
pub async fn the_fee_limit_holds<F: Fixture>(fixture: Arc<F>) {
    let invoice = invoice_for(&*fixture, some_amount()).await;
    let before = fixture.received().await;
    if let Some(max_fee) = fixture.routing_fee().checked_sub(Msat::from_msat(1)) {
        let order = PayOrder { max_fee, ..order(&*fixture, &invoice) };
        not_paid(fixture.payer().pay(order).await, Why::NoRoute);
        let outcome = fixture.payer().outcome(invoice.payment_hash()).await.expect("it answers");
        assert_eq!(outcome, Outcome::NotPaid);
        assert_eq!(fixture.received().await, before);
    }
    let paid = pay(&*fixture, &invoice).await.expect("the fee is enough");
    assert!(paid.fee <= fixture.routing_fee());
}

/// A thousand bitcoin is more than any fixture has.
pub async fn more_than_there_is_is_not_paid<F: Fixture>(fixture: Arc<F>) {
    let fortune = Msat::from_sat(1_000 * 100_000_000).expect("less than all bitcoin");
    let invoice = invoice_for(&*fixture, fortune).await;
    match pay(&*fixture, &invoice).await {
        Err(PayError::NotPaid { why: Why::Balance | Why::NoRoute, .. }) => {}
        other => panic!("not paid for want of money was expected, not {other:?}"),
    }
    let outcome = fixture.payer().outcome(invoice.payment_hash()).await.expect("it answers");
    assert_eq!(outcome, Outcome::NotPaid);
}

/// Whether the order was taken before its future was dropped or not: a second order ends in exactly
/// one payment.
pub async fn a_dropped_future_changes_nothing<F: Fixture>(fixture: Arc<F>) {
    for polls in 0..6 {
        let before = fixture.received().await;
        let invoice = invoice_for(&*fixture, some_amount()).await;
        let payer = fixture.payer();
        {
            let mut order = pin!(payer.pay(order(&*fixture, &invoice)));
            for _ in 0..polls {
                let mut ignored = Context::from_waker(Waker::noop());
                if order.as_mut().poll(&mut ignored).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let paid = pay(&*fixture, &invoice).await.expect("it can be paid");
        assert!(paid.preimage.opens(invoice.payment_hash()));
        settled(&*fixture, invoice.payment_hash()).await;
        assert_eq!(fixture.received().await, plus(before, some_amount(), 1), "{polls} polls");
    }
}

/// An order without patience says that it does not know, unless it knows; the payment itself
/// ends as it would have.
pub async fn impatience_is_not_failure<F: Fixture>(fixture: Arc<F>) {
    let before = fixture.received().await;
    let invoice = invoice_for(&*fixture, some_amount()).await;
    let hash = invoice.payment_hash();
    let payer = fixture.payer();
    let hurried = PayOrder { patience: Duration::ZERO, ..order(&*fixture, &invoice) };
    match payer.pay(hurried).await {
        Ok(paid) => assert!(paid.preimage.opens(hash)),
        Err(PayError::Unknown { hash: named, .. }) => assert_eq!(named, hash),
        Err(other @ PayError::NotPaid { .. }) => panic!("impatience became {other:?}"),
    }
    assert_ne!(ended(&*payer, hash).await, Outcome::Pending);
    let paid = pay(&*fixture, &invoice).await.expect("it can be paid");
    assert!(paid.preimage.opens(hash));
    settled(&*fixture, hash).await;
    assert_eq!(fixture.received().await, plus(before, some_amount(), 1));
}

/// Refused before anything is tried, with that reason.
pub async fn an_invoice_of_another_network_is_not_paid<F: Fixture>(fixture: Arc<F>) {
    let other = match fixture.payer().network() {
        Network::Mainnet => Network::Testnet,
        Network::Testnet | Network::Signet | Network::Regtest => Network::Mainnet,
    };
    let seller = FakeNetwork::on(other).node(Msat::ZERO);
    let hour = Duration::from_secs(3600);
    let invoice = seller.invoice(some_amount(), "elsewhere", hour).await.expect("it makes one");
    not_paid(pay(&*fixture, &invoice).await, Why::WrongNetwork);
    let outcome = fixture.payer().outcome(invoice.payment_hash()).await.expect("it answers");
    assert_eq!(outcome, Outcome::NotPaid);
}

/// Refused before anything is tried, with that reason.
pub async fn an_expired_invoice_is_not_paid<F: Fixture>(fixture: Arc<F>) {
    let network = FakeNetwork::on(fixture.payer().network());
    let (age, expiry) = (Duration::from_secs(3600), Duration::from_secs(60));
    let invoice = network.foreign_invoice(some_amount(), age, expiry);
    not_paid(pay(&*fixture, &invoice).await, Why::Expired);
    let outcome = fixture.payer().outcome(invoice.payment_hash()).await.expect("it answers");
    assert_eq!(outcome, Outcome::NotPaid);
}

/// A payee that no channel leads to.
pub async fn an_unreachable_payee_is_not_paid<F: Fixture>(fixture: Arc<F>) {
    let network = FakeNetwork::on(fixture.payer().network());
    let hour = Duration::from_secs(3600);
    let invoice = network.foreign_invoice(some_amount(), Duration::ZERO, hour);
    not_paid(pay(&*fixture, &invoice).await, Why::NoRoute);
    let outcome = fixture.payer().outcome(invoice.payment_hash()).await.expect("it answers");
    assert_eq!(outcome, Outcome::NotPaid);
}

/// Thirty-two different payments at once, each ended by its own preimage.
pub async fn many_at_once_are_all_paid<F: Fixture>(fixture: Arc<F>) {
    let before = fixture.received().await;
    let mut payments = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let fixture = Arc::clone(&fixture);
        payments.spawn(async move {
            let invoice = invoice_for(&*fixture, some_amount()).await;
            let paid = pay(&*fixture, &invoice).await.expect("it can be paid");
            assert!(paid.preimage.opens(invoice.payment_hash()));
            settled(&*fixture, invoice.payment_hash()).await;
        });
    }
    payments.join_all().await;
    assert_eq!(fixture.received().await, plus(before, some_amount(), 32));
}

fn not_paid(ended: Result<l402::Paid, PayError>, expected: Why) {
    match ended {
        Err(PayError::NotPaid { why, .. }) => assert_eq!(why, expected),
        other => panic!("not paid ({expected}) was expected, not {other:?}"),
    }
}

fn plus(before: Msat, amount: Msat, times: u64) -> Msat {
    let total = amount.msat().checked_mul(times).expect("a small sum");
    before.checked_add(Msat::from_msat(total)).expect("less than all bitcoin")
}
