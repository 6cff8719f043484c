//! `WWW-Authenticate` lines, one a line of the input, as a client reads them.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};
use l402::{Binding, Challenge, Credential, Msat, Offers, Preimage, RawChallenge, challenges};

/// The most challenges that are read, and the longest line.
const MOST: usize = 32;
const LONGEST_LINE: usize = 32 * 1024;

pub fn run(data: &[u8]) {
    let lines = data.split(|byte| *byte == b'\n');
    let lines: Vec<_> = lines.filter_map(|line| HeaderValue::from_bytes(line).ok()).collect();
    let found = challenges(&lines);
    assert!(found.len() <= MOST);
    let apart: Vec<_> = lines.iter().flat_map(|line| challenges([line])).take(MOST).collect();
    assert_eq!(found, apart, "one line changes how another is read");
    is_written_and_read_again(&found);

    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(WWW_AUTHENTICATE, line);
    }
    for offer in Offers::read(&headers).challenges {
        is_payable_and_can_be_proved(&offer);
    }
}

fn is_written_and_read_again(found: &[RawChallenge]) {
    let written: Vec<String> = found.iter().map(write).collect();
    let line = written.join(", ");
    if line.len() <= LONGEST_LINE {
        let line = HeaderValue::from_bytes(line.as_bytes()).expect("it came from header values");
        assert_eq!(challenges([&line]), found);
    }
}

fn write(challenge: &RawChallenge) -> String {
    let quoted = |value: &str| value.replace('\\', r"\\").replace('"', r#"\""#);
    let parameters: Vec<String> = challenge
        .parameters
        .iter()
        .map(|(name, value)| format!(r#"{name}="{}""#, quoted(value)))
        .collect();
    format!("{} {}", challenge.scheme, parameters.join(", "))
}

fn is_payable_and_can_be_proved(offer: &Challenge) {
    let amount = offer.invoice.amount();
    assert!(amount > Msat::ZERO && amount <= Msat::SUPPLY);
    match offer.token.binding() {
        Binding::Bound(hash) => assert!(offer.bound && hash == offer.invoice.payment_hash()),
        Binding::Unbound => assert!(!offer.bound),
        Binding::Torn => panic!("an offer with a torn token"),
    }
    let preimage = Preimage::new([0x42; 32]);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, offer.authorization(&preimage));
    let read = Credential::read(&headers);
    if let Some(macaroons) = offer.token.macaroons() {
        let credential = read.expect("what we write, we read").expect("it is there");
        assert_eq!(credential.macaroons(), macaroons);
        assert_eq!(*credential.preimage(), preimage);
    }
}
