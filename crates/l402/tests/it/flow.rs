//! The buyer's conversation: which offer is taken, and where the money is after every ending.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use l402::flow::{Answer, Asking, FlowError, NotTaken, Paying, Proving, Terms as Agreed};
use l402::{
    Budget, Msat, Network, NodeError, NodeErrorKind, Offers, Paid, PayError, PaymentHash, Preimage,
    Refused, Why,
};
use proptest::prelude::*;

use crate::support::{PREIMAGE, Terms, asks, keyring, now};

const PRICE: u64 = 10_000;
const MAX_FEE: u64 = 500;

fn agreed() -> Agreed {
    Agreed {
        max_cost: "100 sat".parse().expect("an amount"),
        max_fee: Msat::from_msat(MAX_FEE),
        network: Network::Regtest,
        patience: Duration::from_secs(30),
        require_bound: true,
    }
}

/// One challenge line for `msat`, to be paid with `PREIMAGE`.
fn line(scheme: &str, msat: u64) -> String {
    line_for(scheme, &Terms::new(msat))
}

fn line_for(scheme: &str, terms: &Terms) -> String {
    let token = keyring().mint(terms.hash, [1; 28], ["services=echo:0"]).to_base64();
    format!(r#"{scheme} macaroon="{token}", invoice="{}""#, terms.sign())
}

fn asking(msat: u64) -> HeaderMap {
    asks([&*line("LSAT", msat), &*line("L402", msat)])
}

fn pay(budget: &mut Budget) -> Box<Paying> {
    pay_for(PREIMAGE.hash(), budget)
}

fn pay_for(hash: PaymentHash, budget: &mut Budget) -> Box<Paying> {
    let asked = asks([&*line_for("L402", &Terms { hash, ..Terms::new(PRICE) })]);
    let step = Asking { terms: agreed() };
    match step.response(StatusCode::PAYMENT_REQUIRED, &asked, budget, now()) {
        Ok(Answer::Pay(paying)) => paying,
        other => panic!("{other:?}"),
    }
}

fn budget(msat: u64) -> Budget {
    Budget::new(Msat::from_msat(msat))
}

/// `left`, `held`, `spent`, in millisatoshi.
fn sums(budget: &Budget) -> (u64, u64, u64) {
    (budget.left().msat(), budget.held().msat(), budget.spent().msat())
}

fn paid(preimage: Preimage, fee: u64) -> Result<Paid, PayError> {
    Ok(Paid { preimage, fee: Msat::from_msat(fee) })
}

fn not_paid() -> Result<Paid, PayError> {
    Err(PayError::NotPaid { why: Why::NoRoute, source: None })
}

fn unknown(hash: PaymentHash) -> Result<Paid, PayError> {
    Err(PayError::Unknown { hash, source: NodeError::new("test", NodeErrorKind::Timeout) })
}

#[test]
fn a_purchase_costs_the_invoice_and_the_fee_and_no_more() {
    let mut budget = budget(20_000);
    let paying = pay(&mut budget);
    assert_eq!(sums(&budget), (9_500, 10_500, 0));
    assert_eq!(paying.order().max_fee.msat(), MAX_FEE);
    assert_eq!(paying.order().invoice.payment_hash(), PREIMAGE.hash());

    let proving = paying.settled(paid(PREIMAGE, 3), &mut budget).expect("paid");
    assert_eq!(sums(&budget), (9_997, 0, 10_003));
    let value = proving.authorization();
    assert!(value.is_sensitive());
    let value = value.to_str().expect("ASCII");
    assert!(value.starts_with("L402 ") && value.ends_with(&format!(":{}", "42".repeat(32))));
    proving.response(StatusCode::OK).expect("honoured");
}

#[test]
fn only_a_402_asks_for_money() {
    for status in [200, 401, 403, 500, 503] {
        let mut budget = budget(20_000);
        let status = StatusCode::from_u16(status).expect("a status");
        let step = Asking { terms: agreed() };
        let answer = step.response(status, &asking(PRICE), &mut budget, now());
        assert!(matches!(answer, Ok(Answer::Response)), "{status}: {answer:?}");
        assert_eq!(sums(&budget), (20_000, 0, 0));
    }
}

#[test]
fn a_402_that_asks_in_no_scheme_of_ours_costs_nothing() {
    let mut budget = budget(20_000);
    let basic = asks([r#"Basic realm="x""#]);
    let step = Asking { terms: agreed() };
    let answer = step.response(StatusCode::PAYMENT_REQUIRED, &basic, &mut budget, now());
    assert!(matches!(answer, Err(FlowError::NoChallenge)), "{answer:?}");
    assert_eq!(sums(&budget), (20_000, 0, 0));
}

#[test]
fn money_that_stayed_is_free_again() {
    let mut budget = budget(20_000);
    let ended = pay(&mut budget).settled(not_paid(), &mut budget);
    assert!(matches!(ended, Err(FlowError::Pay(PayError::NotPaid { .. }))));
    assert_eq!(sums(&budget), (20_000, 0, 0));
    pay(&mut budget).abandon(&mut budget);
    assert_eq!(sums(&budget), (20_000, 0, 0));
}

#[test]
fn money_that_may_have_gone_stays_set_aside() {
    let mut budget = budget(30_000);
    let ended = pay(&mut budget).settled(unknown(PREIMAGE.hash()), &mut budget);
    assert!(matches!(ended, Err(FlowError::Pay(PayError::Unknown { .. }))));
    assert_eq!(sums(&budget), (19_500, 10_500, 0));

    // A preimage that does not open the invoice proves nothing, so the money may be gone too.
    let other = Preimage::new([1; 32]).hash();
    let ended = pay_for(other, &mut budget).settled(paid(PREIMAGE, 0), &mut budget);
    assert!(matches!(ended, Err(FlowError::WrongPreimage(hash)) if hash == other));
    assert_eq!(sums(&budget), (9_000, 21_000, 0));

    // The node's later word ends both.
    budget.resolve(other, None);
    assert_eq!(sums(&budget), (19_500, 10_500, 0));
    budget.resolve(PREIMAGE.hash(), Some(Msat::from_msat(PRICE + 1)));
    assert_eq!(sums(&budget), (19_999, 0, 10_001));
}

#[test]
fn the_fee_limit_is_part_of_the_budget() {
    let mut budget = budget(PRICE + MAX_FEE - 1);
    let step = Asking { terms: agreed() };
    let answer = step.response(StatusCode::PAYMENT_REQUIRED, &asking(PRICE), &mut budget, now());
    assert!(matches!(answer, Err(FlowError::OverBudget(_))), "{answer:?}");
    assert_eq!(sums(&budget), (10_499, 0, 0));
}

#[test]
fn a_proof_that_is_not_honoured_is_told_apart_and_kept() {
    for status in [StatusCode::PAYMENT_REQUIRED, StatusCode::UNAUTHORIZED] {
        let mut budget = budget(20_000);
        let proving = pay(&mut budget).settled(paid(PREIMAGE, 0), &mut budget).expect("paid");
        let resumed = Proving::resume(
            proving.challenge().clone(),
            Paid { preimage: proving.preimage().clone(), fee: proving.fee() },
        );
        let why = proving.response(status).expect_err("it still asks");
        let FlowError::PaidInVain { hash, status: answered } = why else { panic!("{why}") };
        assert_eq!((hash, answered), (PREIMAGE.hash(), status));
        resumed
            .response(StatusCode::NOT_FOUND)
            .expect("the server honoured it, and has no such page");
    }
}

#[test]
fn the_cheapest_offer_is_taken_and_of_equals_the_newer_scheme() {
    let choose = |lines: [&str; 3]| {
        let chosen = agreed().choose(Offers::read(&asks(lines)), now()).expect("one is good");
        (chosen.scheme.name(), chosen.invoice.amount().msat())
    };
    let (dear, cheap, same) = (line("L402", 2000), line("LSAT", 1000), line("L402", 1000));
    assert_eq!(choose([&dear, &cheap, &dear]), ("LSAT", 1000));
    assert_eq!(choose([&dear, &cheap, &same]), ("L402", 1000));
}

#[test]
fn a_trap_among_the_offers_is_stepped_over() {
    let trap = r#"L402 token="x", invoice="lnbc1""#;
    let good = line("LSAT", 1000);
    let offers = Offers::read(&asks([trap, &*good]));
    assert_eq!(agreed().choose(offers, now()).expect("one is good").scheme.name(), "LSAT");

    let offers = Offers::read(&asks([trap, &*line("LSAT", 1_000_000)]));
    let why = agreed().choose(offers, now()).expect_err("none is good");
    assert!(why.to_string().starts_with("no offer can be taken: L402: "), "{why}");
    let FlowError::NoOffer(reasons) = why else { panic!("{why}") };
    assert!(matches!(&reasons[0], ("L402", NotTaken::Refused(Refused::Invoice(_)))));
    assert!(matches!(&reasons[1], ("LSAT", NotTaken::TooDear { .. })));
}

proptest! {
    /// However a series of purchases ends, no millisatoshi appears or vanishes, and the budget is
    /// never overdrawn.
    #[test]
    fn money_is_conserved(
        start in 0u64..100_000,
        endings in proptest::collection::vec((0u8..5, 0u64..2 * MAX_FEE), 0..12),
    ) {
        let mut budget = budget(start);
        let mut set_aside = 0;
        for (number, (ending, fee)) in (1u8..).zip(endings) {
            let preimage = Preimage::new([number; 32]);
            let hash = preimage.hash();
            let before = sums(&budget);
            if before.0 < PRICE + MAX_FEE {
                break;
            }
            let paying = pay_for(hash, &mut budget);
            match ending {
                0 => drop(paying.settled(paid(preimage, fee), &mut budget)),
                1 => drop(paying.settled(not_paid(), &mut budget)),
                2 => paying.abandon(&mut budget),
                3 => {
                    drop(paying.settled(unknown(hash), &mut budget));
                    set_aside += PRICE + MAX_FEE;
                }
                _ => {
                    drop(paying.settled(paid(PREIMAGE, fee), &mut budget));
                    set_aside += PRICE + MAX_FEE;
                }
            }
            let (left, held, spent) = sums(&budget);
            prop_assert_eq!(left + held + spent, start);
            prop_assert_eq!(held, set_aside);
        }
    }
}
