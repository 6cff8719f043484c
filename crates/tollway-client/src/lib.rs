//! An HTTP client that pays for what it asks, and never twice.
//!
//! A server that sells answers `402 Payment Required`. A [`Client`] then checks what is asked against
//! the caller's [`Terms`], writes down what it is about to pay for, pays by a Lightning node, writes
//! down the proof, and sends the same request once more. The token that it bought is kept in a
//! [`Wallet`] and used again.
//!
//! ```no_run
//! # async fn run(node: std::sync::Arc<dyn l402::Payer>) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use tollway_client::{Client, Payment, SqliteWallet, Terms};
//!
//! let wallet = Arc::new(SqliteWallet::open("/home/me/.tollway/wallet.db").await?);
//! let terms = Terms::up_to("100 sat".parse()?);
//! let client = Client::builder(wallet, terms).payer(node).build()?;
//!
//! match client.get("https://api.example.com/weather/berlin").send().await {
//!     Ok(response) => {
//!         if let Payment::Bought(receipt) = response.payment() {
//!             eprintln!("paid {} and {} for routing", receipt.amount, receipt.fee);
//!         }
//!         println!("{}", String::from_utf8_lossy(&response.bytes().await?));
//!     }
//!     // Each error says what became of the money.
//!     Err(error) => eprintln!("{error} (money moved: {:?})", error.money_moved()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - **A payment is on disk before it is made, and its proof before it is used.** A process that dies
//!   at any point is picked up by the next call, which asks the node how the payment ended.
//! - **A payment of which the end is not known is never made again.** [`Error::Unknown`] says so; the
//!   node's own word ends it.
//! - **One purchase at a time** from one origin with one wallet, across processes. Whoever waited
//!   uses the token that the other bought, if it opens the door.
//! - **A token goes to the origin that issued it** and to no other, over TLS, to an onion service or
//!   within the machine, unless the caller insists.
//!
//! Which of several tokens is sent with a request is decided by what can be read in them: a token
//! whose caveats rule the request out is not sent; one that was bought for the same method and path,
//! or whose caveats name the path or the services on offer, is sent before others; and in place of
//! asking with no token at all, the one with most of its path in common is tried once.

mod agree;
mod ask;
mod body;
mod builder;
mod client;
mod error;
mod fetch;
mod front;
mod held;
mod layer;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod observe;
mod origin;
mod payer;
mod policy;
mod quote;
mod redirect;
mod request;
mod response;
mod resume;
mod scope;
mod target;
mod terms;
mod timing;
mod tls;
mod transport;
mod wallet;
mod way;
mod wire;

pub use body::Body;
pub use builder::{BuildError, ClientBuilder};
pub use client::Client;
pub use error::{Error, HttpError, HttpErrorKind, MoneyMoved, RedirectError};
pub use front::RequestBuilder;
pub use layer::{PayLayer, PayService};
#[cfg(feature = "reqwest-middleware")]
pub use middleware::PayMiddleware;
pub use observe::{Headers, Observer, Step, Unobserved};
pub use origin::Origin;
pub use payer::PayerSource;
pub use policy::{
    Account, Approval, Approver, BadPattern, BadWindow, Denied, HostPattern, Limit, OverLimit,
    Policy, Proposal, SchemeName, Scope, Span, UnknownScheme, Window,
};
pub use quote::{Price, Quote};
pub use request::{BadRequest, Request};
pub use response::{Payment, Response};
pub use resume::Ending;
pub use target::{NotATarget, Target};
pub use terms::Terms;
pub use timing::Timings;
pub use tls::{Identity, TlsOptions, TlsVersion};
pub use transport::{Cookies, Family, HttpVersion, Local, ProxiedScheme, Proxy, Transport};
pub use wallet::{
    Adopted, Entry, KeyError, KeySource, Ledger, MOST_OTHERS, MemoryWallet, Purchase, Receipt,
    Reserve, SqliteWallet, Standing, Token, Turn, Wallet, WalletError, WalletKey, transfer,
};
pub use way::{RequestBody, ResponseBody};
pub use wire::Timeouts;
