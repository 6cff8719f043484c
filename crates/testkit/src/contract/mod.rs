//! What every [`Payer`] and every [`Invoicer`] must do, stated once. A driver's tests give a
//! [`Fixture`] and get all of them with one line each:
//!
//! ```ignore
//! testkit::payer_contract!(my_fixture);
//! testkit::invoicer_contract!(my_fixture);
//! ```
//!
//! where `my_fixture` is an `async fn() -> impl Fixture`. A second argument, a `fn() -> bool`, says
//! whether what the fixture stands on is there at all: where it is not, nothing is tried, and that
//! function has said so. Two lines in one module would clash only if they were for the same seam: put
//! each driver into a module of its own.

pub mod invoicer;
pub mod payer;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use l402::{Invoice, Invoicer, Msat, Outcome, Paid, PayError, PayOrder, Payer, PaymentHash};

/// Longer than any payment of any node on one machine takes, also while it does other things; a test that
/// needs it has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a test of the contract may take in all.
const LIMIT: Duration = Duration::from_secs(300);

/// A payer, an invoicer that it can reach, and the seller's own books.
#[async_trait]
pub trait Fixture: Send + Sync + 'static {
    /// The node that pays. It can spend at least 100,000 sat.
    fn payer(&self) -> Arc<dyn Payer>;

    /// A node that the payer can reach, on the same network.
    fn invoicer(&self) -> Arc<dyn Invoicer>;

    /// All that the invoicer's node was ever paid over Lightning, by the node's own books. This is
    /// how a payment made twice is seen.
    async fn received(&self) -> Msat;

    /// What a payment from payer to invoicer costs in routing, whatever its amount.
    fn routing_fee(&self) -> Msat {
        Msat::ZERO
    }
}

/// Runs one test of a contract in a runtime of its own, and ends it when it takes too long.
///
/// # Panics
/// When the test fails or takes longer than five minutes.
pub fn run<F, Made, Test, Tested>(make: Made, test: Test)
where
    F: Fixture,
    Made: AsyncFnOnce() -> F,
    Test: FnOnce(Arc<F>) -> Tested,
    Tested: Future<Output = ()>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be started");
    runtime.block_on(async {
        let story = async { test(Arc::new(make().await)).await };
        tokio::time::timeout(LIMIT, story).await.expect("the contract's test ends in time");
    });
    runtime.shutdown_background();
}

/// What a fixture stands on when it stands on nothing but this process.
pub fn always() -> bool {
    true
}

/// One `#[test]` for each rule that a [`Payer`](l402::Payer) must keep.
#[macro_export]
macro_rules! payer_contract {
    ($fixture:path) => {
        $crate::payer_contract!($fixture, $crate::contract::always);
    };
    ($fixture:path, $is_there:path) => {
        $crate::contract_tests!(
            payer,
            $fixture,
            $is_there,
            it_knows_its_network,
            a_payment_ends_with_the_preimage,
            the_same_invoice_twice_pays_once,
            the_same_invoice_at_the_same_time_pays_once,
            a_hash_never_heard_of_is_not_paid,
            the_outcome_is_what_pay_said,
            the_fee_limit_holds,
            more_than_there_is_is_not_paid,
            a_dropped_future_changes_nothing,
            impatience_is_not_failure,
            an_invoice_of_another_network_is_not_paid,
            an_expired_invoice_is_not_paid,
            an_unreachable_payee_is_not_paid,
            many_at_once_are_all_paid
        );
    };
}

/// One `#[test]` for each rule that an [`Invoicer`](l402::Invoicer) must keep.
#[macro_export]
macro_rules! invoicer_contract {
    ($fixture:path) => {
        $crate::invoicer_contract!($fixture, $crate::contract::always);
    };
    ($fixture:path, $is_there:path) => {
        $crate::contract_tests!(
            invoicer,
            $fixture,
            $is_there,
            an_invoice_says_what_was_asked,
            the_smallest_and_the_longest_are_exact,
            every_invoice_has_a_fresh_hash,
            an_invoice_for_nothing_is_refused,
            an_invoice_is_settled_when_it_is_paid,
            paying_one_invoice_settles_no_other,
            a_hash_never_heard_of_is_not_settled
        );
    };
}

/// The tests themselves, by name.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($seam:ident, $fixture:path, $is_there:path, $($test:ident),+) => {
        $(
            #[test]
            fn $test() {
                if $is_there() {
                    $crate::contract::run($fixture, $crate::contract::$seam::$test);
                }
            }
        )+
    };
}

/// An amount that is no round number in any unit.
fn some_amount() -> Msat {
    Msat::from_msat(21_001)
}

/// A fresh invoice of the fixture's seller, payable for an hour.
async fn invoice_for(fixture: &impl Fixture, amount: Msat) -> Invoice {
    let hour = Duration::from_secs(3600);
    fixture.invoicer().invoice(amount, "contract", hour).await.expect("the seller makes invoices")
}

/// An order with all the patience and all the fee it can need.
fn order<'a>(fixture: &impl Fixture, invoice: &'a Invoice) -> PayOrder<'a> {
    PayOrder { invoice, max_fee: fixture.routing_fee(), patience: PATIENCE }
}

async fn pay(fixture: &impl Fixture, invoice: &Invoice) -> Result<Paid, PayError> {
    fixture.payer().pay(order(fixture, invoice)).await
}

/// How long to wait before a question about another process is asked again.
const AGAIN: Duration = Duration::from_millis(2);

/// Asks again until the seller has seen its money: the payer can know a moment earlier.
async fn settled(fixture: &impl Fixture, hash: PaymentHash) {
    while !fixture.invoicer().is_settled(hash).await.expect("the seller answers") {
        tokio::time::sleep(AGAIN).await;
    }
}

/// Asks again until the payment has ended, and says how.
async fn ended(payer: &dyn Payer, hash: PaymentHash) -> Outcome {
    loop {
        match payer.outcome(hash).await.expect("the payer answers") {
            Outcome::Pending => tokio::time::sleep(AGAIN).await,
            outcome @ (Outcome::Paid(_) | Outcome::NotPaid) => return outcome,
        }
    }
}
