//! The seller's side of Tollway: a streaming reverse proxy that asks for money, and the same gate as
//! tower middleware.
//!
//! A [`Gateway`] is opened from a [`Config`], a node to be paid on, and the keys to mint tokens with.
//! It can be paid and cannot spend: the only half of a node it knows is [`l402::Invoicer`]. Tokens are
//! verified with nothing but those keys; no database is read, and no lock is held, on a paid request's
//! way. Only what cannot do without is counted in a [`store`].
//!
//! ```no_run
//! # async fn sell(node: std::sync::Arc<dyn l402::Invoicer>) -> Result<(), Box<dyn std::error::Error>> {
//! use tokio::net::TcpListener;
//! use tollway_gateway::{Config, Gateway};
//!
//! let config = Config::read(&std::fs::read_to_string("gateway.toml")?)?;
//! let keyring = config.keyring(|name| std::env::var(name).ok())?;
//! let gateway = Gateway::open(&config, node, keyring).await?;
//! let listener = TcpListener::bind(config.listen).await?;
//! let stopped = gateway.serve(listener, async { tokio::signal::ctrl_c().await.unwrap() }).await;
//! println!("stopped; {} connections were cut off", stopped.cut);
//! # Ok(())
//! # }
//! ```
//!
//! To sell a service that runs in the same process, see [`TollwayLayer`]. To understand either, read
//! `src/handle.rs` first.

mod accept;
pub mod admin;
mod admit;
mod authz;
mod bill;
mod body;
mod books;
mod check;
mod claim;
mod client;
pub mod config;
mod cors;
mod course;
mod discovery;
mod doors;
mod file;
mod find;
mod forward;
mod gate;
mod gateway;
mod grpc_web;
mod handle;
mod headers;
pub mod import;
mod keep;
mod known;
mod layer;
mod limits;
mod line;
mod log;
pub mod matching;
mod memo;
mod metrics;
mod own;
mod passage;
mod payment;
pub mod pricer;
mod reading;
mod redirect;
mod respond;
mod route;
mod rule;
mod secret;
mod seen;
mod sell;
mod serve;
pub mod store;
mod taken;
mod tariff;
mod till;
mod tls;
mod traces;
mod tunnel;
mod upload;
mod upstream;
mod workers;

pub use body::{Body, BodyError};
pub use config::{Config, Mistakes, SecretSource};
pub use doors::Doors;
pub use file::{ConfigFile, EditError, ReloadError, Reloaded, Tag, WriteError};
pub use gate::{Basis, Permit};
pub use gateway::{Environment, Gateway};
pub use headers::strip_one_hop;
pub use layer::{ClientIp, Tolled, TollwayLayer};
pub use passage::HeaderError;
pub use payment::Schemes;
pub use rule::Rule;
pub use secret::{SecretError, master_key_file};
pub use sell::Sale;
pub use serve::Stopped;
pub use tariff::{BadCredential, Tariff, TariffError};
pub use tls::{KeyError, TlsError};
pub use traces::TracesError;
pub use upstream::{CertificatesError, OpenError};
