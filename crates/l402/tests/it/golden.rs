//! Tokens, challenges and credentials made by other implementations. The file is not part of this
//! project and is read where it lies when it is there; the project's own cases are in `vectors/`.

use std::path::Path;
use std::time::SystemTime;

use http::HeaderValue;
use l402::caveat::Unknown;
use l402::scheme::{ChargeCredential, ChargeDenied, ChargeKeys, Field, Offer};
use l402::{
    Challenge, Credential, Duplicate, Identifier, Invoice, Keyring, Macaroon, MasterKey, Offers,
    PaymentHash, Preimage, RawChallenge, RootKey, Secret, Token, scheme,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::{PREIMAGE, asks, bears, facts, headers, json, list, text, unhex};

const GOLDEN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/l402-macaroon-golden.json");

const CHALLENGE_LISTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/vectors/third-party/aperture-mpp-vectors.json"
);

const CHARGES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/mpp-lightning-golden.json");

fn golden() -> Option<Value> {
    read(GOLDEN)
}

fn read(path: &str) -> Option<Value> {
    let found = json(Path::new(path));
    if found.is_none() {
        eprintln!("SKIPPED: other implementations' data is not here, so nothing was compared");
    }
    found
}

fn bytes32(value: &Value) -> [u8; 32] {
    unhex(text(value)).try_into().expect("32 bytes")
}

fn root_key(case: &Value) -> RootKey {
    RootKey::new(bytes32(&case["root_key"]))
}

fn caveats(case: &Value) -> impl Iterator<Item = &str> {
    list(&case["caveats"]).iter().map(text)
}

#[test]
fn every_link_of_every_chain_is_what_others_compute() {
    let Some(golden) = golden() else { return };
    for case in list(&golden["cases"]) {
        let key = root_key(case);
        let mut token = Macaroon::mint(&key, &unhex(text(&case["identifier"])));
        let mut links = vec![*token.signature()];
        for caveat in caveats(case) {
            token.attenuate(caveat);
            links.push(*token.signature());
        }
        let expected: Vec<_> = list(&case["signatures"]).iter().map(bytes32).collect();
        assert_eq!(links, expected, "{}", case["name"]);
        assert!(token.is_signed_with(&key), "{}", case["name"]);
    }
}

#[test]
fn every_encoding_is_what_others_write() {
    let Some(golden) = golden() else { return };
    for case in list(&golden["cases"]) {
        let (name, bytes) = (&case["name"], unhex(text(&case["v2_hex"])));
        let read = Macaroon::parse(&bytes).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(read.to_bytes(), bytes, "{name}");
        assert_eq!(read.to_base64(), text(&case["v2_std_base64"]), "{name}");
        assert_eq!(read.location(), text(&case["location"]), "{name}");
        assert_eq!(read.caveats().flatten().collect::<Vec<_>>(), caveats(case).collect::<Vec<_>>());
        assert!(read.is_signed_with(&root_key(case)), "{name}");

        let identifier = unhex(text(&case["identifier"]));
        assert_eq!(read.identifier(), identifier, "{name}");
        assert_eq!(bytes32(&case["sha256_identifier"])[..], Sha256::digest(&identifier)[..]);
        if text(&case["location"]) == "lsat" {
            let mut minted = Macaroon::mint(&root_key(case), &identifier);
            caveats(case).for_each(|caveat| minted.attenuate(caveat));
            assert_eq!(minted.to_bytes(), bytes, "{name}");
        }
        if let Some(hash) = case.get("payment_hash") {
            let hash = PaymentHash(bytes32(hash));
            assert_eq!(Identifier::parse(&identifier).unwrap().payment_hash, hash, "{name}");
            assert!(Preimage::new(bytes32(&case["preimage"])).opens(hash), "{name}");
        }
    }
}

#[test]
fn the_formula_without_key_derivation_is_not_ours() {
    let Some(golden) = golden() else { return };
    let wrong = &golden["negative"]["spec_literal_sig0_no_key_derivation_example_id_zero_root"];
    let token = Macaroon::mint(&RootKey::new([0; 32]), b"example-id");
    assert_ne!(*token.signature(), bytes32(wrong));
}

