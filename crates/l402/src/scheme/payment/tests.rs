//! Checked against vectors that another implementation wrote, and against what must not be accepted.

use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};

use super::*;
use crate::money::Msat;
use crate::scheme::Offers;
use crate::secret::Secret;

const INVOICE: &str = "lnbcrt100n1p45n5sqdq0gaz4ggp0wpskjeqpp5gf0dfe9rdvcw5gdepcsuwykxf85zznpfkl40dqyf6ypecmj48pxqsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqcqzysxqzuyz6cda2jzcgvvy0jv46ah458xj63yvtawfudp9g52f7v7lcgjuyg3tyd787njcdpu74w3n80n3d5s4dy66ahcfr607trfk82vcdwrw7sq58au9j";
const PREIMAGE: Preimage = Preimage::new([0x42; 32]);

fn keys() -> ChargeKeys {
    ChargeKeys::new(Secret::new(vec![7; 32]), vec![])
}

fn offer() -> Offer<'static> {
    let (realm, route) = ("api.example.com", "GET /paid?x=1");
    Offer { realm, service: "api", route, field: Field::Authorization }
}

fn start() -> SystemTime {
    time("2027-01-15T08:00:00Z").unwrap()
}

fn charge(offer: &Offer<'_>) -> Charge {
    let invoice: Invoice = INVOICE.parse().unwrap();
    let expires = start() + Duration::from_secs(900);
    keys().charge(offer, Msat::from_msat(9_500), &invoice, expires).unwrap()
}

/// The credential that a client makes of a challenge.
fn credential(challenge: HeaderValue) -> HeaderValue {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, challenge);
    let offers = Offers::read(&headers);
    assert!(offers.refused.is_empty(), "{:?}", offers.refused);
    offers.challenges[0].authorization(&PREIMAGE)
}

fn read(field: Field, value: &HeaderValue) -> ChargeCredential {
    let mut headers = HeaderMap::new();
    headers.insert(field.name(), value.clone());
    ChargeCredential::read(&headers, field).unwrap().unwrap()
}

#[test]
fn what_a_seller_asks_a_buyer_can_pay_and_the_seller_knows_it_again() {
    let challenge = charge(&offer()).challenge();
    let credential = read(Field::Authorization, &credential(challenge));
    let charged = credential.verify(&keys(), &offer(), start()).unwrap();
    assert_eq!(charged.payment_hash(), PREIMAGE.hash());
    assert_eq!(charged.expires(), start() + Duration::from_secs(900));
    // Keys that were replaced are still known; others are not.
    let rotated = ChargeKeys::new(Secret::new(vec![8; 32]), vec![Secret::new(vec![7; 32])]);
    assert!(credential.verify(&rotated, &offer(), start()).is_ok());
    let others = ChargeKeys::new(Secret::new(vec![8; 32]), vec![]);
    let denied = credential.verify(&others, &offer(), start()).unwrap_err();
    assert_eq!(denied, ChargeDenied::Unknown);
}

#[test]
fn a_challenge_opens_the_one_request_that_it_was_for_until_it_expires() {
    let credential = read(Field::Authorization, &credential(charge(&offer()).challenge()));
    let denied = |offer: Offer<'_>, at| credential.verify(&keys(), &offer, at).unwrap_err();
    for other in [
        Offer { realm: "other.example.com", ..offer() },
        Offer { service: "dear", ..offer() },
        Offer { route: "GET /paid", ..offer() },
        Offer { route: "POST /paid?x=1", ..offer() },
        Offer { field: Field::PaymentAuthorization, ..offer() },
    ] {
        assert_eq!(denied(other, start()), ChargeDenied::OtherRequest, "{other:?}");
    }
    assert_eq!(denied(offer(), start() + Duration::from_secs(900)), ChargeDenied::Expired);
}

#[test]
fn a_changed_word_anywhere_is_not_ours() {
    let made = charge(&offer()).echo;
    let other = Some("x".to_owned());
    for changed in [
        Echo { realm: "x".into(), ..made.clone() },
        Echo { request: made.request.replace('J', "K"), ..made.clone() },
        Echo { expires: Some("2037-01-15T08:15:00Z".into()), ..made.clone() },
        Echo { expires: None, ..made.clone() },
        Echo { digest: other.clone(), ..made.clone() },
        Echo { opaque: other.clone(), ..made.clone() },
        Echo { header: other.clone(), ..made.clone() },
        Echo { id: String::new(), ..made.clone() },
        // The same text in other places.
        Echo {
            realm: "api.example.com|lightning".into(),
            method: "charge".into(),
            intent: String::new(),
            ..made.clone()
        },
    ] {
        let credential = ChargeCredential::test(changed, PREIMAGE);
        let denied = credential.verify(&keys(), &offer(), start()).unwrap_err();
        assert_eq!(denied, ChargeDenied::Unknown);
    }
    let unpaid = ChargeCredential::test(made, Preimage::new([1; 32]));
    assert_eq!(unpaid.verify(&keys(), &offer(), start()).unwrap_err(), ChargeDenied::Preimage);
}

