//! The embedded Lightning node, and the private network it can run on.
//!
//! [`EmbeddedNode`] is a Lightning node in this process: keys, channels and payments in one folder,
//! with nothing else to install. It is an [`l402::Payer`] and an [`l402::Invoicer`]. [`Devnet`] is a
//! network of such nodes over a [simulated chain](chain::Simulated), to develop and test against.
//!
//! ```
//! use std::time::Duration;
//! use l402::{Invoicer as _, Msat, PayOrder, Payer as _};
//! use tollway_ldk::{Devnet, DevnetConfig};
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let devnet = Devnet::start(DevnetConfig::default()).await?;
//! let [alice, bob] = devnet.nodes() else { unreachable!("the default is two nodes") };
//! let invoice = bob.node.invoice(Msat::from_msat(10_000), "tea", Duration::from_secs(600)).await?;
//! let patience = Duration::from_secs(30);
//! let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience };
//! let paid = alice.node.pay(order).await?;
//! assert!(paid.preimage.opens(invoice.payment_hash()));
//! devnet.stop().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! # What survives
//!
//! The process may be killed at any moment. Monitors, manager and the payment log are one SQLite
//! transaction, with fsync, before any message that depends on them leaves: what is read back is
//! always one moment. No channel is closed by a crash, no payment is made twice, and how each
//! payment ended is known after the restart.

mod backup;
mod broadcast;
pub mod chain;
mod devnet;
mod digest;
mod driver;
mod kv;
mod log;
mod node;
mod onchain;
mod operator;
mod payments;
mod persist;
mod store;
mod sync;
mod types;

pub use backup::{Backup, BackupError};
pub use devnet::{Devnet, DevnetConfig, DevnetError, DevnetNode};
pub use digest::{DigestUrl, DigestUrlError};
pub use driver::Ldk;
pub use node::{
    Alias, BadAlias, Balance, Channel, ChannelError, Config, Direction, EmbeddedNode, Info, Lsp,
    LspOffer, NewChannel, OpenNodeError, PaymentRecord, PaymentState, Peer, Public, WithdrawError,
    WithdrawQuote,
};
pub use onchain::{OnchainBalance, WalletError};
pub use store::StoreError;
