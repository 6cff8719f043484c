//! `docs/attacks.md` names a test for each attack: here is the test that they exist, and those of its
//! tests that belong to no other file.

use std::fs;
use std::path::{Path, PathBuf};

use l402::caveat::Unknown;
use l402::{Credential, Denied, Keyring, Macaroon, MasterKey};
use regex::Regex;

use crate::support::{PREIMAGE, facts, keyring};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Whether `source` has a test of that name: a function under an attribute that makes it one, or a
/// line of a macro that makes tests.
fn has_test(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let by_macro = format!("    {name}: \"");
    // One of a contract's tests, which a macro runs for each implementation.
    let of_contract = format!("{name},");
    if source.contains(&function) && source.lines().any(|line| line.trim() == of_contract) {
        return true;
    }
    let mut is_test = false;
    for line in source.lines() {
        let line_start = line.trim_start();
        if line.starts_with(&by_macro) {
            return true;
        }
        if line_start.contains(&function) {
            return is_test;
        }
        let belongs_to_next = line_start.starts_with("#[") || line_start.starts_with("//");
        is_test = belongs_to_next && (is_test || line_start.contains("test"));
    }
    false
}

#[test]
fn every_test_that_the_chapter_names_exists() {
    let chapter = fs::read_to_string(root().join("docs/attacks.md")).expect("the chapter");
    let named = Regex::new(r"`([a-z0-9_/-]+\.rs)::([a-z0-9_]+)`").expect("a pattern");
    let mut missing = Vec::new();
    let mut rows = 0;
    for row in chapter.lines().filter(|line| line.starts_with("| ")) {
        if row.ends_with("shown by |") {
            continue;
        }
        rows += 1;
        assert!(named.is_match(row), "a row without a test: {row}");
        for found in named.captures_iter(row) {
            let (path, name) = (&found[1], &found[2]);
            let source = fs::read_to_string(root().join(path)).unwrap_or_default();
            if !has_test(&source, name) {
                missing.push(format!("{path}::{name}"));
            }
        }
        let spans = row.matches(".rs::").count();
        assert_eq!(spans, named.captures_iter(row).count(), "a name that is none: {row}");
    }
    assert!(rows > 50, "{rows} rows: the chapter has changed its form");
    assert!(missing.is_empty(), "docs/attacks.md names tests that are not there: {missing:#?}");
}

#[test]
fn a_function_is_a_test_only_under_its_attribute() {
    let source = "#[test]\nfn a() {}\nfn b() {}\n/// A law.\n#[tokio::test]\nasync fn c() {}\n";
    assert!(has_test(source, "a") && has_test(source, "c"));
    assert!(!has_test(source, "b") && !has_test(source, "d"));
}

/// The Rust files below a folder, without test modules.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.file_name().is_some_and(|name| name != "tests.rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            found.push((path, code.to_owned()));
        }
    }
}

#[test]
fn no_signature_is_compared_with_equals() {
    let compared = Regex::new(
        "(signature|preimage|hmac)[a-z_]*(\\(\\))? *[!=]=|[!=]= *[&*]?([a-z_]+\\.)*(signature|preimage)",
    )
    .expect("a pattern");
    assert!(compared.is_match("if mine == other.signature {"), "the pattern finds one");
    assert!(compared.is_match("self.signature() != theirs"), "the pattern finds one");
    let mut files = Vec::new();
    sources(&root().join("crates/l402/src"), &mut files);
    sources(&root().join("crates/tollway-gateway/src"), &mut files);
    for (path, code) in &files {
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(!compared.is_match(line), "{}: {line}: use `ct_eq`", path.display());
        }
    }
    assert!(files.len() > 30, "these are the sources");
}

/// The caveats here would be refused if they were looked at, and so would tell something about the
/// request to whoever made them up.
#[test]
fn caveats_of_a_forged_token_are_not_looked_at() {
    let stranger = Keyring::new(MasterKey::new([9; 32]), vec![]);
    let caveats = ["services=elsewhere:0", "method=GET", "method=GET,POST"];
    let ours = keyring().mint(PREIMAGE.hash(), [1; 28], [""; 0]);
    let theirs = stranger.mint(PREIMAGE.hash(), [1; 28], caveats);
    // Our identifier, with a chain that starts at a signature which is not ours.
    let root = l402::RootKey::new([9; 32]);
    let mut forged = Macaroon::mint(&root, ours.identifier());
    caveats.iter().for_each(|caveat| forged.attenuate(caveat));

    let denied = |token| {
        let credential = Credential::new(vec![token], PREIMAGE);
        credential.verify(&keyring(), &facts(), Unknown::Refuse).map(drop)
    };
    assert_eq!(denied(forged), Err(Denied::Signature));
    assert_eq!(denied(theirs), Err(Denied::UnknownKey));
}
