//! The embedded Lightning node, and the private network it can run on.

mod broadcast;
pub mod chain;
mod devnet;
mod kv;
mod log;
mod node;
mod onchain;
mod payments;
mod persist;
mod store;
mod sync;
mod types;

pub use devnet::{Devnet, DevnetConfig, DevnetError, DevnetNode};
pub use node::{Balance, Channel, ChannelError, Config, EmbeddedNode, OpenNodeError};
pub use onchain::{OnchainBalance, WalletError};
pub use store::StoreError;
