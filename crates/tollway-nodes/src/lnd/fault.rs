//! What lnd and the way to it can answer instead of what was asked, and what to do about it. lnd says
//! most of it in words; the codes are gRPC's.

use l402::{NodeError, NodeErrorKind};

use super::NAME;
use super::macaroon::Part;
use super::wire::Refusal;
use crate::http::NoAnswer;

/// gRPC's code for something that is not there.
const NOT_FOUND: i32 = 5;
/// gRPC's codes for a credential that does not do.
const DENIED: [i32; 2] = [7, 16];

/// A call that did not succeed.
#[derive(Debug)]
pub(super) enum Fault {
    /// No answer, or none that was awaited any longer.
    NoAnswer(NoAnswer),
    TimedOut,
    /// lnd's own refusal.
    Refused {
        refusal: Refusal,
        call: &'static str,
    },
    /// An answer that is not one of lnd's.
    Strange {
        status: u16,
        source: serde_json::Error,
    },
    /// The macaroon could not be read.
    Macaroon(std::io::Error),
}

/// What is the matter, in words that name the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("lnd's wallet is locked; unlock it with `lncli unlock`")]
    Locked,
    #[error("lnd has no wallet yet; create one with `lncli create`")]
    NoWallet,
    #[error("lnd is still starting ({0}); try again in a moment")]
    Starting(String),
    #[error(
        "lnd has the chain up to block {height} only; wait until `lncli getinfo` says synced_to_chain"
    )]
    Syncing { height: u32 },
    #[error("lnd is on the network `{name}`, where we do not pay")]
    UnknownNetwork { name: String },
    #[error("the macaroon does not allow {call}; bake one that does: {command}")]
    Denied { call: &'static str, command: String },
    #[error(
        "the macaroon allows neither paying nor being paid; to pay: {buyer}; to be paid: {seller}"
    )]
    Useless { buyer: String, seller: String },
    #[error("lnd said: {0}")]
    Said(String),
    #[error("no macaroon of lnd's: {0}")]
    NoMacaroon(std::io::Error),
    #[error("is this lnd's REST port (8080 unless told)? Its gRPC port (10009) does not do: {0}")]
    GrpcPort(NoAnswer),
    #[error("status {status} with a body that is not lnd's")]
    NotLnd { status: u16, source: serde_json::Error },
    #[error("no state of a payment that we know")]
    PaymentState,
}

pub(super) fn error(kind: NodeErrorKind, trouble: Trouble) -> NodeError {
    NodeError::new(NAME, kind).because(trouble)
}

impl Fault {
    /// What the first call to a server makes of it: whoever takes connections and breaks them off is
    /// not likely to be lnd's REST port.
    pub(super) fn at_first(self) -> NodeError {
        match self {
            Self::NoAnswer(cut @ (NoAnswer::NotSent(_) | NoAnswer::Lost(_))) => {
                error(NodeErrorKind::Unreachable, Trouble::GrpcPort(cut))
            }
            fault => fault.into(),
        }
    }

    /// Whether what was asked may have been carried out all the same.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::NoAnswer(no_answer) => no_answer.is_lost(),
            Self::TimedOut | Self::Strange { .. } => true,
            Self::Refused { .. } | Self::Macaroon(_) => false,
        }
    }

    /// lnd knows no such payment or invoice.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.code == NOT_FOUND)
    }
}

impl From<Fault> for NodeError {
    fn from(fault: Fault) -> Self {
        let (kind, trouble) = match fault {
            Fault::TimedOut => return Self::new(NAME, NodeErrorKind::Timeout),
            Fault::NoAnswer(no_answer) => return unanswered(no_answer),
            Fault::Macaroon(source) => {
                return Self::new(NAME, NodeErrorKind::Unauthorized).because(source);
            }
            Fault::Strange { status, source } => {
                (NodeErrorKind::Protocol, Trouble::NotLnd { status, source })
            }
            Fault::Refused { refusal, call } => trouble(refusal, call),
        };
        error(kind, trouble)
    }
}

fn unanswered(no_answer: NoAnswer) -> NodeError {
    match no_answer {
        NoAnswer::Impostor { .. } | NoAnswer::Plaintext { .. } | NoAnswer::Stranger { .. } => {
            NodeError::new(NAME, NodeErrorKind::Unauthorized).because(no_answer)
        }
        NoAnswer::NotConnected { .. } | NoAnswer::NotSent(_) | NoAnswer::Lost(_) => {
            NodeError::new(NAME, NodeErrorKind::Unreachable).because(no_answer)
        }
    }
}

fn trouble(refusal: Refusal, call: &'static str) -> (NodeErrorKind, Trouble) {
    let said = |what: &str| refusal.message.contains(what);
    if said("wallet locked") {
        (NodeErrorKind::Unreachable, Trouble::Locked)
    } else if said("wallet not created") {
        (NodeErrorKind::Unreachable, Trouble::NoWallet)
    } else if said("in the process of starting") || said("waiting to start") {
        (NodeErrorKind::Unreachable, Trouble::Starting(refusal.message))
    } else if said("permission denied") || DENIED.contains(&refusal.code) && said("macaroon") {
        let command = Part::that_makes(call).command();
        (NodeErrorKind::Unauthorized, Trouble::Denied { call, command })
    } else if said("macaroon") {
        (NodeErrorKind::Unauthorized, Trouble::Said(refusal.message))
    } else {
        (NodeErrorKind::Refused, Trouble::Said(refusal.message))
    }
}
