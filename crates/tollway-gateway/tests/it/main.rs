//! A real gateway on a port of its own, an upstream behind it, a node to be paid on and a buyer to pay
//! it: whole requests, whole answers.

mod paying;
mod shop;
