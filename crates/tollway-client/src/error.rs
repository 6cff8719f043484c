//! What can go wrong, by what the caller can do about it and by what became of the money.

use http::StatusCode;
use l402::flow::FlowError;
use l402::{NodeError, OpenError, OverBudget, PaymentHash, Why};

use crate::origin::Origin;
use crate::policy::Denied;
use crate::request::BadRequest;
use crate::wallet::{Receipt, WalletError};

/// A request did not end with a response.
///
/// Exhaustive on purpose: a new ending must break every caller that tells people what became of
/// their money, at compile time.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request cannot be sent at all.
    #[error(transparent)]
    BadRequest(#[from] BadRequest),
    /// There was no answer. Nothing was paid.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A redirect was not followed. Nothing was paid for what is behind it.
    #[error("{origin}: the redirect was not followed to its end: {why}")]
    Redirect {
        /// Who redirects, or who presents the bill.
        origin: Origin,
        /// Why it was not followed.
        #[source]
        why: RedirectError,
        /// What was paid before the redirect came.
        receipt: Option<Box<Receipt>>,
    },
    /// Payment is asked over a connection on which others could read the proof.
    #[error("{0} asks for payment over a connection that others can read")]
    Insecure(Origin),
    /// Payment is asked in no way that we speak, or in none that the terms allow.
    #[error(transparent)]
    Terms(FlowError),
    /// The client's policy does not allow it, or whoever was asked did not. Nothing was paid.
    #[error(transparent)]
    Policy(Box<Denied>),
    /// The client's budget does not allow it.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// Payment is asked, and the client has no node to pay with.
    #[error("payment is asked, and there is no node to pay with")]
    NoPayer,
    /// Payment is asked, and the node could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The node did not pay. No money left, and none will.
    #[error("payment {hash} was not made: {why}")]
    NotPaid {
        /// Which payment.
        hash: PaymentHash,
        /// What the node gave as the reason.
        why: Why,
        /// The node's own error, when there was one.
        source: Option<NodeError>,
    },
    /// A payment has no known end: it may have been made, or may still be. It is in the wallet. The
    /// same request, sent later, asks the node first and pays nothing new until the node has said.
    #[error("payment {hash} may have been made, or may still be: ask again later")]
    Unknown {
        /// Which payment.
        hash: PaymentHash,
        /// Why its end is not known, when it is not simply still on its way.
        source: Option<NodeError>,
    },
    /// The node says paid, and what it gives as the proof proves nothing. As [`Error::Unknown`].
    #[error("the node says that payment {hash} was made, and its preimage does not prove it")]
    WrongPreimage {
        /// Which payment.
        hash: PaymentHash,
    },
    /// It was paid, and the proof could not be written down. The node has it, and is asked the next
    /// time.
    #[error("payment {hash} was made, and its proof could not be stored")]
    NotStored {
        /// Which payment.
        hash: PaymentHash,
        /// What went wrong.
        source: WalletError,
    },
    /// It was paid, and the request with the proof got no answer. The proof is in the wallet: the
    /// same request, sent again, uses it.
    #[error("payment {} was made, and then there was no answer", .receipt.hash)]
    NoAnswer {
        /// What was paid.
        receipt: Box<Receipt>,
        /// What went wrong.
        source: HttpError,
    },
    /// It was paid, and the server does not honour the proof, which is in the wallet.
    #[error("payment {} was made, and the server answers {status} to its proof", .receipt.hash)]
    PaidInVain {
        /// What was paid.
        receipt: Box<Receipt>,
        /// What the server answered.
        status: StatusCode,
    },
    /// An earlier call paid for this, and the server still does not honour the proof. Nothing more
    /// is paid unless the request says [`buy_again`](crate::Request::buy_again).
    #[error("payment {} was made earlier, and the server still answers {status} to its proof", .receipt.hash)]
    StillRefused {
        /// What was paid.
        receipt: Box<Receipt>,
        /// What the server answered this time.
        status: StatusCode,
    },
    /// The wallet failed. Nothing was paid.
    #[error(transparent)]
    Wallet(WalletError),
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        Self::Policy(Box::new(denied))
    }
}

