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
//!
//! # A server, without the sockets
//!
//! ```
//! use std::time::SystemTime;
//! use http::{HeaderMap, header};
//! use l402::caveat::{Facts, Unknown};
//! use l402::{Credential, Invoice, Keyring, MasterKey, Preimage};
//!
//! let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]); // 32 random bytes, kept
//! # let invoice: Invoice = "lnbcrt100n1p45n5sqdq0gaz4ggp0wpskjeqpp5gf0dfe9rdvcw5gdepcsuwykxf85zznpfkl40dqyf6ypecmj48pxqsp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9qrsgqcqzysxqzuyz6cda2jzcgvvy0jv46ah458xj63yvtawfudp9g52f7v7lcgjuyg3tyd787njcdpu74w3n80n3d5s4dy66ahcfr607trfk82vcdwrw7sq58au9j".parse()?;
//! // Somebody asks without a credential: ask for payment. The invoice is the node's.
//! let token = keyring.mint(invoice.payment_hash(), [1; 28], ["services=weather:0"]);
//! let lines: Vec<_> = l402::scheme::ask(&token, &invoice).collect(); // WWW-Authenticate, in order
//! assert!(lines[0].to_str()?.starts_with("LSAT macaroon="));
//!
//! // They paid, learned the preimage, and come back.
//! let preimage = Preimage::new([0x42; 32]);
//! let mut headers = HeaderMap::new();
//! let value = format!("L402 {}:{}", token.to_base64(), preimage.expose_hex());
//! headers.insert(header::AUTHORIZATION, value.parse()?);
//! let credential = Credential::read(&headers)?.expect("it is there");
//! let facts = Facts {
//!     service: "weather",
//!     capability: None,
//!     method: "GET",
//!     path: "/weather/berlin",
//!     client_ip: None,
//!     now: SystemTime::now(),
//! };
//! let verified = credential.verify(&keyring, &facts, Unknown::Skip)?; // reads no database
//! assert_eq!(verified.payment_hash(), invoice.payment_hash());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod admin;
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
pub mod operator;
pub mod path;
pub mod purse;
pub mod scheme;
mod secret;
mod token;

pub use auth_params::{Duplicate, RawChallenge, challenges};
pub use budget::{Budget, Hold, OverBudget};
pub use caveat::Facts;
pub use credential::{Authentic, Credential, Denied, Malformed, Verified};
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
pub use operator::{OperateError, Operator};
pub use scheme::{Asked, Challenge, ChargeReceipt, Manner, Offers, Refused, Scheme};
pub use secret::Secret;
pub use token::{Binding, Token, TokenError};
