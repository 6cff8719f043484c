//! The embedded node and its private network, from outside.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests are read, not called")]

mod backup;
mod chain;
mod close;
mod contract;
mod digest;
mod kill;
mod line;
mod lsp;
mod node;
mod pay;
mod reorg;
mod restart;
mod route;
mod rpc;
mod servers;
mod source;
