//! Two real lnd nodes, as the tests have them.

#![allow(dead_code, clippy::unwrap_used, reason = "the rig is the tests'")]

#[path = "../../../tests/it/lnd/binary.rs"]
pub(crate) mod binary;
#[path = "../../../tests/it/lnd/rig.rs"]
pub(crate) mod rig;