/// The token in the golden challenges: a V2 macaroon for the golden invoice.
fn payable(golden: &Value) -> (Macaroon, Invoice) {
    let case = list(&golden["cases"]).iter().find(|case| case.get("preimage").is_some());
    let case = case.expect("one case can be paid");
    let token = Macaroon::parse(&unhex(text(&case["v2_hex"]))).expect("read above");
    let invoice = text(&golden["http"]["invoice_regtest"]).parse().expect("an invoice");
    (token, invoice)
}

#[test]
fn what_we_ask_is_letter_for_letter_what_every_client_reads() {
    let Some(golden) = golden() else { return };
    let (token, invoice) = payable(&golden);
    let lines: Vec<String> = scheme::ask(&token, &invoice)
        .map(|value| format!("WWW-Authenticate: {}", value.to_str().unwrap()))
        .collect();
    let expected: Vec<_> =
        list(&golden["http"]["challenge_lines_recommended"]).iter().map(text).collect();
    assert_eq!(lines, expected);
}

#[test]
fn what_others_ask_is_read() {
    let Some(golden) = golden() else { return };
    let (token, invoice) = payable(&golden);
    let http = &golden["http"];
    let recommended = list(&http["challenge_lines_recommended"]).iter().map(|line| {
        text(line).strip_prefix("WWW-Authenticate: ").expect("a whole header line").to_owned()
    });
    let aperture = list(&http["challenge_aperture_exact"]).iter().map(|line| text(line).to_owned());
    let spec = text(&http["challenge_spec_2026_03"]).to_owned();
    for (lines, schemes) in [
        (recommended.collect::<Vec<_>>(), &["LSAT", "L402"][..]),
        (aperture.collect(), &["LSAT", "L402"]),
        (vec![spec], &["L402"]),
    ] {
        let offers = Offers::read(&asks(lines.iter().map(String::as_str)));
        assert!(offers.refused.is_empty(), "{offers:?}");
        let found: Vec<_> = offers.challenges.iter().map(|c| c.scheme.name()).collect();
        assert_eq!(found, schemes, "{lines:?}");
        for Challenge { token: found, invoice: asked, bound, .. } in offers.challenges {
            assert_eq!(found, Token::from_macaroon(&token));
            assert_eq!((asked, bound), (invoice.clone(), true));
        }
    }
}

/// The golden credentials are signed under a root key of their own, which no keyring derives, so
/// they are judged in the parts that a server judges: read, paid, signed.
fn opens(credential: &Credential, key: &RootKey) -> bool {
    let signed = |token: &&Macaroon| token.is_signed_with(key);
    credential
        .macaroons()
        .iter()
        .find(signed)
        .and_then(Macaroon::payment_hash)
        .is_some_and(|hash| credential.preimage().opens(hash))
}

#[test]
fn every_credential_that_others_send_is_read_and_judged_as_they_judge_it() {
    let Some(golden) = golden() else { return };
    let key = RootKey::new([1; 32]);
    let open = |line: &Value| matches!(Credential::read(&bears(text(line))), Ok(Some(credential)) if opens(&credential, &key));
    for line in list(&golden["http"]["authorization_accept"]) {
        assert!(open(line), "refused {line}");
    }
    for line in list(&golden["http"]["authorization_reject"]) {
        assert!(!open(line), "accepted {line}");
    }
}

