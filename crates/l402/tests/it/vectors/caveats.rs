//! What caveats allow, and which may be added.

use l402::caveat::{AttenuateError, CaveatError, Counter, Unknown};
use l402::{Credential, Denied, Macaroon, Preimage};
use serde_json::{Value, json};

use super::{Case, bytes32, facts, server};
use crate::support::{list, text, unhex};

fn token(value: &Value) -> Macaroon {
    Macaroon::parse(&unhex(text(value))).expect("a good macaroon")
}

fn counter(counter: &Counter) -> Value {
    let key = hex::DisplayHex::to_lower_hex_string(&counter.key[..]);
    json!({ "key": key, "limit": counter.limit })
}

pub(super) fn check(file: &Value, case: &Case<'_>) {
    let (name, input) = (case.name, case.input);
    let macaroon = token(&input["token"]);
    let caveats: Value = macaroon.caveats().collect();
    assert_eq!(caveats, input["caveats"], "{name}");
    let unknown = match text(&input["unknown"]) {
        "skip" => Unknown::Skip,
        "refuse" => Unknown::Refuse,
        other => panic!("{name}: {other}"),
    };
    let credential = Credential::new(vec![macaroon], Preimage::new(bytes32(&file["preimage"])));
    let found = match credential.verify(&server(file), &facts(&input["facts"]), unknown) {
        Ok(verified) => {
            let counters: Value = verified.counters().iter().map(counter).collect();
            json!({ "accept": { "counters": counters } })
        }
        Err(Denied::Caveat(why)) => {
            let (reason, condition) = match why {
                CaveatError::DoesNotHold(condition) => ("does-not-hold", condition),
                CaveatError::Widens(condition) => ("widens", condition),
                CaveatError::NotKnown(condition) => ("not-known", condition),
                other => panic!("{other} has no word yet"),
            };
            json!({ "deny": { "reason": reason, "condition": condition } })
        }
        Err(other) => panic!("{name}: {other}"),
    };
    assert_eq!(found, *case.expected, "{name}");
}

pub(super) fn narrow(_: &Value, case: &Case<'_>) {
    let mut macaroon = token(&case.input["token"]);
    let before = macaroon.clone();
    match macaroon.narrow(text(&case.input["add"])) {
        Ok(()) => {
            let expected = case.accept().unwrap_or_else(|| panic!("{}: taken", case.name));
            assert_eq!(macaroon.to_bytes(), unhex(text(&expected["token"])), "{}", case.name);
        }
        Err(why) => {
            let word = match why {
                AttenuateError::NoValue(_) => "no-value",
                AttenuateError::Widens { .. } => "widens",
                AttenuateError::TooMany => "too-many",
                ref other => panic!("{other} has no word yet"),
            };
            case.rejected(word, why);
            assert_eq!(macaroon, before, "{}: changed all the same", case.name);
        }
    }
}

#[test]
fn every_caveat_of_the_table_has_cases_both_ways() {
    let file = super::read("caveats.json");
    for kind in l402::caveat::CAVEATS {
        let condition = kind.condition().replace("<service>", "weather");
        let alone = list(&file["cases"]).iter().filter(|case| {
            let caveats = case["input"]["caveats"].as_array().expect("a list");
            let [Value::String(caveat)] = &caveats[..] else { return false };
            caveat.split_once('=').is_some_and(|(name, _)| name == condition)
        });
        let (accepted, denied): (Vec<_>, Vec<_>) =
            alone.partition(|case| case["expected"].get("accept").is_some());
        assert!(!accepted.is_empty() && !denied.is_empty(), "{condition}");
    }
}
