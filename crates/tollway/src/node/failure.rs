//! How the commands of `tollway node` fail, with the number, the word and the hint of each.

use l402::operator::OperateError;
use l402::{Msat, NodeError, NodeErrorKind, PaymentHash, Why};
use tollway_client::MoneyMoved;
use tollway_purse::nwc::BookError;

use super::SetupFailure;
use super::paper::PaperFailure;
use crate::exit::Exit;

/// A command of `tollway node` failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodeFailure {
    /// The node did not tell or do it.
    #[error(transparent)]
    Operate(#[from] OperateError),
    /// The book of Nostr Wallet Connect connections.
    #[error(transparent)]
    Book(#[from] BookError),
    /// A connection of that name is there, and is another one.
    #[error("there is a connection `{0}` already, with another budget or other relays")]
    OtherConnection(&'static str),
    /// A node could not be set up.
    #[error(transparent)]
    Setup(#[from] SetupFailure),
    /// Words could not be kept or used.
    #[error(transparent)]
    Paper(#[from] PaperFailure),
    /// Money would be sent, and nobody sits there to agree to it.
    #[error("nothing was sent: {0}")]
    NobodyToAsk(String),
    /// Whoever sits there did not agree.
    #[error("nothing was sent: the answer was no")]
    NotAgreed,
    /// The node did not make an invoice.
    #[error("no invoice was made")]
    NoInvoice(#[source] NodeError),
    /// It costs more than was agreed to.
    #[error("the invoice is for {amount}, more than the {limit} agreed to")]
    OverLimit { amount: Msat, limit: Msat },
    /// It was not paid, for certain.
    #[error("not paid: {why}")]
    NotPaid { hash: PaymentHash, why: Why, source: Option<NodeError> },
    /// It may have been paid.
    #[error("payment {hash} may have been made")]
    MayHavePaid { hash: PaymentHash, source: NodeError },
    /// We were asked to stop while the node paid.
    #[error("stopped while the node paid {0}, which it goes on doing")]
    Interrupted(PaymentHash),
}

impl NodeFailure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Operate(OperateError::Node(error)) if is_refusal(error) => Exit::General,
            Self::Operate(OperateError::Node(_)) | Self::NoInvoice(_) => Exit::Network,
            Self::Operate(OperateError::MayHaveSent(_) | OperateError::MayHaveOpened(_)) => {
                Exit::MayHavePaid
            }
            Self::Operate(OperateError::Cannot { .. } | OperateError::NoSuchChannel { .. })
            | Self::NobodyToAsk(_) => Exit::Usage,
            Self::NotAgreed => Exit::General,
            Self::Paper(failure) => failure.exit(),
            Self::Book(BookError::Storage { .. }) => Exit::General,
            Self::Book(_) | Self::OtherConnection(_) => Exit::Usage,
            Self::Setup(failure) => failure.exit(),
            Self::OverLimit { .. } => Exit::OverLimit,
            Self::NotPaid { .. } => Exit::NotPaid,
            Self::MayHavePaid { .. } | Self::Interrupted(_) => Exit::MayHavePaid,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Operate(OperateError::Node(_)) | Self::NoInvoice(_) => "node",
            Self::Operate(OperateError::MayHaveSent(_) | OperateError::MayHaveOpened(_)) => {
                "unknown"
            }
            Self::Operate(OperateError::Cannot { .. }) => "not_possible",
            Self::Operate(OperateError::NoSuchChannel { .. }) => "no_such_channel",
            Self::Book(_) | Self::OtherConnection(_) => "connections",
            Self::Setup(_) => "setup",
            Self::Paper(_) => "backup",
            Self::NobodyToAsk(_) | Self::NotAgreed => "not_agreed",
            Self::OverLimit { .. } => "over_limit",
            Self::NotPaid { .. } => "not_paid",
            Self::MayHavePaid { .. } | Self::Interrupted(_) => "unknown",
        }
    }

    /// Whether the same command, run again, sends nothing twice. An invoice is paid once however often
    /// it is paid, and a channel closed once; a withdrawal and a channel to be opened have nothing by
    /// which a node would know them again.
    pub(crate) const fn is_safe_to_retry(&self) -> bool {
        !matches!(
            self,
            Self::Operate(OperateError::MayHaveSent(_) | OperateError::MayHaveOpened(_))
        )
    }

    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MayHavePaid { .. } | Self::Interrupted(_) => {
                "run the same command again: the same invoice is never paid twice, and the node \
                 says how it ended"
                    .to_owned()
            }
            Self::OverLimit { .. } => {
                "`--max-cost` says what you agree to, within what `tollway config show` shows".to_owned()
            }
            Self::NotPaid { why: Why::NoRoute, .. } => {
                "`--max-fee` says what routing may cost; `tollway node doctor` looks at the node"
                    .to_owned()
            }
            Self::Operate(OperateError::Node(error)) if is_refusal(error) => return None,
            Self::NotPaid { .. } | Self::Operate(OperateError::Node(_)) | Self::NoInvoice(_) => {
                "`tollway node doctor` looks at the node and says what to do".to_owned()
            }
            Self::Operate(OperateError::MayHaveSent(_)) => {
                "look at `tollway node balance` and at the chain before you run it again: every run \
                 sends"
                    .to_owned()
            }
            Self::Operate(OperateError::MayHaveOpened(_)) => {
                "look at `tollway node channels` before you run it again: every run opens another one"
                    .to_owned()
            }
            Self::NobodyToAsk(_) => "`--yes` agrees to it beforehand".to_owned(),
            Self::Setup(failure) => failure.hint(),
            Self::Paper(failure) => return failure.hint(),
            Self::OtherConnection(_) => {
                "`tollway nwc list` shows it; leave `--nwc-budget` and `--nwc-relay` out, or revoke it"
                    .to_owned()
            }
            Self::Book(_)
            | Self::NotAgreed
            | Self::Operate(OperateError::Cannot { .. } | OperateError::NoSuchChannel { .. }) => {
                return None;
            }
        })
    }

    /// What became of the money, and of which payment, when it is about one.
    pub(crate) fn money(&self) -> Option<(MoneyMoved, Option<PaymentHash>)> {
        match self {
            Self::NotPaid { hash, .. } => Some((MoneyMoved::No, Some(*hash))),
            Self::MayHavePaid { hash, .. } | Self::Interrupted(hash) => {
                Some((MoneyMoved::Unknown, Some(*hash)))
            }
            Self::OverLimit { .. } | Self::NobodyToAsk(_) | Self::NotAgreed => {
                Some((MoneyMoved::No, None))
            }
            Self::Operate(OperateError::MayHaveSent(_) | OperateError::MayHaveOpened(_)) => {
                Some((MoneyMoved::Unknown, None))
            }
            Self::Operate(_)
            | Self::Paper(_)
            | Self::NoInvoice(_)
            | Self::Book(_)
            | Self::Setup(_)
            | Self::OtherConnection(_) => None,
        }
    }
}

/// Whether the node is well, and does not want to do it.
fn is_refusal(error: &NodeError) -> bool {
    error.kind == NodeErrorKind::Refused
}

impl From<SetupFailure> for crate::failure::Failure {
    fn from(failure: SetupFailure) -> Self {
        Self::Node(failure.into())
    }
}

impl From<BookError> for crate::failure::Failure {
    fn from(error: BookError) -> Self {
        Self::Node(error.into())
    }
}
