//! The purse as a Nostr Wallet Connect wallet service (NIP-47): applications elsewhere pay and are
//! paid through its node, each by a connection of its own, under a budget of its own.
//!
//! What this module holds to:
//!
//! - The hold is on the disk before the node is told to pay, and only the node's word releases it. A
//!   service that is killed finds its holds again and asks.
//! - A request is carried out once: its event's name is written down together with the hold. A payment
//!   hash is paid once and belongs to one connection; another connection does not get its preimage.
//! - While the end of a payment is not known, the application is not answered: an error would invite
//!   it to pay again by other means.

mod book;
mod budget;
mod handle;
mod known;
mod ledger;
mod pay;
mod relay;
mod seal;
mod service;
mod wire;

pub use book::{BookError, Connection, Connections, NewConnection};
pub use budget::{Budget, NotABudget, Period};
pub use service::{Fees, WalletService};
