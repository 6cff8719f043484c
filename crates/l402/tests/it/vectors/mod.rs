//! Every case in `vectors/` at the root of the project, put to this crate. What they expect was
//! worked out without it: see `vectors/README.md`.

mod caveats;
mod charges;
mod http;
mod invoices;
mod tokens;

use std::collections::HashSet;
use std::fmt::Debug;
use std::path::Path;

use l402::{Facts, Keyring, MasterKey};
use serde_json::Value;

use crate::support::{json, list, text, unhex};

pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors");

/// The files, each with the function that puts one of its cases to the crate.
const FILES: &[(&str, Put)] = &[
    ("asks.json", http::ask),
    ("caveats.json", caveats::check),
    ("challenges.json", http::challenge),
    ("charges.json", charges::charge),
    ("credentials.json", http::credential),
    ("identifiers.json", tokens::identifier),
    ("invoices.json", invoices::invoice),
    ("keys.json", tokens::key),
    ("macaroons.json", tokens::macaroon),
    ("narrowing.json", caveats::narrow),
];

/// Puts one case of a file to the crate.
type Put = fn(&Value, &Case<'_>);

/// One case, with its name for messages.
struct Case<'a> {
    name: &'a str,
    input: &'a Value,
    expected: &'a Value,
}

impl Case<'_> {
    /// What is expected when the input is accepted.
    fn accept(&self) -> Option<&Value> {
        self.expected.get("accept")
    }

    /// Compares the word for a refusal with the expected one.
    fn rejected(&self, word: &str, why: impl Debug) {
        assert_eq!(self.expected.get("reject"), Some(&word.into()), "{}: {why:?}", self.name);
    }
}

fn read(file: &str) -> Value {
    json(&Path::new(FOLDER).join(file)).unwrap_or_else(|| panic!("vectors/{file} is missing"))
}

/// Puts every case of a file to the crate.
fn run(file: &str) {
    let (_, put) = FILES.iter().find(|(name, _)| *name == file).expect("it is in the list");
    let whole = read(file);
    for case in list(&whole["cases"]) {
        let name = text(&case["name"]);
        put(&whole, &Case { name, input: &case["input"], expected: &case["expected"] });
    }
}

macro_rules! vectors {
    ($($test:ident: $file:literal,)*) => {
        $(#[test] fn $test() { run($file) })*

        const TESTED: &[&str] = &[$($file),*];
    };
}

vectors! {
    a_server_asks_in_exactly_these_lines: "asks.json",
    a_charge_is_asked_and_answered_in_exactly_these_lines: "charges.json",
    a_caveat_allows_what_it_says_and_only_narrows: "caveats.json",
    a_client_reads_every_challenge_and_refuses_every_trap: "challenges.json",
    a_server_reads_and_judges_every_credential: "credentials.json",
    an_identifier_is_read_or_refused: "identifiers.json",
    an_invoice_is_read_or_refused: "invoices.json",
    a_root_key_is_derived_as_it_is_written_down: "keys.json",
    a_macaroon_is_read_in_every_encoding_or_refused: "macaroons.json",
    a_holder_may_narrow_and_not_widen: "narrowing.json",
}

#[test]
fn every_file_is_tested_and_every_case_is_whole() {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(FOLDER).expect("the folder is part of the project") {
        let name = entry.expect("it can be listed").file_name().into_string().expect("ASCII");
        if !name.ends_with(".json") {
            continue;
        }
        assert!(TESTED.contains(&&*name), "vectors/{name} is tested by nobody");
        let mut names = HashSet::new();
        for case in list(&read(&name)["cases"]) {
            // Sorted: whether an object keeps its order is up to a feature any crate may turn on.
            let mut keys: Vec<_> = case.as_object().expect("an object").keys().collect();
            keys.sort();
            assert_eq!(keys, ["expected", "input", "name", "why"], "{name}: {case}");
            assert!(!text(&case["why"]).is_empty(), "{name}: {case}");
            assert!(names.insert(text(&case["name"]).to_owned()), "{name}: two of {case}");
        }
        found.insert(name);
    }
    assert_eq!(found.len(), FILES.len());
}

/// Bytes of an input: `hex`, `text`, or `pieces` of either, each so many `times`.
fn bytes(input: &Value) -> Vec<u8> {
    if let Some(pieces) = input.get("pieces") {
        let piece = |piece| {
            let times = piece_times(piece);
            bytes(piece).repeat(times)
        };
        return list(pieces).iter().flat_map(piece).collect();
    }
    match (input.as_str(), input.get("text"), input.get("hex")) {
        (Some(plain), ..) => plain.as_bytes().to_vec(),
        (None, Some(plain), None) => text(plain).as_bytes().to_vec(),
        (None, None, Some(hex)) => unhex(text(hex)),
        _ => panic!("no bytes: {input}"),
    }
}

fn piece_times(piece: &Value) -> usize {
    piece.get("times").map_or(1, |times| times.as_u64().expect("a number") as usize)
}

fn bytes32(value: &Value) -> [u8; 32] {
    unhex(text(value)).try_into().expect("32 bytes")
}

/// The keys of the server in a file.
fn server(file: &Value) -> Keyring {
    let master = |value| MasterKey::new(bytes32(value));
    let server = &file["server"];
    let previous = list(&server["previous_master_keys"]).iter().map(master).collect();
    Keyring::new(master(&server["master_key"]), previous)
}

fn facts(value: &Value) -> Facts<'_> {
    let now = value["now"].as_u64().expect("seconds");
    Facts {
        service: text(&value["service"]),
        capability: value["capability"].as_str(),
        method: text(&value["method"]),
        path: text(&value["path"]),
        client_ip: value["client_ip"].as_str().map(|ip| ip.parse().expect("an address")),
        now: std::time::UNIX_EPOCH + std::time::Duration::from_secs(now),
    }
}