impl From<WalletError> for Error {
    fn from(error: WalletError) -> Self {
        match error {
            WalletError::OverLimit(limit) => Denied::OverLimit(*limit).into(),
            error => Self::Wallet(error),
        }
    }
}

/// Whether money left because of a call, or of an earlier one whose end it learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MoneyMoved {
    /// None left, and none will.
    No,
    /// It left.
    Yes,
    /// Only the node can say, later.
    Unknown,
}

impl Error {
    /// What became of the money.
    pub const fn money_moved(&self) -> MoneyMoved {
        match self {
            Self::BadRequest(_)
            | Self::Http(_)
            | Self::Redirect { receipt: None, .. }
            | Self::Insecure(_)
            | Self::Terms(_)
            | Self::Policy(_)
            | Self::OverBudget(_)
            | Self::NoPayer
            | Self::Open(_)
            | Self::NotPaid { .. }
            | Self::StillRefused { .. }
            | Self::Wallet(_) => MoneyMoved::No,
            Self::Redirect { receipt: Some(_), .. }
            | Self::NotStored { .. }
            | Self::NoAnswer { .. }
            | Self::PaidInVain { .. } => MoneyMoved::Yes,
            Self::Unknown { .. } | Self::WrongPreimage { .. } => MoneyMoved::Unknown,
        }
    }

    /// Which payment it is about, if it is about one.
    pub const fn payment(&self) -> Option<PaymentHash> {
        match self {
            Self::NotPaid { hash, .. }
            | Self::Unknown { hash, .. }
            | Self::WrongPreimage { hash }
            | Self::NotStored { hash, .. } => Some(*hash),
            Self::Redirect { receipt: Some(receipt), .. }
            | Self::NoAnswer { receipt, .. }
            | Self::PaidInVain { receipt, .. }
            | Self::StillRefused { receipt, .. } => Some(receipt.hash),
            Self::BadRequest(_)
            | Self::Http(_)
            | Self::Redirect { receipt: None, .. }
            | Self::Insecure(_)
            | Self::Terms(_)
            | Self::Policy(_)
            | Self::OverBudget(_)
            | Self::NoPayer
            | Self::Open(_)
            | Self::Wallet(_) => None,
        }
    }
}

/// A request or a response broke off.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {kind}")]
pub struct HttpError {
    /// Who was asked.
    pub origin: Origin,
    /// What a caller can do about it.
    pub kind: HttpErrorKind,
    /// The cause, without the URL: its query may be a secret.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What a caller can do about an [`HttpError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HttpErrorKind {
    /// Check the name and the network; it never got there.
    #[error("cannot connect")]
    Connect,
    /// It took too long. What was asked may have been done.
    #[error("no answer in time")]
    Timeout,
    /// The file that should have been sent cannot be read.
    #[error("the request's body cannot be read")]
    RequestBody,
    /// The body is longer than is held in memory at once: read it piece by piece.
    #[error("the body is longer than is held in memory")]
    TooLong,
    /// The connection ended or spoke nonsense. What was asked may have been done.
    #[error("the connection broke")]
    Broken,
}

/// Why a redirect was not followed to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// More than the request allows.
    #[error("it is more than the {0} that were agreed to")]
    TooMany(u32),
    /// `Location` is not a URL that we can ask.
    #[error("it leads to no URL that can be asked")]
    BadLocation,
    /// From https to http.
    #[error("it leads from https to {0}")]
    Downgrade(Origin),
    /// Where it leads, payment is asked: ask there directly.
    #[error("{0} asks for payment in its place; ask there directly to pay there")]
    OthersBill(Origin),
    /// Payment is asked once more after a payment was made: one call pays once.
    #[error("{0} asks for a second payment")]
    SecondBill(Origin),
    /// What it leads to failed, after something had been paid.
    #[error("what it leads to failed")]
    Failed(#[source] Box<Error>),
}
