//! The whole program over two real lnd nodes: its commands, its client, its gateway and its embedded
//! node, where there is an lnd to test against.

#![allow(dead_code, reason = "the rig is the drivers' own, and not all of it is used here")]

mod across;
#[path = "../../../../tollway-nodes/tests/it/lnd/binary.rs"]
mod binary;
mod commands;
mod load;
mod money;
#[path = "../../../../tollway-nodes/tests/it/lnd/rig.rs"]
mod rig;
mod setup;
