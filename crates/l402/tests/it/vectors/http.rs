//! Headers of requests and responses.

use http::{HeaderMap, HeaderName, HeaderValue};
use l402::caveat::Unknown;
use l402::{Credential, Denied, Macaroon, Malformed, Offers, Refused, Token, scheme};
use serde_json::{Value, json};

use super::{Case, bytes, facts, server};
use crate::support::{text, unhex};

fn headers(input: &Value) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in input["headers"].as_array().expect("a list") {
        let name: HeaderName = text(&line[0]).parse().expect("a header name");
        map.append(name, HeaderValue::from_bytes(&bytes(&line[1])).expect("a header value"));
    }
    map
}

pub(super) fn ask(_: &Value, case: &Case<'_>) {
    let token = Macaroon::parse(&unhex(text(&case.input["token"]))).expect("a macaroon");
    let invoice = text(&case.input["invoice"]).parse().expect("an invoice");
    let lines: Value = scheme::ask(&token, &invoice)
        .map(|line| line.to_str().expect("ASCII").to_owned())
        .collect();
    assert_eq!(lines, case.expected["lines"], "{}", case.name);
}

pub(super) fn challenge(_: &Value, case: &Case<'_>) {
    let offers = Offers::read(&headers(case.input));
    let taken: Value = offers
        .challenges
        .iter()
        .map(|offer| {
            json!({
                "scheme": offer.scheme.name(),
                "token": offer.token.as_str(),
                "invoice": offer.invoice.as_str(),
                "bound": offer.bound,
            })
        })
        .collect();
    let refused: Value = offers
        .refused
        .iter()
        .map(|(scheme, why)| json!({ "scheme": scheme, "why": refusal(why) }))
        .collect();
    let found = json!({ "offers": taken, "refused": refused });
    assert_eq!(found, *case.expected, "{}: {offers:?}", case.name);
}

pub(super) fn refusal(why: &Refused) -> &'static str {
    match why {
        Refused::Missing(_) => "missing",
        Refused::Duplicate(_) => "duplicate",
        Refused::Ambiguous => "ambiguous",
        Refused::Token(_) => "token",
        Refused::Invoice(_) => "invoice",
        Refused::Swapped { .. } => "swapped",
        Refused::Torn => "torn",
        Refused::NotOurs(_) => "not-ours",
        Refused::Contradicts => "contradicts",
        other => panic!("{other} has no word yet"),
    }
}

pub(super) fn credential(file: &Value, case: &Case<'_>) {
    let found = match Credential::read(&headers(case.input)) {
        Ok(None) => Value::Null,
        Err(why) => json!({ "reject": malformed(why) }),
        Ok(Some(credential)) => {
            match credential.verify(&server(file), &facts(&file["facts"]), Unknown::Skip) {
                Ok(verified) => json!({ "accept": { "payment_hash": verified.payment_hash() } }),
                Err(why) => json!({ "deny": denied(&why) }),
            }
        }
    };
    assert_eq!(found, *case.expected, "{}", case.name);
}

fn malformed(why: Malformed) -> &'static str {
    match why {
        Malformed::TooLong => "too-long",
        Malformed::NoColon => "no-colon",
        Malformed::Preimage => "preimage",
        Malformed::Encoding => "encoding",
        Malformed::Macaroon(_) => "macaroon",
        Malformed::TooMany => "too-many",
        Malformed::Ambiguous => "ambiguous",
        Malformed::NoPreimage => "no-preimage",
        other => panic!("{other} has no word yet"),
    }
}

fn denied(why: &Denied) -> &'static str {
    match why {
        Denied::Identifier(_) => "identifier",
        Denied::Preimage => "preimage",
        Denied::UnknownKey => "unknown-key",
        Denied::Signature => "signature",
        Denied::Caveat(_) => "caveat",
        other => panic!("{other} has no word yet"),
    }
}

/// What a client is asked in our own dialect, it answers so that we open.
#[test]
fn what_we_ask_comes_back_as_a_credential_we_read() {
    let file = super::read("asks.json");
    for case in crate::support::list(&file["cases"]) {
        let token = Macaroon::parse(&unhex(text(&case["input"]["token"]))).expect("a macaroon");
        let lines = crate::support::list(&case["expected"]["lines"]).iter().map(text);
        for offer in Offers::read(&crate::support::asks(lines)).challenges {
            assert_eq!(offer.token, Token::from_macaroon(&token));
            let value = offer.authorization(&crate::support::PREIMAGE);
            let map = crate::support::bears(value.to_str().expect("ASCII"));
            let credential = Credential::read(&map).expect("readable").expect("there");
            assert_eq!(credential.macaroons(), std::slice::from_ref(&token));
            assert_eq!(credential.preimage(), &crate::support::PREIMAGE);
        }
    }
}
