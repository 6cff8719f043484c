//! The `lnd:` driver, against a real lnd where there is one, and against one that misbehaves.

pub(crate) mod binary;
pub(crate) mod contract;
mod crash;
mod ldk;
mod news;
mod often;
mod open;
mod owner;
pub(crate) mod rig;
mod strange;
mod url;