#[test]
fn a_credential_is_one_and_readable() {
    let good = credential(charge(&offer()).challenge());
    let result = |lines: &[&str]| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, line.parse().unwrap());
        }
        ChargeCredential::read(&headers, Field::Authorization).map(|found| found.is_some())
    };
    let good = good.to_str().unwrap();
    let blob = good.strip_prefix("Payment ").unwrap();
    for fine in [good, &format!("payment  {blob}"), &format!("PAYMENT {blob}==")] {
        assert_eq!(result(&[fine]), Ok(true), "{fine}");
    }
    assert_eq!(result(&["Bearer x", good]), Ok(true));
    assert_eq!(result(&["Bearer x", "Paymentx y", "L402 a:b"]), Ok(false));
    assert_eq!(result(&[good, good]), Err(ChargeMalformed::Several));
    assert_eq!(result(&[&format!("{good}, {good}")]), Err(ChargeMalformed::Several));
    for bad in ["Payment x", "Payment !", "Payment e30", &format!("Payment +{blob}")] {
        assert_eq!(result(&[bad]), Err(ChargeMalformed::Encoding), "{bad}");
    }
    assert_eq!(
        result(&[&format!("Payment {}", "a".repeat(70_000))]),
        Err(ChargeMalformed::TooLong)
    );
    let upper = serde_json::json!({
        "challenge": charge(&offer()).echo,
        "payload": { "preimage": "AB".repeat(32) },
    });
    let upper = format!("Payment {}", URL_SAFE_NO_PAD.encode(upper.to_string()));
    assert_eq!(result(&[&upper]), Err(ChargeMalformed::Preimage));
}

#[test]
fn the_other_header_is_another_offer() {
    let offer = Offer { field: Field::PaymentAuthorization, ..offer() };
    let made = charge(&offer);
    let text = made.challenge();
    assert!(text.to_str().unwrap().ends_with(r#", header="Payment-Authorization""#));
    let credential = ChargeCredential::test(made.echo, PREIMAGE);
    assert!(credential.verify(&keys(), &offer, start()).is_ok());
    let denied = credential.verify(&keys(), &super::tests::offer(), start()).unwrap_err();
    assert_eq!(denied, ChargeDenied::OtherRequest);
    let read = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(WWW_AUTHENTICATE, text.parse().unwrap());
        Offers::read(&headers)
    };
    let text = text.to_str().unwrap();
    assert_eq!(read(text).challenges[0].manner().field, Field::PaymentAuthorization);
    // Any other header is none that a credential may be put into.
    for bad in ["Cookie", "payment-authorization", ""] {
        let refused = read(&text.replace("Payment-Authorization", bad)).refused;
        assert_eq!(refused, [("Payment", Refused::NotOurs("header"))], "{bad}");
    }
}

#[test]
fn a_token_that_was_kept_is_what_it_was() {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, charge(&offer()).challenge());
    let offered = Offers::read(&headers).challenges.remove(0);
    let kept = offered.scheme.restore(offered.token.clone(), offered.invoice.clone()).unwrap();
    assert_eq!((kept.bound, kept.expires), (true, offered.expires));
    assert!(kept.expires.is_some() && kept.manner().expires == kept.expires);
    assert!(kept.manner().single_use);
    let other = Token::new("bm90IGEgY2hhbGxlbmdl").unwrap();
    let refused = offered.scheme.restore(other, offered.invoice).unwrap_err();
    assert_eq!(refused, Refused::NotOurs("token"));
}

#[test]
fn a_buyer_refuses_what_contradicts_the_invoice() {
    let parse = |change: &dyn Fn(&mut Value)| {
        let mut request = serde_json::json!({
            "amount": "10", "currency": "sat",
            "methodDetails": { "invoice": INVOICE, "network": "regtest",
                "paymentHash": PREIMAGE.hash().to_string() },
        });
        change(&mut request);
        invoice(&URL_SAFE_NO_PAD.encode(canonical(&request))).map(|invoice| invoice.amount())
    };
    assert_eq!(parse(&|_| {}), Ok(Msat::from_sat(10).unwrap()));
    type Change = fn(&mut Value);
    let contradictions: [Change; 5] = [
        |request| request["amount"] = "11".into(),
        |request| request["amount"] = "+10".into(),
        |request| request["currency"] = "usd".into(),
        |request| request["methodDetails"]["network"] = "mainnet".into(),
        |request| request["methodDetails"]["paymentHash"] = "00".repeat(32).into(),
    ];
    for change in contradictions {
        assert_eq!(parse(&change), Err(Refused::Contradicts));
    }
    assert_eq!(parse(&|request| request["amount"] = 10.into()), Err(Refused::NotOurs("request")));
}

#[test]
fn only_a_realm_that_a_challenge_can_hold_and_whole_satoshis_are_asked_for() {
    let invoice: Invoice = INVOICE.parse().unwrap();
    let ask = |realm| keys().charge(&Offer { realm, ..offer() }, Msat::ZERO, &invoice, start());
    for bad in ["a|b", "a\"b", "a\\b", "a\r\nb", "é"] {
        assert!(ask(bad).is_none(), "{bad}");
    }
    assert!(ask("api.example.com:8402").is_some());
}

#[test]
fn json_has_one_spelling() {
    let value = serde_json::json!({ "b": "\u{1f}\"\\\n", "a": ["é", null], "": {} });
    assert_eq!(canonical(&value), "{\"\":{},\"a\":[\"é\",null],\"b\":\"\\u001f\\\"\\\\\\n\"}");
    // In UTF-16 a supplementary character stands before U+FB33.
    let order = serde_json::json!({ "\u{fb33}": "2", "\u{1f600}": "1" });
    assert_eq!(canonical(&order), "{\"\u{1f600}\":\"1\",\"\u{fb33}\":\"2\"}");
}
