//! The embedded node and its private network, from outside.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests are read, not called")]

mod chain;
mod kill;
mod pay;
mod rpc;
