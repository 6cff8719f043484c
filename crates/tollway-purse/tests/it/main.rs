//! The purse from outside: its socket, its wire and its end.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod documented;
mod endings;
mod owner;
mod place;
mod refusals;
mod running;
mod stopping;
mod turns;
