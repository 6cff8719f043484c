//! The purse: the one process that holds a Lightning node, and lets the programs of the same user
//! spend and be paid through it. It speaks HTTP and JSON on a Unix socket; the shapes are in
//! [`l402::purse`], and `docs/purse-api.md` describes them for other languages.
//!
//! ```no_run
//! # async fn example(node: l402::Node) -> Result<(), tollway_purse::BindError> {
//! use std::time::Duration;
//!
//! let purse = tollway_purse::Purse::bind("/run/user/1000/tollway/purse.sock", node).await?;
//! let stop = async { tokio::signal::ctrl_c().await.expect("signals can be waited for") };
//! let stopped = purse.serve(stop, Duration::from_secs(10)).await;
//! for payment in stopped.unresolved {
//!     eprintln!("{} may still be in flight, {} with fees", payment.hash, payment.amount);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A payment, once begun, belongs to the purse: a caller that hangs up changes nothing about it.
//! What is not known to have ended is held, and stays so until the node says how it ended.

mod api;
mod hold;
pub mod nwc;
mod owner;
mod peer;
mod refuse;
mod serve;
mod socket;
mod turn;

pub use hold::Unresolved;
pub use serve::{Purse, Stopped};
pub use socket::BindError;
