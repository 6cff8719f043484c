//! Drivers for Lightning nodes: one file each, and [`DRIVERS`] is the only list of them. A driver
//! turns one URL into what the node behind it allows, an [`l402::Payer`], an [`l402::Invoicer`] or
//! both; nobody above it knows which node that is.
//!
//! ```
//! use l402::{Driver as _, NodeUrl, OpenError, node};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! let url = NodeUrl::new("purse:/run/user/1000/tollway/purse.sock?budget=1000");
//! let error = node::open(&url, tollway_nodes::DRIVERS).await.unwrap_err();
//! assert!(matches!(error, OpenError::BadUrl { parameter, .. } if parameter == "budget"));
//! # });
//! ```

mod address;
mod api;
mod cln;
mod doubt;
mod eclair;
mod http;
mod lnbits;
mod lnd;
mod nwc;
mod phoenixd;
mod purse;
mod remote;
mod watched;

pub use cln::ClnDriver;
pub use eclair::EclairDriver;
pub use lnbits::LnbitsDriver;
pub use lnd::{LndDriver, LndPart, LndSetup, LndState, Seed};
pub use nwc::NwcDriver;
pub use phoenixd::PhoenixdDriver;
pub use purse::PurseDriver;

/// Every driver of this crate. [`l402::node::open`] chooses among them by the URL's scheme.
pub static DRIVERS: &[&dyn l402::Driver] = &[
    &PurseDriver,
    &LndDriver,
    &ClnDriver,
    &NwcDriver,
    &PhoenixdDriver,
    &LnbitsDriver,
    &EclairDriver,
];
