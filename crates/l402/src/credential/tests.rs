use std::time::SystemTime;

use http::HeaderValue;
use proptest::prelude::*;

use super::*;
use crate::keys::MasterKey;

const PREIMAGE: Preimage = Preimage::new([0x42; 32]);

fn keyring() -> Keyring {
    Keyring::new(MasterKey::new([1; 32]), vec![])
}

fn token(nonce: u8, caveats: &[&str]) -> Macaroon {
    keyring().mint(PREIMAGE.hash(), [nonce; 28], caveats)
}

fn facts() -> Facts<'static> {
    Facts {
        service: "a",
        capability: None,
        method: "GET",
        path: "/",
        client_ip: None,
        now: SystemTime::UNIX_EPOCH,
    }
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in lines {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

fn opens(map: &HeaderMap) -> Result<bool, Malformed> {
    let Some(credential) = Credential::read(map)? else { return Ok(false) };
    Ok(credential.verify(&keyring(), &facts(), Unknown::Skip).is_ok())
}

#[test]
fn every_dialect_of_authorization_opens() {
    let m = token(1, &["services=a:0"]).to_base64();
    let (p, upper) = ("42".repeat(32), "42".repeat(32).to_uppercase());
    let bare = m.trim_end_matches('=');
    let url_safe = m.replace('+', "-").replace('/', "_");
    for line in [
        format!("L402 {m}:{p}"),
        format!("LSAT {m}:{p}"),
        format!("l402 {m}:{upper}"),
        format!("  Lsat   {bare}:{p}  "),
        format!("L402 {url_safe}:{p}"),
        format!("LSAT {m}:{p}, L402 {m}:{p}"),
        format!("L402 {m},{m}:{p}"),
    ] {
        assert_eq!(opens(&headers(&[("authorization", &line)])), Ok(true), "{line}");
    }
}

#[test]
fn another_scheme_beside_ours_changes_nothing() {
    let ours = format!("L402 {}:{}", token(1, &[]).to_base64(), "42".repeat(32));
    for order in [["Bearer x", &ours], [&ours, "Bearer x"]] {
        let map = headers(&[("authorization", order[0]), ("authorization", order[1])]);
        assert_eq!(opens(&map), Ok(true), "{order:?}");
    }
    assert_eq!(opens(&headers(&[("authorization", &format!("Bearer {ours}"))])), Ok(false));
}

#[test]
fn two_different_credentials_are_refused() {
    let line = |nonce| format!("L402 {}:{}", token(nonce, &[]).to_base64(), "42".repeat(32));
    let map = headers(&[("authorization", &line(1)), ("authorization", &line(2))]);
    assert_eq!(opens(&map), Err(Malformed::Ambiguous));
    let joined = format!("{}, {}", line(1), line(2));
    assert_eq!(opens(&headers(&[("authorization", &joined)])), Err(Malformed::Ambiguous));
}

#[test]
fn one_good_macaroon_among_several_is_enough() {
    let (good, other) = (token(1, &["services=a:0"]), token(2, &["services=b:0"]));
    let line = format!("L402 {},{}:{}", other.to_base64(), good.to_base64(), "42".repeat(32));
    assert_eq!(opens(&headers(&[("authorization", &line)])), Ok(true));
}

#[test]
fn grpc_metadata_carries_its_preimage_in_a_caveat() {
    let caveat = format!("preimage={}", "42".repeat(32));
    let hex =
        |caveats: &[&str]| hex::DisplayHex::to_lower_hex_string(&token(1, caveats).to_bytes()[..]);
    for name in ["macaroon", "grpc-metadata-macaroon"] {
        assert_eq!(opens(&headers(&[(name, &hex(&[&caveat]))])), Ok(true), "{name}");
    }
    assert_eq!(opens(&headers(&[("macaroon", &hex(&[]))])), Err(Malformed::NoPreimage));
    let grpc = ("content-type", "application/grpc+proto");
    assert_eq!(opens(&headers(&[("token", &hex(&[&caveat])), grpc])), Ok(true));
    assert_eq!(opens(&headers(&[("token", "somebody else's")])), Ok(false));
}

#[test]
fn metadata_that_is_no_credential_does_not_spoil_one_that_is() {
    let caveat = format!("preimage={}", "42".repeat(32));
    let hex = |nonce, caveats: &[&str]| {
        hex::DisplayHex::to_lower_hex_string(&token(nonce, caveats).to_bytes()[..])
    };
    let (ours, other, node) = (hex(1, &[&caveat]), hex(2, &[&caveat]), hex(3, &[]));
    for lines in [
        [("macaroon", &*ours), ("grpc-metadata-macaroon", &*node)],
        [("macaroon", &node), ("grpc-metadata-macaroon", &ours)],
        [("macaroon", &ours), ("macaroon", &ours)],
    ] {
        assert_eq!(opens(&headers(&lines)), Ok(true), "{lines:?}");
    }
    let two = [("macaroon", &*ours), ("grpc-metadata-macaroon", &*other)];
    assert_eq!(opens(&headers(&two)), Err(Malformed::Ambiguous));
}

/// Quadratic work on one header line would let a single client keep a core busy for seconds.
#[test]
fn a_line_of_commas_costs_no_more_than_its_length() {
    let line = format!("L402 {}", ",".repeat(LONGEST_LINE - 5));
    let map = headers(&[("authorization", &line)]);
    let start = std::time::Instant::now();
    assert_eq!(opens(&map), Err(Malformed::NoColon));
    assert!(start.elapsed().as_secs() < 4, "{:?}", start.elapsed());
}

#[test]
fn a_token_with_more_caveats_than_anybody_reads_is_judged_all_the_same() {
    let verify = |last: &str| {
        let caveats: Vec<&str> = [&["method=GET"; 200][..], &[last]].concat();
        let credential = Credential::new(vec![token(1, &caveats)], PREIMAGE);
        credential.verify(&keyring(), &facts(), Unknown::Skip).map(|_| ())
    };
    assert_eq!(verify("services=a:0"), Ok(()));
    assert!(matches!(verify("services=b:0"), Err(Denied::Caveat(_))));
}

#[test]
fn what_is_not_a_credential_says_why() {
    let m = token(1, &[]).to_base64();
    let p = "42".repeat(32);
    for (line, error) in [
        (format!("L402 {m}"), Malformed::NoColon),
        (format!("L402 {m}:{}", &p[2..]), Malformed::Preimage),
        (format!("L402 {m}:{p}00"), Malformed::Preimage),
        (format!("L402 {m}:{p}:x"), Malformed::Preimage),
        (format!("L402 {m} :{p}"), Malformed::Encoding),
        (format!("L402 :{p}"), Malformed::Macaroon(MacaroonError::UnknownFormat)),
        (format!("L402 {}:{p}", [&m[..]; 9].join(",")), Malformed::TooMany),
    ] {
        assert_eq!(opens(&headers(&[("authorization", &line)])), Err(error), "{line}");
    }
    assert_eq!(opens(&headers(&[("authorization", "L402")])), Ok(false));
    assert_eq!(opens(&headers(&[("authorization", "L402  ")])), Ok(false));
}

#[test]
fn each_reason_to_deny_is_told_apart() {
    let deny = |macaroon: Macaroon, preimage: [u8; 32]| {
        let credential = Credential::new(vec![macaroon], Preimage::new(preimage));
        credential.verify(&keyring(), &facts(), Unknown::Skip).map(|_| ()).unwrap_err()
    };
    assert_eq!(deny(token(1, &[]), [0x43; 32]), Denied::Preimage);
    let foreign = Keyring::new(MasterKey::new([9; 32]), vec![]);
    assert_eq!(
        deny(foreign.mint(PREIMAGE.hash(), [1; 28], [""; 0]), [0x42; 32]),
        Denied::UnknownKey
    );
    let mut forged = token(1, &["services=b:0"]);
    forged.caveats.clear();
    assert_eq!(deny(forged, [0x42; 32]), Denied::Signature);
    assert!(matches!(deny(token(1, &["services=b:0"]), [0x42; 32]), Denied::Caveat(_)));
}

#[test]
fn narrowing_a_counted_token_keeps_its_counter() {
    let verified = |caveats: &[&str]| {
        let credential = Credential::new(vec![token(1, caveats)], PREIMAGE);
        credential.verify(&keyring(), &facts(), Unknown::Skip).unwrap().counters().to_vec()
    };
    let ten = verified(&["request_count=10"]);
    assert_eq!(ten.len(), 1);
    let narrower = verified(&["request_count=10", "method=GET", "request_count=9"]);
    assert_eq!(narrower[0], ten[0]);
    assert_eq!(narrower[1].limit, 9);
    assert_ne!(narrower[1].key, ten[0].key);
}

proptest! {
    #[test]
    fn no_line_makes_the_reader_panic(line in "[ -~]{0,200}") {
        let _ = opens(&headers(&[("authorization", &line)]));
        let _ = opens(&headers(&[("authorization", &format!("L402 {line}"))]));
        let _ = opens(&headers(&[("macaroon", &line)]));
    }
}
