//! The two seams to a Lightning node, [`Payer`] and [`Invoicer`], and how a driver opens one from a
//! URL. Drivers live in other crates; this file knows none of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::hash::{PaymentHash, Preimage};
use crate::invoice::{Invoice, Network};
use crate::money::Msat;
use crate::operator::Operator;
use crate::secret::Secret;

/// Can spend. A process that only sells never holds one.
#[async_trait]
pub trait Payer: fmt::Debug + Send + Sync {
    /// The network this node pays on. Fixed for the life of the value.
    fn network(&self) -> Network;

    /// Pays one invoice, and returns when the node has said how it ended or the order's patience
    /// ran out.
    ///
    /// Calling again with the same invoice, at the same time or ever after, must not pay twice: it
    /// returns the end of the first payment (or pays, if that one ended as not paid). Dropping the
    /// future changes nothing about the payment.
    async fn pay(&self, order: PayOrder<'_>) -> Result<Paid, PayError>;

    /// How an earlier payment ended. Asked after [`PayError::Unknown`], and at start-up.
    ///
    /// [`Outcome::NotPaid`] is a promise that no money left and none will, for this hash, unless
    /// `pay` is called again. A payment the node never heard of is `NotPaid`.
    async fn outcome(&self, hash: PaymentHash) -> Result<Outcome, NodeError>;
}

/// Can be paid. Cannot spend.
#[async_trait]
pub trait Invoicer: fmt::Debug + Send + Sync {
    /// The network this node is paid on. Fixed for the life of the value.
    fn network(&self) -> Network;

    /// A fresh invoice for exactly `amount`, with a payment hash that was never used before.
    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError>;

    /// Whether that invoice has been paid. `false` for a hash this node never heard of.
    async fn is_settled(&self, hash: PaymentHash) -> Result<bool, NodeError>;
}

/// One payment, with its limits.
#[derive(Clone, Copy, Debug)]
pub struct PayOrder<'a> {
    /// What to pay.
    pub invoice: &'a Invoice,
    /// The most that routing may cost on top.
    pub max_fee: Msat,
    /// When to stop waiting. Stopping is not failing: see [`PayError::Unknown`].
    pub patience: Duration,
}

/// It was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The proof.
    pub preimage: Preimage,
    /// Routing cost, rounded up to the millisatoshi.
    pub fee: Msat,
}

/// How a payment ended, asked later.
///
/// Exhaustive on purpose, as [`PayError`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still in flight.
    Pending,
    /// Paid.
    Paid(Paid),
    /// Never left, or came all the way back.
    NotPaid,
}

/// It was not paid, or we do not know.
///
/// Exhaustive on purpose: a third way for a payment to end must break every caller that handles
/// money, at compile time.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// No money moved and none will. The hold may be released.
    #[error("not paid: {why}")]
    NotPaid {
        /// What the node gave as the reason.
        why: Why,
        /// The node's own error, when there was one.
        source: Option<NodeError>,
    },
    /// It may have been paid. The hold stays until [`Payer::outcome`] says.
    #[error("payment {hash} may be in flight")]
    Unknown {
        /// Which payment to ask about.
        hash: PaymentHash,
        /// What went wrong while waiting.
        source: NodeError,
    },
}

/// Why a payment did not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// No path to the payee that could carry it within the fee limit.
    #[error("no route within the fee limit")]
    NoRoute,
    /// Not enough outbound balance.
    #[error("not enough balance")]
    Balance,
    /// The invoice expired first.
    #[error("the invoice expired")]
    Expired,
    /// The payee's node refused it.
    #[error("the payee refused it")]
    PayeeRefused,
    /// The invoice is for another network than the node's.
    #[error("the invoice is for another network")]
    WrongNetwork,
    /// The order never reached the node.
    #[error("the node could not be reached")]
    Unreachable,
    /// The node refused the order.
    #[error("the node refused")]
    Refused,
}

/// Talking to the node failed.
#[derive(Debug, thiserror::Error)]
#[error("{driver}: {kind}")]
pub struct NodeError {
    /// Which driver.
    pub driver: &'static str,
    /// What a caller can do about it.
    pub kind: NodeErrorKind,
    /// The cause, kept whole.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl NodeError {
    /// An error with no deeper cause.
    pub fn new(driver: &'static str, kind: NodeErrorKind) -> Self {
        Self { driver, kind, source: None }
    }

    /// An error with its cause.
    #[must_use]
    pub fn because(self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }
}

/// What a caller can do about a [`NodeError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeErrorKind {
    /// Try again later.
    #[error("node unreachable")]
    Unreachable,
    /// It did not answer in time. What was asked may still happen.
    #[error("node did not answer in time")]
    Timeout,
    /// Fix the credential or the permissions.
    #[error("node refused us")]
    Unauthorized,
    /// The request itself is wrong and will be refused again.
    #[error("node refused the request")]
    Refused,
    /// The node's disk failed. It stops rather than risk money.
    #[error("node could not write to its disk")]
    Storage,
    /// Report a bug.
    #[error("node answered in a way we do not understand")]
    Protocol,
}

