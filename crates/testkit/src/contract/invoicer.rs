//! The contract of [`l402::Invoicer`], rule by rule.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use l402::{Msat, NodeErrorKind, PaymentHash};

use super::{Fixture, invoice_for, pay, settled, some_amount};

/// Amount, memo, expiry and network are exactly those that were asked for, and it is fresh.
pub async fn an_invoice_says_what_was_asked<F: Fixture>(fixture: Arc<F>) {
    let (memo, expiry) = ("Wetter für Tromsø, 21.001 sat ☂", Duration::from_secs(1234));
    let invoicer = fixture.invoicer();
    let invoice = invoicer.invoice(some_amount(), memo, expiry).await.expect("it makes one");
    assert_eq!(invoice.amount(), some_amount());
    assert_eq!(invoice.description().as_deref(), Some(memo));
    assert_eq!(invoice.expiry(), expiry);
    assert_eq!(invoice.network(), invoicer.network());
    assert!(invoice.is_live(SystemTime::now(), Duration::from_secs(1000)));
    assert!(!invoice.is_live(SystemTime::now(), Duration::from_secs(1300)));
}

/// The edges of what can be asked: one satoshi, the longest memo, an empty one.
pub async fn the_smallest_and_the_longest_are_exact<F: Fixture>(fixture: Arc<F>) {
    let sat = Msat::from_sat(1).expect("it fits");
    for memo in [String::new(), "m".repeat(639)] {
        let expiry = Duration::from_secs(86_400);
        let invoice = fixture.invoicer().invoice(sat, &memo, expiry).await.expect("it makes one");
        assert_eq!(invoice.amount(), sat);
        assert_eq!(invoice.description(), Some(memo));
        assert_eq!(invoice.expiry(), expiry);
    }
}

/// Also when they are made at the same time, with the same terms.
pub async fn every_invoice_has_a_fresh_hash<F: Fixture>(fixture: Arc<F>) {
    let mut invoices = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let fixture = Arc::clone(&fixture);
        invoices.spawn(async move { invoice_for(&*fixture, some_amount()).await.payment_hash() });
    }
    let hashes: HashSet<PaymentHash> = invoices.join_all().await.into_iter().collect();
    assert_eq!(hashes.len(), 32);
}

/// An invoice without an amount cannot be priced, limited or checked.
pub async fn an_invoice_for_nothing_is_refused<F: Fixture>(fixture: Arc<F>) {
    let hour = Duration::from_secs(3600);
    let refused = fixture.invoicer().invoice(Msat::ZERO, "nothing", hour).await;
    assert_eq!(refused.expect_err("nothing cannot be asked for").kind, NodeErrorKind::Refused);
}

/// Not settled, then paid, then settled, and it stays so.
pub async fn an_invoice_is_settled_when_it_is_paid<F: Fixture>(fixture: Arc<F>) {
    let invoicer = fixture.invoicer();
    let invoice = invoice_for(&*fixture, some_amount()).await;
    let hash = invoice.payment_hash();
    assert!(!invoicer.is_settled(hash).await.expect("it answers"));
    pay(&*fixture, &invoice).await.expect("it can be paid");
    settled(&*fixture, hash).await;
    assert!(invoicer.is_settled(hash).await.expect("it answers"));
}

/// Two invoices of the same terms are two debts.
pub async fn paying_one_invoice_settles_no_other<F: Fixture>(fixture: Arc<F>) {
    let (one, other) =
        (invoice_for(&*fixture, some_amount()).await, invoice_for(&*fixture, some_amount()).await);
    pay(&*fixture, &one).await.expect("it can be paid");
    settled(&*fixture, one.payment_hash()).await;
    let settled = fixture.invoicer().is_settled(other.payment_hash()).await;
    assert!(!settled.expect("it answers"));
}

/// A stranger's hash is not an error.
pub async fn a_hash_never_heard_of_is_not_settled<F: Fixture>(fixture: Arc<F>) {
    let settled = fixture.invoicer().is_settled(PaymentHash([0x5a; 32])).await;
    assert!(!settled.expect("it answers"));
}
