//! The targets: each takes any bytes, reads them as one thing that comes from outside, and asserts
//! the laws that hold for it. Adding one is a file here, a line in [`TARGETS`], a file in
//! `fuzz_targets/` with its entry in `Cargo.toml`, and an arm in [`seeds`](super::seeds).

pub mod caveats;
pub mod challenges;
pub mod credential;
pub mod identifier;
pub mod invoice;
pub mod macaroon;
pub mod macaroon_json;
pub mod path;
pub mod purse;
pub mod token;

/// A target's body: returns, or panics because a law is broken.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Target)] = &[
    ("caveats", caveats::run),
    ("challenges", challenges::run),
    ("credential", credential::run),
    ("identifier", identifier::run),
    ("invoice", invoice::run),
    ("macaroon", macaroon::run),
    ("macaroon_json", macaroon_json::run),
    ("path", path::run),
    ("purse", purse::run),
    ("token", token::run),
];
