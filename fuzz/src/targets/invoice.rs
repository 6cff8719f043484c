//! An invoice's text; and, from the same bytes, the numbers of an invoice that somebody signed to be
//! misread.

use std::convert::Infallible;
use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use l402::{Invoice, Msat};
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret, SiPrefix};

pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(invoice) = Invoice::parse(text)
    {
        is_one_thing(&invoice, text);
        lives_and_dies_once(&invoice);
    }
    if let Some(numbers) = data.first_chunk() {
        is_read_as_it_was_signed(numbers);
    }
}

fn is_one_thing(invoice: &Invoice, text: &str) {
    assert_eq!(invoice.as_str(), text);
    assert!(invoice.amount() > Msat::ZERO && invoice.amount() <= Msat::SUPPLY);
    let other_case = if text.contains(char::is_uppercase) {
        text.to_ascii_lowercase()
    } else {
        text.to_ascii_uppercase()
    };
    let same = Invoice::parse(&other_case).expect("bech32 in one case or the other");
    assert_eq!(same.bolt11(), invoice.bolt11());
    assert_eq!((same.amount(), same.network()), (invoice.amount(), invoice.network()));
    assert_eq!(invoice.network().to_string().parse(), Ok(invoice.network()));
}

/// Once it is too late, it stays too late; and less margin is never worse.
fn lives_and_dies_once(invoice: &Invoice) {
    let second = Duration::from_secs(1);
    let Some(end) = invoice.expires_at() else { return };
    assert!(!invoice.is_live(end, Duration::ZERO));
    if let Some(last) = end.checked_sub(second) {
        assert!(invoice.is_live(last, Duration::ZERO));
        assert!(!invoice.is_live(last, second));
    }
}

fn is_read_as_it_was_signed(numbers: &[u8; 19]) {
    let digits = u64::from_be_bytes(*numbers[3..].first_chunk().expect("eight of sixteen"));
    let digits = digits >> (numbers[2] & 63);
    let (prefix, pico) = [
        (None, 1_000_000_000_000),
        (Some(SiPrefix::Milli), 1_000_000_000),
        (Some(SiPrefix::Micro), 1_000_000),
        (Some(SiPrefix::Nano), 1_000),
        (Some(SiPrefix::Pico), 1),
    ][usize::from(numbers[0] % 5)];
    let expiry = u32::from_be_bytes(*numbers[11..].first_chunk().expect("four of eight"));
    let created = u32::from_be_bytes(*numbers[15..].first_chunk().expect("four of four"));

    let mut raw = InvoiceBuilder::new(Currency::Regtest)
        .description(String::new())
        .payment_hash(sha256::Hash::from_byte_array([1; 32]))
        .payment_secret(PaymentSecret([2; 32]))
        .duration_since_epoch(Duration::from_secs(created.into()))
        .min_final_cltv_expiry_delta(24)
        .expiry_time(Duration::from_secs(expiry.into()))
        .build_raw()
        .expect("everything is there");
    raw.hrp.raw_amount = Some(digits);
    raw.hrp.si_prefix = prefix;
    let key = SecretKey::from_slice(&[3; 32]).expect("a key");
    let sign = |hash: &_| Ok::<_, Infallible>(Secp256k1::new().sign_ecdsa_recoverable(hash, &key));
    let text = raw.sign(sign).expect("signing cannot fail").to_string();

    let pico = u128::from(digits) * pico;
    let msat = pico / 10;
    let payable = pico % 10 == 0 && pico <= u64::MAX.into() && msat > 0;
    match Invoice::parse(&text) {
        Ok(invoice) => {
            assert!(payable, "{text}");
            assert_eq!(u128::from(invoice.amount().msat()), msat);
            assert_eq!(invoice.expiry(), Duration::from_secs(expiry.into()));
            lives_and_dies_once(&invoice);
        }
        Err(why) => assert!(!payable, "{text}: {why}"),
    }
}
