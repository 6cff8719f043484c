//! What a caller can watch of a request: the points of a purchase, in the order in which they are
//! passed. They are also the points at which a crash differs from a crash at another, so each has a
//! name that stays the same.

use std::fmt;

use http::{HeaderMap, StatusCode, Version};
use l402::{Challenge, Msat, PaymentHash};

use crate::origin::Origin;
use crate::timing::Timings;
use crate::wallet::Receipt;

/// A point that has just been passed.
///
/// Everything printed from it is the server's own text in part: escape it before a terminal sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The request is about to be sent, with a token from the wallet or without.
    Asking {
        /// Which token, by its payment.
        token: Option<PaymentHash>,
    },
    /// The answer's head is there.
    Answered {
        /// What it says.
        status: StatusCode,
        /// The version of HTTP that was spoken.
        version: Version,
        /// The headers: the server's own text.
        headers: Headers<'a>,
        /// The points that were passed on the way, where they are measured.
        timings: Timings,
    },
    /// A token that was paid for is not taken. It is kept, and reported here.
    Refused {
        /// Its receipt.
        receipt: &'a Receipt,
        /// What the server answered to it.
        status: StatusCode,
    },
    /// The answer asks for payment, and this offer is within the terms.
    Challenged {
        /// The offer.
        challenge: &'a Challenge,
    },
    /// Another purchase from this origin, with this wallet, is not yet over: we wait for it.
    Waiting {
        /// The origin.
        origin: &'a Origin,
    },
    /// Nobody else buys from this origin with this wallet until we are done.
    Turn {
        /// The origin.
        origin: &'a Origin,
    },
    /// An earlier payment was begun and its end is not known here: the node is about to be asked.
    Resuming {
        /// The payment.
        hash: PaymentHash,
    },
    /// Money is set aside: the amount and the most that routing may cost.
    Held {
        /// How much, in millisatoshi.
        amount: Msat,
    },
    /// What is about to be paid for is on disk.
    Begun {
        /// The payment.
        hash: PaymentHash,
    },
    /// The node is about to be told to pay.
    Paying {
        /// The payment.
        hash: PaymentHash,
    },
    /// The node says that it paid, and the preimage proves it. Only the node knows yet.
    Paid {
        /// The payment.
        hash: PaymentHash,
        /// What routing cost, in millisatoshi.
        fee: Msat,
    },
    /// The proof is on disk. From here on the token can be used.
    Proven {
        /// What was paid.
        receipt: &'a Receipt,
    },
    /// The same request was sent again, with the proof, and the answer's head is there.
    SentAgain {
        /// What it says.
        status: StatusCode,
    },
    /// The response is about to be handed to the caller.
    Done {
        /// Its status.
        status: StatusCode,
    },
}

/// The headers of an answer. Among them may be tokens, so printed it says how many there are.
#[derive(Clone, Copy)]
pub struct Headers<'a>(pub &'a HeaderMap);

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({})", self.0.len())
    }
}

impl Step<'_> {
    /// The names of all steps, in the order of a purchase.
    pub const NAMES: &'static [&'static str] = &[
        "asking",
        "answered",
        "refused",
        "challenged",
        "waiting",
        "turn",
        "resuming",
        "held",
        "begun",
        "paying",
        "paid",
        "proven",
        "sent-again",
        "done",
    ];

    /// Its name, which stays the same from version to version.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Asking { .. } => "asking",
            Self::Answered { .. } => "answered",
            Self::Refused { .. } => "refused",
            Self::Challenged { .. } => "challenged",
            Self::Waiting { .. } => "waiting",
            Self::Turn { .. } => "turn",
            Self::Resuming { .. } => "resuming",
            Self::Held { .. } => "held",
            Self::Begun { .. } => "begun",
            Self::Paying { .. } => "paying",
            Self::Paid { .. } => "paid",
            Self::Proven { .. } => "proven",
            Self::SentAgain { .. } => "sent-again",
            Self::Done { .. } => "done",
        }
    }
}

/// Is told of each step, on the spot: the request goes on when it returns.
pub trait Observer: Send + Sync {
    /// This point has just been passed.
    fn step(&self, step: &Step<'_>);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn step(&self, _step: &Step<'_>) {}
}

impl<F: Fn(&Step<'_>) + Send + Sync> Observer for F {
    fn step(&self, step: &Step<'_>) {
        self(step);
    }
}
