//! What the tests of the other crates stand on: a Lightning node with a ledger that can fail in
//! every way a payment can fail, a small web server to put behind a gateway, and the contracts that
//! every node driver must keep. Nothing here is published, and nothing here says yes without
//! counting.
//!
//! Time is never waited for: what happens late happens when the test says so, by a [`Cue`], a
//! [`Link`] or an [`Origin`]'s handles.

pub mod contract;
mod ledger;
mod network;
mod node;
mod origin;
mod script;
mod sign;

pub use network::FakeNetwork;
pub use node::{FakeNode, Link};
pub use origin::{Origin, Received};
pub use script::{Act, Cue};
