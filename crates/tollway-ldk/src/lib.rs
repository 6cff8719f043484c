//! The embedded Lightning node, and the private network it can run on.

pub mod chain;
