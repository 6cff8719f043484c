//! Challenges that want more than the buyer would give: invoices whose prefix lies, invoices of
//! somebody else, headers with two meanings. Each of these takes money from a deployed client.

use std::time::Duration;

use l402::flow::{FlowError, NotTaken, Terms as Agreed};
use l402::{
    Duplicate, Invoice, InvoiceError, Macaroon, Msat, Network, Offers, PaymentHash, Preimage,
    Refused, RootKey, TokenError,
};
use lightning_invoice::{Currency, SiPrefix};

use crate::support::{PREIMAGE, Terms, asks, keyring, now};

const BITCOIN: u64 = 100_000_000_000;

fn token_for(hash: PaymentHash) -> String {
    keyring().mint(hash, [1; 28], ["services=echo:0"]).to_base64()
}

fn token() -> String {
    token_for(PREIMAGE.hash())
}

/// The one reason why a lone challenge with these parameters is refused.
fn refusal(parameters: &str) -> Refused {
    let mut offers = Offers::read(&asks([&*format!("L402 {parameters}")]));
    assert!(offers.challenges.is_empty(), "taken: {parameters}");
    assert_eq!(offers.refused.len(), 1, "{parameters}");
    offers.refused.remove(0).1
}

fn bad_invoice(invoice: &str) -> InvoiceError {
    match refusal(&format!(r#"token="{}", invoice="{invoice}""#, token())) {
        Refused::Invoice(why) => why,
        other => panic!("refused for another reason: {other}"),
    }
}

fn agreed(max_cost: &str) -> Agreed {
    Agreed {
        max_cost: max_cost.parse().expect("an amount"),
        max_fee: Msat::ZERO,
        network: Network::Mainnet,
        patience: Duration::from_secs(30),
        require_bound: false,
    }
}

fn mainnet(msat: u64) -> Terms {
    Terms { currency: Currency::Bitcoin, ..Terms::new(msat) }
}

/// Why the lone offer of `invoice` is not taken under `terms`; `None` when it is.
fn not_taken(invoice: &str, terms: Agreed) -> Option<NotTaken> {
    let line = format!(r#"L402 token="{}", invoice="{invoice}""#, token());
    match terms.choose(Offers::read(&asks([&*line])), now()) {
        Ok(_) => None,
        Err(FlowError::NoOffer(mut reasons)) => Some(reasons.remove(0).1),
        Err(other) => panic!("{other}"),
    }
}

/// `lnbc2` and then the separator: two whole bitcoin, which a pattern that wants a multiplier
/// reads as no amount at all.
#[test]
fn whole_bitcoin_are_whole_bitcoin() {
    let invoice = mainnet(1).sign_with_amount(2, None);
    assert!(invoice.starts_with("lnbc21p"), "{invoice}");
    assert_eq!(Invoice::parse(&invoice).unwrap().amount(), Msat::from_msat(2 * BITCOIN));
    assert!(matches!(not_taken(&invoice, agreed("1000 sat")), Some(NotTaken::TooDear { .. })));
}

#[test]
fn an_amount_is_never_rounded_down_to_the_limit() {
    let limit = "1000 sat";
    assert_eq!(not_taken(&mainnet(1_000_000).sign(), agreed(limit)), None);
    let (asked, max_cost) = (Msat::from_msat(1_000_001), Msat::from_msat(1_000_000));
    let reason = not_taken(&mainnet(1_000_001).sign(), agreed(limit));
    assert_eq!(reason, Some(NotTaken::TooDear { asked, max_cost }));
}

#[test]
fn an_amount_that_the_payer_may_choose_is_no_amount() {
    assert_eq!(bad_invoice(&Terms { msat: None, ..mainnet(1) }.sign()), InvoiceError::NoAmount);
}

#[test]
fn an_amount_that_is_none_is_refused() {
    let write = |digits, prefix| bad_invoice(&mainnet(1).sign_with_amount(digits, prefix));
    assert_eq!(write(0, None), InvoiceError::BadAmount(Msat::ZERO));
    assert_eq!(write(0, Some(SiPrefix::Nano)), InvoiceError::BadAmount(Msat::ZERO));
    // A tenth of a millisatoshi, which rounds down to nothing.
    assert!(matches!(write(1, Some(SiPrefix::Pico)), InvoiceError::Unreadable(_)));
}

/// 2⁶⁴ picobitcoin wrap to nothing in arithmetic that does not check.
#[test]
fn an_amount_that_overflows_is_refused_not_wrapped() {
    for digits in [18_446_745, u64::MAX] {
        assert_eq!(bad_invoice(&mainnet(1).sign_with_amount(digits, None)), InvoiceError::NoAmount);
    }
    assert!(matches!(
        bad_invoice(&mainnet(1).sign_with_amount(u64::MAX, Some(SiPrefix::Milli))),
        InvoiceError::Unreadable(_)
    ));
    let largest = mainnet(1).sign_with_amount(18_446_744, None);
    let expected = Msat::from_msat(18_446_744 * BITCOIN);
    assert_eq!(Invoice::parse(&largest).expect("it fits").amount(), expected);
}

#[test]
fn a_changed_letter_anywhere_is_noticed() {
    let invoice = mainnet(10_000).sign();
    for at in (0..invoice.len()).step_by(7) {
        let mut changed = invoice.clone().into_bytes();
        changed[at] = if changed[at] == b'q' { b'p' } else { b'q' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(matches!(bad_invoice(&changed), InvoiceError::Unreadable(_)), "letter {at}");
    }
}

/// `lntbs` starts like `lntb`, and `lnbcrt` like `lnbc`; both have fooled clients that compare
/// prefixes. Test money must not be asked from a mainnet node, nor mainnet money from a test node.
#[test]
fn each_network_is_told_from_all_others() {
    for (currency, network) in [
        (Currency::Bitcoin, Network::Mainnet),
        (Currency::BitcoinTestnet, Network::Testnet),
        (Currency::Signet, Network::Signet),
        (Currency::Regtest, Network::Regtest),
    ] {
        let invoice = Terms { currency, ..Terms::new(1000) }.sign();
        for ours in [Network::Mainnet, Network::Testnet, Network::Signet, Network::Regtest] {
            let reason = not_taken(&invoice, Agreed { network: ours, ..agreed("1 sat") });
            let expected = NotTaken::WrongNetwork { invoice: network, ours };
            assert_eq!(reason, (ours != network).then_some(expected));
        }
    }
    let simnet = Terms { currency: Currency::Simnet, ..Terms::new(1000) }.sign();
    assert_eq!(bad_invoice(&simnet), InvoiceError::UnknownNetwork);
}

#[test]
fn an_invoice_that_ends_while_it_is_paid_is_not_begun() {
    let ends_in = |seconds: u64| {
        let created = now() + Duration::from_secs(seconds) - Duration::from_secs(3600);
        not_taken(&Terms { created, ..mainnet(1000) }.sign(), agreed("1 sat"))
    };
    assert_eq!(ends_in(0), Some(NotTaken::Expired));
    assert_eq!(ends_in(30), Some(NotTaken::Expired));
    assert_eq!(ends_in(31), None);
    // One that never lives longer than the margin can still be bought while it is fresh.
    let short = |expiry, age| {
        let created = now() - Duration::from_secs(age);
        let expiry = Duration::from_secs(expiry);
        not_taken(&Terms { created, expiry, ..mainnet(1000) }.sign(), agreed("1 sat"))
    };
    assert_eq!(short(20, 0), None);
    assert_eq!(short(20, 10), Some(NotTaken::Expired));
}

/// A proxy on the way, or a dishonest shop, shows a stranger's invoice beside its own token.
#[test]
fn a_strangers_invoice_beside_a_token_is_not_paid() {
    let stranger = Preimage::new([0x43; 32]).hash();
    let invoice = Terms { hash: stranger, ..mainnet(1000) }.sign();
    let expected = Refused::Swapped { token: PREIMAGE.hash(), invoice: stranger };
    for name in ["token", "macaroon"] {
        let parameters = format!(r#"{name}="{}", invoice="{invoice}""#, token());
        assert_eq!(refusal(&parameters), expected);
    }
    // The same with tokens of other makers, whose identifiers are a bare hash.
    let bare = Macaroon::mint(&RootKey::new([1; 32]), &PREIMAGE.hash().0).to_base64();
    assert_eq!(refusal(&format!(r#"token="{bare}", invoice="{invoice}""#)), expected);
    // And with the right macaroon in front of a second one.
    let two = format!("{},{}", token_for(stranger), token());
    assert_eq!(refusal(&format!(r#"token="{two}", invoice="{invoice}""#)), Refused::Torn);
}

#[test]
fn a_token_bound_to_nothing_is_refused_where_binding_is_required() {
    let line = format!(r#"L402 token="opaque", invoice="{}""#, mainnet(1000).sign());
    let choose =
        |terms: Agreed| terms.choose(Offers::read(&asks([&*line])), now()).map(|c| c.bound).ok();
    assert_eq!(choose(agreed("1 sat")), Some(false));
    assert_eq!(choose(Agreed { require_bound: true, ..agreed("1 sat") }), None);
}

#[test]
fn a_challenge_with_two_meanings_is_refused() {
    let (m, p) = (token(), mainnet(1000).sign());
    let other = keyring().mint(PREIMAGE.hash(), [2; 28], ["services=echo:0"]).to_base64();
    let twice = |name: &str| Refused::Duplicate(Duplicate(name.to_owned()));
    for (parameters, why) in [
        (format!(r#"token="{m}", macaroon="{other}", invoice="{p}""#), Refused::Ambiguous),
        (format!(r#"token="{m}", token="{m}", invoice="{p}""#), twice("token")),
        (format!(r#"token="{m}", MACAROON="{m}", macaroon="", invoice="{p}""#), twice("macaroon")),
        (format!(r#"token="{m}", invoice="{p}", Invoice="{p}""#), twice("invoice")),
        (format!(r#"invoice="{p}""#), Refused::Missing("macaroon")),
        (format!(r#"token="{m}""#), Refused::Missing("invoice")),
        (format!(r#"token="", invoice="{p}""#), Refused::Token(TokenError::Empty)),
    ] {
        assert_eq!(refusal(&parameters), why, "{parameters}");
    }
}

/// What a server sends as a token comes back in a request header of ours.
#[test]
fn a_token_cannot_write_a_header_of_its_own() {
    let p = mainnet(1000).sign();
    for (token, at) in [
        (r"a\\b", 1),
        (r#"a\"b"#, 1),
        ("a:b", 1),
        ("a b", 1),
        ("a\tb", 1),
        ("caf\u{e9}", 3),
        ("a, L402 b", 2),
    ] {
        let expected = Refused::Token(TokenError::BadCharacter(at));
        assert_eq!(refusal(&format!(r#"token="{token}", invoice="{p}""#)), expected, "{token}");
    }
    let long = "a".repeat(20_000);
    let expected = Refused::Token(TokenError::TooLong(20_000));
    assert_eq!(refusal(&format!(r#"token="{long}", invoice="{p}""#)), expected);
}

#[test]
fn a_flood_of_challenges_costs_a_bounded_number_of_readings() {
    let line = format!(r#"L402 token="{}", invoice="lnbc1""#, token());
    let one_line = vec![line.clone(); 100].join(", ");
    let offers = Offers::read(&asks([&*one_line]));
    assert!(offers.challenges.is_empty() && offers.refused.len() <= 32, "{}", offers.refused.len());
    let offers = Offers::read(&asks(vec![&*line; 100]));
    assert!(offers.refused.len() <= 32, "{}", offers.refused.len());
}
