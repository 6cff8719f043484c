//! What every byte from outside must not do, whatever it is. One target a file, in [`targets`]; the
//! binaries in `fuzz_targets/` give them to libFuzzer, and the ordinary tests of `l402` include the
//! same files and put the corpus through them.

pub mod seeds;
pub mod targets;
