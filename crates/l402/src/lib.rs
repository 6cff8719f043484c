//! The L402 protocol, with no I/O in it: values and functions that other programs can embed.
//!
//! A server answers `402 Payment Required` with a token (a macaroon that commits to a payment hash)
//! and a Lightning invoice. The client pays, learns the preimage, and comes back with
//! `Authorization: L402 <token>:<preimage>`.
//!
//! - A server mints with [`Keyring::mint`], asks with [`scheme::ask`], and judges what comes back
//!   with [`Credential::read`] and [`Credential::verify`].
//! - A client reads a 402 with [`Offers::read`] and walks through [`flow`].
//! - A node is two traits, [`Payer`] and [`Invoicer`].
//!
//! Nothing here opens a socket, reads a clock, touches a disk or needs a runtime. Time is an
//! argument; randomness is an argument; the node is a trait.

mod auth_params;
mod budget;
pub mod caveat;
pub mod credential;
mod encoding;
pub mod flow;
mod hash;
mod identifier;
mod invoice;
mod keys;
pub mod macaroon;
mod money;
pub mod node;
pub mod path;
pub mod scheme;
mod secret;
mod token;

pub use auth_params::{Duplicate, RawChallenge, challenges};
pub use budget::{Budget, Hold, OverBudget};
pub use caveat::Facts;
pub use credential::{Credential, Denied, Malformed, Verified};
pub use hash::{NotHex32, PaymentHash, Preimage};
pub use identifier::{Identifier, IdentifierError, TokenId};
pub use invoice::{Invoice, InvoiceError, Network, NodeId, NotANodeId, UnknownNetwork};
pub use keys::{KeyId, Keyring, MasterKey, RootKey};
pub use macaroon::{Macaroon, MacaroonError};
pub use money::{AmountError, Msat, Sat};
pub use node::{
    Driver, Invoicer, Node, NodeError, NodeErrorKind, NodeUrl, OpenError, Outcome, Paid, PayError,
    PayOrder, Payer, Why,
};
pub use scheme::{Challenge, Offers, Refused, Scheme};
pub use secret::Secret;
pub use token::{Binding, Token, TokenError};
