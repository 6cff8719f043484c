//! Where the corpus comes from: the inputs of `vectors/`, each in the form that its target reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Longer inputs are left to the vectors' own tests: a corpus is read again for every run.
const LONGEST: usize = 4096;

/// What every file of the corpus must hold, by its path below `corpus/`.
pub fn corpus(vectors: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut add = |target: &str, name: &str, bytes: Vec<u8>| {
        if bytes.len() <= LONGEST {
            files.insert(Path::new(target).join(slug(name)), bytes);
        }
    };
    for (name, case) in cases(vectors, "macaroons.json") {
        let bytes = bytes(&case["input"]);
        let target = if bytes.first() == Some(&b'{') { "macaroon_json" } else { "macaroon" };
        add(target, &name, bytes);
    }
    for (name, case) in cases(vectors, "identifiers.json") {
        add("identifier", &name, bytes(&case["input"]));
    }
    for (name, case) in cases(vectors, "challenges.json") {
        let values = headers(&case["input"]).into_iter().map(|(_, value)| value);
        add("challenges", &name, values.collect::<Vec<_>>().join(&b'\n'));
        for offer in list(&case["expected"]["offers"]) {
            add("token", &name, text(&offer["token"]).into());
        }
    }
    for (name, case) in cases(vectors, "credentials.json") {
        let line = |(name, value): (&str, Vec<u8>)| [name.as_bytes(), b": ", &value].concat();
        let lines: Vec<_> = headers(&case["input"]).into_iter().map(line).collect();
        add("credential", &name, lines.join(&b'\n'));
    }
    for (name, case) in cases(vectors, "caveats.json") {
        add("caveats", &name, caveats(&case["input"]).into_bytes());
        let path = text(&case["input"]["facts"]["path"]);
        add("path", path, format!("/v1\n{path}").into_bytes());
    }
    for (name, case) in cases(vectors, "invoices.json") {
        add("invoice", &name, bytes(&case["input"]));
    }
    for (number, text) in PURSE.iter().enumerate() {
        add("purse", &format!("{number:02}"), text.as_bytes().to_vec());
    }
    files
}

/// One of each shape and of each ending.
const PURSE: &[&str] = &[
    r#"{"invoice":"lnbcrt1","max_fee_msat":1000,"patience_ms":30000}"#,
    r#"{"ended":"paid","preimage":"4242424242424242424242424242424242424242424242424242424242424242","fee_msat":7}"#,
    r#"{"ended":"paid","preimage":"4343434343434343434343434343434343434343434343434343434343434343","fee_msat":0}"#,
    r#"{"ended":"not_paid","why":"no_route"}"#,
    r#"{"ended":"not_paid","why":"moon_phase","error":{"kind":"refused","message":"no"}}"#,
    r#"{"ended":"unknown","hash":"425ed4e4a36b30ea21b90e21c712c649e8214c29b7eaf68089d1039c6e55384c","error":{"kind":"timeout","message":"tired"}}"#,
    r#"{"outcome":"pending"}"#,
    r#"{"outcome":"paid","preimage":"4242424242424242424242424242424242424242424242424242424242424242","fee_msat":7}"#,
    r#"{"outcome":"not_paid"}"#,
    r#"{"amount_msat":10000,"memo":"weather","expiry_s":3600}"#,
    r#"{"invoice":"lnbcrt1","hash":"425ed4e4a36b30ea21b90e21c712c649e8214c29b7eaf68089d1039c6e55384c"}"#,
    r#"{"settled":true}"#,
    r#"{"network":"regtest","can_pay":true,"can_invoice":false,"holds":2,"held_msat":21000}"#,
    r#"{"error":{"kind":"unauthorized","message":"not your purse"}}"#,
];

fn cases(vectors: &Path, file: &str) -> Vec<(String, Value)> {
    let text = fs::read_to_string(vectors.join(file)).expect("the vectors are part of the project");
    let file: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    let named = |case: &Value| (text_of(case), case.clone());
    list(&file["cases"]).iter().map(named).collect()
}

fn text_of(case: &Value) -> String {
    text(&case["name"]).to_owned()
}

fn caveats(input: &Value) -> String {
    let facts = &input["facts"];
    let fact = |name: &str| facts[name].as_str().unwrap_or_default();
    let mut lines: Vec<String> = ["service", "capability", "method", "path", "client_ip"]
        .map(fact)
        .map(str::to_owned)
        .into();
    lines.push(facts["now"].to_string());
    lines.extend(list(&input["caveats"]).iter().filter_map(Value::as_str).map(str::to_owned));
    lines.join("\n")
}

fn headers(input: &Value) -> Vec<(&str, Vec<u8>)> {
    list(&input["headers"]).iter().map(|line| (text(&line[0]), bytes(&line[1]))).collect()
}

/// `"text"`, `{"text"}`, `{"hex"}` or `{"pieces"}`, as `vectors/README.md` has it.
fn bytes(input: &Value) -> Vec<u8> {
    let pieces = list(&input["pieces"]).iter().flat_map(|piece| {
        let times = piece["times"].as_u64().unwrap_or(1);
        bytes(piece).repeat(usize::try_from(times).expect("a small number"))
    });
    match (input.as_str(), input["text"].as_str(), input["hex"].as_str()) {
        (Some(text), ..) | (None, Some(text), _) => text.as_bytes().to_vec(),
        (None, None, Some(text)) => hex::FromHex::from_hex(text).expect("hexadecimal"),
        (None, None, None) => pieces.collect(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

/// A file name that every system takes: letters, digits and dashes, and a number that tells apart
/// what the letters do not.
fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => out.push(c),
            _ if out.ends_with('-') || out.is_empty() => {}
            _ => out.push('-'),
        }
    }
    let sum = name.bytes().fold(0u16, |sum, byte| sum.rotate_left(5) ^ u16::from(byte));
    out.truncate(40);
    format!("{}-{sum:04x}", out.trim_end_matches('-'))
}
