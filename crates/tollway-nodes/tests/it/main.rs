//! The drivers against what they drive.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod cln;
mod ends;
mod fake;
mod lnd;
mod nwc;
mod orders;
mod purse_contract;
mod purse_lost;
mod purse_owner;
mod purse_strange;
mod purse_url;
mod running;
mod small;
