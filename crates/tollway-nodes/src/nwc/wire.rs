//! NIP-47's requests and answers, as far as we write and read them, and what is the matter when there
//! is none.

use l402::{Msat, Network, NodeError, NodeErrorKind, Preimage, Why};
use serde::Deserialize;
use serde_json::Value;

use super::NAME;
use crate::http::NoAnswer;
use crate::remote::Word;

/// An answer, decrypted.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub(super) result: Option<Value>,
    pub(super) error: Option<Refusal>,
}

/// The wallet's own refusal.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
}

/// `get_info`.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) alias: Option<String>,
    pub(super) pubkey: Option<String>,
    pub(super) block_height: Option<u32>,
    network: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
}

impl Info {
    /// Whether this connection may use that method.
    pub(super) fn can(&self, method: &str) -> bool {
        self.methods.iter().any(|known| known == method)
    }

    pub(super) fn network(&self) -> Result<Option<Network>, NodeError> {
        let name = self.network.as_deref().filter(|name| !name.is_empty());
        name.map(|name| {
            let unknown = |_| Trouble::UnknownNetwork(name.to_owned());
            let network = name.parse().map_err(unknown);
            network.map_err(|trouble| error(NodeErrorKind::Refused, trouble))
        })
        .transpose()
    }
}

/// `pay_invoice`.
#[derive(Debug, Deserialize)]
pub(super) struct Paid {
    preimage: String,
    fees_paid: Option<u64>,
}

impl Paid {
    pub(super) fn word(&self) -> Option<Word> {
        paid(&self.preimage, self.fees_paid)
    }
}

fn paid(preimage: &str, fees: Option<u64>) -> Option<Word> {
    let preimage: Preimage = preimage.parse().ok()?;
    Some(Word::Paid { preimage, fee: Msat::from_msat(fees.unwrap_or(0)) })
}

/// `lookup_invoice`.
#[derive(Debug, Deserialize)]
pub(super) struct Transaction {
    r#type: Option<String>,
    state: Option<String>,
    preimage: Option<String>,
    fees_paid: Option<u64>,
    settled_at: Option<u64>,
}

impl Transaction {
    /// What it says of a payment of ours. Nothing, when it is settled and has no preimage.
    pub(super) fn word(&self) -> Option<Word> {
        if self.r#type.as_deref() == Some("incoming") {
            return Some(Word::NeverHeard);
        }
        match self.state.as_deref() {
            Some("failed" | "expired") => Some(Word::NotPaid(Why::Refused)),
            Some("settled") => paid(self.preimage.as_deref().unwrap_or(""), self.fees_paid),
            None if self.settled_at.is_some() => {
                paid(self.preimage.as_deref().unwrap_or(""), self.fees_paid)
            }
            _ => Some(Word::InFlight),
        }
    }

    /// Whether an invoice of ours was paid.
    pub(super) fn settled(&self) -> bool {
        let ours = self.r#type.as_deref() != Some("outgoing");
        let settled = match self.state.as_deref() {
            Some(state) => state == "settled",
            None => self.settled_at.is_some(),
        };
        ours && settled
    }
}

/// `make_invoice`.
#[derive(Debug, Deserialize)]
pub(super) struct Made {
    pub(super) invoice: String,
}

/// A request that got no result.
#[derive(Debug)]
pub(super) enum Fault {
    /// No relay could be reached.
    NoRelay(NoAnswer),
    /// The relay did not take the request.
    NotTaken(String),
    /// The request was sent, and the relay or the wallet is silent since.
    Lost(Trouble),
    TimedOut,
    Refused(Refusal),
    Strange(Trouble),
}

impl Fault {
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == "NOT_FOUND")
    }
}

/// What is the matter, in words that name the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(
        "this connection may neither pay nor make invoices, or not look them up; make one in the wallet that may"
    )]
    Useless,
    #[error("the wallet is on the network `{0}`, where we do not pay")]
    UnknownNetwork(String),
    #[error("a wallet cannot be told a fee limit; add fees=wallet to its URL to let it decide")]
    NoFeeLimit,
    #[error("the relay did not take the request: {0}")]
    NotTaken(String),
    #[error("the connection to the relay was lost")]
    RelayLost,
    #[error("the wallet's answer cannot be decrypted")]
    Sealed(#[source] nostr::error::Error),
    #[error("the wallet's answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
    #[error("the wallet's answer has neither a result nor an error")]
    Empty,
    #[error("the wallet says it paid, and gives no preimage; without one a payment proves nothing")]
    NoPreimage,
    #[error("the relay cannot be spoken to")]
    Handshake(#[source] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the wallet said: {message} ({code})")]
    Said { code: String, message: String },
}

pub(super) fn error(kind: NodeErrorKind, trouble: Trouble) -> NodeError {
    NodeError::new(NAME, kind).because(trouble)
}

impl From<Fault> for NodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TimedOut => Self::new(NAME, NodeErrorKind::Timeout),
            Fault::Lost(trouble) => error(NodeErrorKind::Unreachable, trouble),
            Fault::NotTaken(message) => {
                error(NodeErrorKind::Unreachable, Trouble::NotTaken(message))
            }
            Fault::Strange(trouble) => error(NodeErrorKind::Protocol, trouble),
            Fault::NoRelay(no_answer) => {
                Self::new(NAME, NodeErrorKind::Unreachable).because(no_answer)
            }
            Fault::Refused(Refusal { code, message }) => {
                let kind = match code.as_str() {
                    "RESTRICTED" | "UNAUTHORIZED" => NodeErrorKind::Unauthorized,
                    "RATE_LIMITED" => NodeErrorKind::Unreachable,
                    _ => NodeErrorKind::Refused,
                };
                error(kind, Trouble::Said { code, message })
            }
        }
    }
}

impl From<Fault> for l402::OpenError {
    fn from(fault: Fault) -> Self {
        NodeError::from(fault).into()
    }
}

/// Why the wallet did not pay.
pub(super) fn why(code: &str) -> Why {
    match code {
        "INSUFFICIENT_BALANCE" | "QUOTA_EXCEEDED" => Why::Balance,
        "PAYMENT_FAILED" => Why::NoRoute,
        _ => Why::Refused,
    }
}
