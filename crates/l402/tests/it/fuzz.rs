//! The fuzz targets as ordinary tests: each one's corpus, the inputs that broke it once, and what a
//! little chance makes of them. The bodies are the fuzzer's own, in `fuzz/src`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

#[expect(unreachable_pub, reason = "the fuzzer's crate exports it")]
#[path = "../../../../fuzz/src/seeds.rs"]
mod seeds;
#[expect(unreachable_pub, reason = "the fuzzer's crate exports it")]
#[path = "../../../../fuzz/src/targets/mod.rs"]
mod targets;

/// How many changed forms of each input are tried. The fuzzer tries millions.
const CHANGES: usize = 24;

fn fuzz() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz"))
}

/// The files of a folder in `fuzz/`, by their path below it; none when there is no such folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("it can be listed").path();
        let name = PathBuf::from(path.file_name().expect("a name"));
        if path.is_dir() {
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(below, bytes)| (name.join(below), bytes)));
        } else {
            found.insert(name, std::fs::read(&path).expect("it can be read"));
        }
    }
    found
}

/// Runs one target on its corpus and on changed forms of it, the same ones every time.
fn run(target: &str) {
    let (_, body) = targets::TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let inputs = files(&fuzz().join("corpus").join(target));
    assert!(!inputs.is_empty(), "{target} has no corpus");
    body(b"");
    let inputs: Vec<_> = inputs
        .into_values()
        .chain(files(&fuzz().join("regressions").join(target)).into_values())
        .collect();
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    for input in &inputs {
        body(input);
        for _ in 0..CHANGES {
            body(&changed(input, &inputs, &mut random));
        }
    }
}

/// One to four changes: a byte, a cut, a piece twice, or the end of another input.
fn changed(input: &[u8], others: &[Vec<u8>], random: &mut TestRng) -> Vec<u8> {
    let mut out = input.to_vec();
    let mut below = |limit: usize| random.next_u32() as usize % limit.max(1);
    for _ in 0..=below(4) {
        let at = below(out.len());
        match below(5) {
            0 if !out.is_empty() => out[at] ^= 1 << below(8),
            1 => out.insert(at, below(256) as u8),
            2 => out.truncate(at),
            3 => {
                let piece = out[at..].to_vec();
                let to = below(out.len());
                out.splice(to..to, piece);
            }
            _ => {
                let other = &others[below(others.len())];
                out.truncate(at);
                out.extend(&other[below(other.len())..]);
            }
        }
    }
    out
}

macro_rules! targets {
    ($($name:ident,)*) => {
        $(#[test] fn $name() { run(stringify!($name)) })*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    caveats, challenges, credential, identifier, invoice, macaroon, macaroon_json, path, purse, token,
}

#[test]
fn every_target_is_tested_fuzzed_and_seeded() {
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, TESTED);
    let binaries: Vec<String> = files(&fuzz().join("fuzz_targets"))
        .keys()
        .map(|file| file.file_stem().expect("a name").to_str().expect("ASCII").to_owned())
        .collect();
    assert_eq!(names, binaries);
}

#[test]
fn the_corpus_is_what_the_vectors_make_it() {
    let vectors = Path::new(crate::vectors::FOLDER);
    let (expected, found) = (seeds::corpus(vectors), files(&fuzz().join("corpus")));
    let differ = |path: &&PathBuf| expected.get(*path) != found.get(*path);
    let stale: Vec<_> = expected.keys().chain(found.keys()).filter(differ).collect();
    assert!(stale.is_empty(), "run `cargo run --bin seed` in fuzz/: {stale:?}");
}
