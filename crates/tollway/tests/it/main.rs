//! The real binary, from the outside: what it prints, where, and how it ends. And the shape of the
//! workspace.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod administering;
mod arrows;
mod books;
mod buying;
mod crowded;
mod flags;
mod gate;
mod killed;
mod lnd;
mod market;
mod owning;
mod paying;
mod proxying;
mod pure;
mod resuming;
mod run;
mod singles;
mod site;
mod staying;