/// Aperture's lists of challenges in one header line, in a scheme that is not ours: the list is the
/// same for all schemes.
#[test]
fn a_list_of_challenges_is_split_as_others_split_it() {
    let Some(file) = read(CHALLENGE_LISTS) else { return };
    for case in list(&file["challengeLists"]) {
        let line = HeaderValue::from_str(text(&case["header"])).expect("a header value");
        let found: Vec<_> = l402::challenges([&line])
            .into_iter()
            .filter(|challenge| challenge.scheme.eq_ignore_ascii_case("Payment"))
            .collect();
        // They skip an offer that lacks what their scheme needs, which a list does not know.
        let is_whole = |raw: &&RawChallenge| raw.parameter("request") != Ok(None);
        let whole: Vec<_> = found.iter().filter(is_whole).collect();
        let expected = case["challenges"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(whole.len(), expected.len(), "{}", case["name"]);
        for (raw, expected) in whole.into_iter().zip(expected) {
            for (name, value) in expected.as_object().expect("parameters") {
                match raw.parameter(name) {
                    Ok(found) => assert_eq!(found, value.as_str(), "{}: {name}", case["name"]),
                    // They take the first; what could mean two things is nothing to us.
                    Err(Duplicate(_)) => assert!(text(&case["name"]).starts_with("repeated")),
                }
            }
        }
    }
}

#[test]
fn a_grpc_client_s_metadata_is_a_credential() {
    let Some(golden) = golden() else { return };
    let hex = text(&golden["http"]["grpc_metadata"]["macaroon_hex_with_preimage_caveat"]);
    let credential =
        Credential::read(&headers([("macaroon", hex)])).unwrap().expect("one is there");
    assert_eq!(credential.preimage(), &PREIMAGE);
    assert!(opens(&credential, &RootKey::new([1; 32])));
}

#[test]
fn a_token_signed_elsewhere_opens_nothing_here() {
    let Some(golden) = golden() else { return };
    let ours = Keyring::new(MasterKey::new([1; 32]), vec![]);
    for line in list(&golden["http"]["authorization_accept"]) {
        let credential = Credential::read(&bears(text(line))).unwrap().expect("one is there");
        assert!(credential.verify(&ours, &facts(), Unknown::Skip).is_err(), "{line}");
    }
}

#[test]
fn a_charge_that_others_ask_for_is_answered_as_they_expect_and_known_again() {
    let Some(file) = read(CHARGES) else { return };
    let secret = text(&file["secret_utf8"]).as_bytes();
    let keys = |secret: &[u8]| ChargeKeys::new(Secret::new(secret.to_vec()), vec![]);
    let cases = file["charge"].as_object().expect("cases by name");
    assert!(!cases.is_empty());
    let mut answered = 0;
    for (name, case) in cases {
        let field = match case["challenge"].get("header") {
            None => Field::Authorization,
            Some(_) => Field::PaymentAuthorization,
        };
        let expected = text(&case["credential"]["authorization"]);
        if field == Field::Authorization {
            let offers = Offers::read(&asks([text(&case["www_authenticate"])]));
            let [challenge] = &offers.challenges[..] else { panic!("{name}: {offers:?}") };
            let answer = challenge.authorization(&PREIMAGE);
            assert_eq!(answer.to_str().expect("ASCII"), expected, "{name}");
            answered += 1;
        }
        let mut headers = http::HeaderMap::new();
        headers.insert(field.name(), expected.parse().expect("a header"));
        let credential = ChargeCredential::read(&headers, field).expect("readable").expect("there");
        // The MAC is theirs, and so ours; what it is bound to is another gateway's.
        let realm = text(&case["challenge"]["realm"]);
        let offer = Offer { realm, service: "api", route: "GET /", field };
        let judged = |secret| credential.verify(&keys(secret), &offer, SystemTime::UNIX_EPOCH);
        assert_eq!(judged(secret).unwrap_err(), ChargeDenied::OtherRequest, "{name}");
        assert_eq!(judged(&[0; 32]).unwrap_err(), ChargeDenied::Unknown, "{name}");
        let receipt = &case["receipt"];
        if let Some(json) = receipt.get("json") {
            let at = text(&json["timestamp"]).parse::<jiff::Timestamp>().expect("a time");
            let hash = text(&json["reference"]).parse().expect("a hash");
            let made = scheme::receipt(text(&json["challengeId"]), hash, at.into());
            assert_eq!(made.to_str().expect("ASCII"), text(&receipt["header"]), "{name}");
        }
    }
    assert!(answered > 0);
}
