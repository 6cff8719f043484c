//! The L402 protocol, with no I/O in it: values and functions that other programs can embed.
//!
//! A server answers `402 Payment Required` with a token (a macaroon that commits to a payment hash)
//! and a Lightning invoice. The client pays, learns the preimage, and comes back with
//! `Authorization: L402 <token>:<preimage>`.
//!
//! Nothing here opens a socket, reads a clock, touches a disk or needs a runtime. Time is an
//! argument; randomness is an argument; the node is a trait ([`Payer`], [`Invoicer`]).

mod hash;
mod invoice;
mod money;
pub mod node;
mod secret;

pub use hash::{NotHex32, PaymentHash, Preimage};
pub use invoice::{Invoice, InvoiceError, Network, NodeId, NotANodeId, UnknownNetwork};
pub use money::{AmountError, Msat, Sat};
pub use node::{
    Driver, Invoicer, Node, NodeError, NodeErrorKind, NodeUrl, OpenError, Outcome, Paid, PayError,
    PayOrder, Payer, Why,
};
pub use secret::Secret;
