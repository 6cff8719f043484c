//! The client against a seller that keeps books: every test counts what the seller's node received.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod authorization;
mod books;
mod budgets;
mod buying;
mod charges;
mod charging;
mod child;
mod collecting;
mod crash;
mod disk;
mod ending;
mod fronts;
mod grpc;
mod hostile;
mod kills;
mod ledger;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod policy;
mod quoting;
mod raw;
mod recorded;
mod redirects;
mod refusing;
mod reuse;
mod rules;
mod sealed;
mod seller;
mod services;
mod together;
mod transfer;
mod wallet;
mod wires;
