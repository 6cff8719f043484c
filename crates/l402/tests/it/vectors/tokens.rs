//! Macaroons, their identifiers and their keys.

use l402::{
    Identifier, IdentifierError, Keyring, Macaroon, MacaroonError, MasterKey, PaymentHash, RootKey,
};
use serde_json::{Value, json};

use super::{Case, bytes, bytes32};
use crate::support::{text, unhex};

fn hex(bytes: &[u8]) -> String {
    hex::DisplayHex::to_lower_hex_string(bytes)
}

pub(super) fn macaroon(_: &Value, case: &Case<'_>) {
    let name = case.name;
    let macaroon = match Macaroon::parse(&bytes(case.input)) {
        Ok(macaroon) => macaroon,
        Err(why) => return case.rejected(word(why), why),
    };
    let Some(expected) = case.accept() else { panic!("{name}: accepted {macaroon:?}") };
    let found = json!({
        "location": macaroon.location(),
        "identifier": hex(macaroon.identifier()),
        "caveats": macaroon.caveats().collect::<Vec<_>>(),
        "signature": hex(macaroon.signature()),
        "root_key": expected["root_key"],
        "payment_hash": macaroon.payment_hash(),
        "v2": macaroon.to_base64(),
    });
    assert_eq!(found, *expected, "{name}");
    assert!(!macaroon.is_signed_with(&RootKey::new([0; 32])), "{name}");
    if expected["root_key"].is_string() {
        assert!(macaroon.is_signed_with(&RootKey::new(bytes32(&expected["root_key"]))), "{name}");
    }
    assert_eq!(Macaroon::parse(&macaroon.to_bytes()), Ok(macaroon), "{name}");
}

fn word(error: MacaroonError) -> &'static str {
    match error {
        MacaroonError::TooLarge => "too-large",
        MacaroonError::UnknownFormat => "unknown-format",
        MacaroonError::Truncated(_) => "truncated",
        MacaroonError::UnexpectedField(_) => "unexpected-field",
        MacaroonError::TrailingBytes(_) => "trailing-bytes",
        MacaroonError::BadSignatureLength => "bad-signature-length",
        MacaroonError::BadJson => "bad-json",
        other => panic!("{other} has no word yet"),
    }
}

pub(super) fn identifier(_: &Value, case: &Case<'_>) {
    let input = bytes(case.input);
    match Identifier::parse(&input) {
        Ok(identifier) => {
            let found = json!({
                "payment_hash": identifier.payment_hash,
                "token_id": identifier.token_id.to_string(),
            });
            assert_eq!(Some(&found), case.accept(), "{}", case.name);
            assert_eq!(identifier.to_bytes()[..], input, "{}", case.name);
        }
        Err(why @ IdentifierError::Length(_)) => case.rejected("length", why),
        Err(why @ IdentifierError::Version(_)) => case.rejected("version", why),
        Err(other) => panic!("{other} has no word yet"),
    }
}

pub(super) fn key(_: &Value, case: &Case<'_>) {
    let (name, input) = (case.name, case.input);
    let expected = case.accept().expect("every case is accepted");
    let master = MasterKey::new(bytes32(&input["master_key"]));
    assert_eq!(master.id().to_string(), text(&expected["key_id"]), "{name}");

    let keyring = Keyring::new(master, vec![]);
    let nonce = unhex(text(&input["nonce"])).try_into().expect("28 bytes");
    let caveats: Vec<&str> =
        input["caveats"].as_array().expect("a list").iter().map(text).collect();
    let hash = PaymentHash(bytes32(&input["payment_hash"]));
    let token = keyring.mint(hash, nonce, &caveats);
    assert_eq!(hex(token.identifier()), text(&expected["identifier"]), "{name}");
    assert_eq!(token.to_base64(), text(&expected["token"]), "{name}");

    let identifier = Identifier::parse(token.identifier()).expect("our own");
    let derived = keyring.root_key(&identifier).expect("our own");
    assert!(token.is_signed_with(&derived), "{name}");
    assert!(token.is_signed_with(&RootKey::new(bytes32(&expected["root_key"]))), "{name}");
}