/// Opens one kind of node from its URL. One file each.
#[async_trait]
pub trait Driver: fmt::Debug + Sync {
    /// The URL schemes it answers to.
    fn schemes(&self) -> &'static [&'static str];
    /// An example URL, shown in help and errors.
    fn example(&self) -> &'static str;
    /// Connects. Unknown query parameters are an error.
    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError>;

    /// Reads the URL and gives the node's owner's side, also where [`Driver::open`] would refuse
    /// because the node is not ready or the credential can neither pay nor be paid.
    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        let refused = || NodeError::new("node", NodeErrorKind::Refused);
        Ok(self.open(url).await?.operator.ok_or_else(refused)?)
    }
}

/// Where a node is and how to speak to it. Prints its scheme and nothing else.
///
/// A URL names where its secrets are kept: `file:/path` is read by the driver, and anything else, as
/// `env:NAME`, by whoever may: [`NodeUrl::with_secret`] brings what was found along.
#[derive(Clone)]
pub struct NodeUrl {
    text: String,
    secrets: Vec<(String, Arc<Secret<String>>)>,
}

/// Two URLs that read the same name the same node.
impl PartialEq for NodeUrl {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for NodeUrl {}

impl NodeUrl {
    /// Wraps the text; the driver parses it.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), secrets: Vec::new() }
    }

    /// The same, with what is kept at `place`, which the URL names, as `env:NAME`.
    #[must_use]
    pub fn with_secret(mut self, place: impl Into<String>, secret: Secret<String>) -> Self {
        self.secrets.push((place.into(), Arc::new(secret)));
        self
    }

    /// What was brought along for `place`.
    pub fn secret(&self, place: &str) -> Option<Arc<Secret<String>>> {
        let found = self.secrets.iter().find(|(known, _)| known == place);
        found.map(|(_, secret)| Arc::clone(secret))
    }

    /// What comes before the first colon, or nothing when there is none.
    pub fn scheme(&self) -> &str {
        self.text.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// All of it, secrets included. Only drivers call this.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for NodeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:(redacted)", self.scheme())
    }
}

/// A node could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No driver answers to this scheme.
    #[error("no node driver for `{scheme}:`; known are {}", .known.join(", "))]
    UnknownScheme {
        /// What was asked for.
        scheme: String,
        /// An example URL of each driver.
        known: Vec<&'static str>,
    },
    /// The URL is not one this driver can use.
    #[error("{driver} node URL: `{parameter}` {problem}")]
    BadUrl {
        /// Which driver.
        driver: &'static str,
        /// Which part of the URL.
        parameter: String,
        /// What is the matter with it, and the remedy.
        problem: String,
    },
    /// The node is there and does not let us in, or is not there.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// An opened node: whatever of the two seams its credential allows.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Present when it may spend.
    pub payer: Option<Arc<dyn Payer>>,
    /// Present when it may be paid.
    pub invoicer: Option<Arc<dyn Invoicer>>,
    /// Its owner's side.
    pub operator: Option<Arc<dyn Operator>>,
}

/// Finds the driver for `url` in `drivers` and opens it.
///
/// # Errors
/// [`OpenError::UnknownScheme`], or the driver's own.
pub async fn open(url: &NodeUrl, drivers: &[&dyn Driver]) -> Result<Node, OpenError> {
    find(url, drivers)?.open(url).await
}

/// Finds the driver for `url` in `drivers` and gives the node's owner's side.
///
/// # Errors
/// [`OpenError::UnknownScheme`], or the driver's own.
pub async fn operate(
    url: &NodeUrl,
    drivers: &[&dyn Driver],
) -> Result<Arc<dyn Operator>, OpenError> {
    find(url, drivers)?.operate(url).await
}

fn find<'a>(url: &NodeUrl, drivers: &[&'a dyn Driver]) -> Result<&'a dyn Driver, OpenError> {
    let driver = drivers.iter().find(|driver| driver.schemes().contains(&url.scheme()));
    driver.copied().ok_or_else(|| OpenError::UnknownScheme {
        scheme: url.scheme().to_owned(),
        known: drivers.iter().map(|driver| driver.example()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_url_prints_its_scheme_only() {
        let url = NodeUrl::new("lnd://10.0.0.1?macaroon=hunter2");
        assert_eq!(url.scheme(), "lnd");
        assert_eq!(format!("{url:?}"), "lnd:(redacted)");
        assert_eq!(NodeUrl::new("no colon").scheme(), "");
    }
}
