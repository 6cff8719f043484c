//! The real binary, from the outside: what it prints, where, and how it ends. And the shape of the
//! workspace.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod arrows;
mod buying;
mod gate;
mod killed;
mod market;
mod pure;
mod run;
mod staying;
