//! The embedded node and its private network, from outside.

#![allow(missing_docs, reason = "tests are read, not called")]

mod chain;
mod pay;
mod rpc;
