//! A request's headers, one `name: value` a line of the input, as a server reads and judges them.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use l402::caveat::{Facts, Unknown};
use l402::{Credential, Keyring, MasterKey, credential};

pub fn run(data: &[u8]) {
    let headers = headers(data);
    for line in headers.get_all(AUTHORIZATION) {
        is_ours_if_it_is_read(line);
    }
    if let Ok(Some(credential)) = Credential::read(&headers) {
        is_written_and_read_again(&credential);
        opens_only_what_was_paid(&credential);
    }
}

fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}

/// A gateway does not pass on what it reads as a credential.
fn is_ours_if_it_is_read(line: &HeaderValue) {
    let mut alone = HeaderMap::new();
    alone.insert(AUTHORIZATION, line.clone());
    if Credential::read(&alone) != Ok(None) {
        assert!(credential::is_ours(line), "{line:?} is read and would be passed on");
    }
}

fn is_written_and_read_again(credential: &Credential) {
    let tokens: Vec<String> = credential.macaroons().iter().map(|m| m.to_base64()).collect();
    let line = format!("L402 {}:{}", tokens.join(","), credential.preimage().expose_hex());
    if line.len() <= 64 * 1024 {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, line.parse().expect("base64 and hexadecimal"));
        assert_eq!(Credential::read(&headers).as_ref(), Ok(&Some(credential.clone())));
    }
}

fn opens_only_what_was_paid(credential: &Credential) {
    let facts = Facts {
        service: "weather",
        capability: None,
        method: "GET",
        path: "/v1/berlin",
        client_ip: None,
        now: std::time::UNIX_EPOCH,
    };
    let verdict = |key| {
        let keyring = Keyring::new(MasterKey::new([key; 32]), vec![]);
        credential.verify(&keyring, &facts, Unknown::Skip)
    };
    assert!(verdict(0xa5).is_err(), "opens a door to which nobody has a key");
    // The corpus has tokens of this server; nothing else of its can come out of them.
    if let Ok(verified) = verdict(7) {
        assert!(credential.preimage().opens(verified.payment_hash()));
    }
}
