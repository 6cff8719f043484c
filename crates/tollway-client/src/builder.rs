//! Puts a client together: what it keeps its books in, what it may pay, and how it reaches servers.

use std::fmt;
use std::sync::{Arc, Mutex};

use l402::{Budget, Msat, Payer};
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;

use crate::client::{Client, NodeSlot, Shared};
use crate::payer::{PayerSource, Ready};
use crate::policy::{Approver, Policy};
use crate::terms::Terms;
use crate::transport::Transport;
use crate::wallet::Wallet;
use crate::wire::{Timeouts, Wire};

/// Puts a [`Client`] together.
#[must_use]
pub struct ClientBuilder {
    wallet: Arc<dyn Wallet>,
    terms: Terms,
    policy: Policy,
    approver: Option<Arc<dyn Approver>>,
    source: Option<Box<dyn PayerSource>>,
    budget: Msat,
    timeouts: Timeouts,
    allow_plain_http: bool,
    second_authorization: bool,
    transport: Transport,
}

/// A client cannot be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A root certificate cannot be read.
    #[error("a root certificate cannot be read")]
    Root(#[source] rustls::Error),
    /// There is no root certificate to trust, or they cannot be used together.
    #[error("the root certificates cannot be used")]
    Roots(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The certificate that we show, or its key, cannot be used.
    #[error("the client certificate and its key cannot be used")]
    Identity(#[source] rustls::Error),
    /// No version of TLS is left.
    #[error("no version of TLS is left to speak")]
    Tls(#[source] rustls::Error),
    /// The HTTP client cannot be started.
    #[error("the HTTP client cannot be started")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ClientBuilder {
    pub(crate) fn new(wallet: Arc<dyn Wallet>, terms: Terms) -> Self {
        Self {
            wallet,
            terms,
            policy: Policy::default(),
            approver: None,
            source: None,
            budget: Msat::SUPPLY,
            timeouts: Timeouts::default(),
            allow_plain_http: false,
            second_authorization: false,
            transport: Transport::default(),
        }
    }

    /// Pays with this node.
    pub fn payer(self, payer: Arc<dyn Payer>) -> Self {
        self.payer_source(Ready(payer))
    }

    /// Pays with the node that `source` opens, when a payment is needed and not before.
    pub fn payer_source(mut self, source: impl PayerSource + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Pays only what these rules allow, whatever a request's own terms are.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Whom to ask before a payment above [`Policy::ask_above`].
    pub fn approver(mut self, approver: impl Approver + 'static) -> Self {
        self.approver = Some(Arc::new(approver));
        self
    }

    /// The most that all calls of this client together may spend while it lives, routing included,
    /// in millisatoshi. No limit unless set. What outlives the client is [`Policy::limits`].
    pub const fn budget(mut self, budget: Msat) -> Self {
        self.budget = budget;
        self
    }

    /// Other time limits than [`Timeouts::default`].
    pub const fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Pays and shows credentials over plain http to other machines too, where everybody on the way
    /// can take them, and to servers of which nobody checks who they are.
    pub const fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// Sends a request's own `Authorization` beside the proof of payment, as a second line behind it.
    ///
    /// HTTP has one such line (RFC 9110, 11.6.2). Of two, one server reads the first, another the last
    /// (aperture `l402/header.go`), and a third refuses both: what was paid for is then not delivered.
    /// Unless this is said, a request with a line of its own shows no token and pays no offer whose
    /// proof goes into that line ([`NotTaken::HeaderTaken`](l402::flow::NotTaken::HeaderTaken)).
    /// Say it for servers that are known to read every line, as Tollway's gateway does.
    pub const fn second_authorization(mut self) -> Self {
        self.second_authorization = true;
        self
    }

    /// Trusts this certificate authority besides the public ones. DER.
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.transport.tls.roots.push(CertificateDer::from(der.into()));
        self
    }

    /// Reaches servers in another way than [`Transport::default`]. Replaces what
    /// [`root_certificate`](Self::root_certificate) has added.
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// The client.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn build(self) -> Result<Client, BuildError> {
        let wire = Wire::new(self.timeouts, self.transport)?;
        let shared = Shared {
            wire,
            wallet: self.wallet,
            terms: self.terms,
            policy: self.policy,
            approver: self.approver,
            allow_plain_http: self.allow_plain_http,
            second_authorization: self.second_authorization,
            node: Arc::new(NodeSlot { source: self.source, opened: OnceCell::new() }),
            budget: Arc::new(Mutex::new(Budget::new(self.budget))),
        };
        Ok(Client { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("wallet", &self.wallet)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}
