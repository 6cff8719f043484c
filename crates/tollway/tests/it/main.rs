//! The real binary, from the outside: what it prints, where, and how it ends. And the shape of the
//! workspace.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod administering;
mod arrows;
mod books;
mod buying;
mod crowded;
mod doubt;
mod exits;
mod flags;
mod full_disk;
mod gate;
mod killed;
mod lnd;
mod market;
mod owning;
mod paying;
mod proxying;
mod pure;
mod rates;
mod resuming;
mod run;
mod sealing;
mod secure;
mod singles;
mod site;
mod socks;
mod staying;
mod terminal;
