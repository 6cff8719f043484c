//! The fakes themselves: a fake that lies about itself would make every other test worthless.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod contract;
mod node;
mod origin;
