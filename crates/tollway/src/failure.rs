//! Every way in which a command can fail, with the hint that goes with it. What number the shell
//! gets is decided in `exit.rs`.

use std::io;
use std::path::PathBuf;

use l402::caveat::AttenuateError;
use l402::{InvoiceError, OpenError, PaymentHash, TokenError};
use tollway_client::{Denied, HttpError, MoneyMoved, WalletError};
use tollway_gateway::{Mistakes, SecretError};
use tollway_ldk::DevnetError;
use tollway_purse::BindError;

use crate::fetch::ask::AskError;
use crate::fetch::sink::LONGEST_IN_JSON;
use crate::node::NodeFailure;

/// A command failed. Messages may quote hostile text: whoever prints one escapes it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Our own output could not be written.
    #[error("cannot write to stdout")]
    Stdout(#[source] io::Error),
    /// A file or a socket failed.
    #[error("{what} failed")]
    Io {
        /// What we were doing, with the path.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// No token in the text that was given.
    #[error("there is no token in {0}")]
    NoToken(&'static str),
    /// The text cannot be a token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// What stands behind the token's colon is not a preimage.
    #[error("what follows the token's colon is no preimage: not 64 hexadecimal digits")]
    NotAPreimage,
    /// The token is not a macaroon, so that there is nothing to see or to narrow.
    #[error("the token is no macaroon: only its server knows what it says")]
    NotAMacaroon,
    /// Narrowing one of several macaroons narrows nothing.
    #[error("the token consists of {0} macaroons; narrow each of them by itself")]
    SeveralMacaroons(usize),
    /// The caveat cannot be added.
    #[error(transparent)]
    Attenuate(#[from] AttenuateError),
    /// The text is no invoice.
    #[error(transparent)]
    Invoice(#[from] InvoiceError),
    /// The flags are no request.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Neither `$TOLLWAY_HOME` nor `$HOME` says where to keep things.
    #[error("neither TOLLWAY_HOME nor HOME is set, so there is no place to keep anything")]
    NoHome,
    /// A command needs a node and was given none.
    #[error("no node is named to {0}")]
    NoNode(&'static str),
    /// A node could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The wallet could not be opened.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The HTTP client could not be put together.
    #[error(transparent)]
    Client(#[from] tollway_client::BuildError),
    /// A request did not end with a response.
    #[error(transparent)]
    Fetch(#[from] Box<tollway_client::Error>),
    /// The response broke off.
    #[error("the response broke off")]
    BrokeOff(#[source] HttpError),
    /// The configuration file says what it may not.
    #[error("{} cannot be used", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// Everything that is wrong with it.
        mistakes: Mistakes,
    },
    /// The gateway's key cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The gateway could not be opened.
    #[error(transparent)]
    Gateway(#[from] tollway_gateway::OpenError),
    /// A purse could not take its place.
    #[error(transparent)]
    Purse(#[from] BindError),
    /// A node was looked at or used, and that failed.
    #[error(transparent)]
    Node(#[from] NodeFailure),
    /// The private network did not come up.
    #[error(transparent)]
    Devnet(#[from] DevnetError),
    /// The demo's story did not go as it should.
    #[error("the demo: {0}")]
    Demo(&'static str),
    /// The body does not fit into a JSON object.
    #[error("the response is longer than {LONGEST_IN_JSON} bytes, too long for a JSON object")]
    TooLongForJson,
}

impl Failure {
    /// A word for programs, which stays the same when the message is reworded.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Stdout(_) | Self::Io { .. } => "io",
            Self::NoToken(_)
            | Self::Token(_)
            | Self::NotAPreimage
            | Self::NotAMacaroon
            | Self::SeveralMacaroons(_) => "bad_token",
            Self::Attenuate(_) => "bad_caveat",
            Self::Invoice(_) => "bad_invoice",
            Self::Ask(_) => "bad_request",
            Self::TooLongForJson => "too_long",
            Self::NoHome => "no_home",
            Self::NoNode(_) => "no_node",
            Self::Open(_) => "node",
            Self::Wallet(_) => "wallet",
            Self::Client(_) => "client",
            Self::Fetch(error) => fetch_kind(error),
            Self::BrokeOff(_) => "network",
            Self::Config { .. } => "config",
            Self::Secret(_) => "secret",
            Self::Gateway(_) => "gateway",
            Self::Purse(_) => "purse",
            Self::Node(failure) => failure.kind(),
            Self::Devnet(_) => "devnet",
            Self::Demo(_) => "demo",
        }
    }

    /// What to do about it, when we know.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoToken(_) => {
                "give the token itself, `token:preimage`, or a WWW-Authenticate or Authorization line"
            }
            Self::Attenuate(_) => "see `tollway token attenuate --help` for the known conditions",
            Self::TooLongForJson => {
                "give `-o FILE`; what was paid for is in the wallet and is not paid for again"
            }
            Self::NoNode(_) => {
                "give `--node URL` or set TOLLWAY_NODE; `tollway devnet` starts nodes to try it with"
            }
            Self::NoHome => "set TOLLWAY_HOME to a folder of your own",
            Self::BrokeOff(_) => {
                "run the same command again: what was paid for is not paid for again"
            }
            Self::Fetch(error) => return fetch_hint(error).map(str::to_owned),
            Self::Node(failure) => return failure.hint(),
            Self::Stdout(_)
            | Self::Io { .. }
            | Self::Ask(_)
            | Self::Token(_)
            | Self::NotAPreimage
            | Self::NotAMacaroon
            | Self::SeveralMacaroons(_)
            | Self::Invoice(_)
            | Self::Open(_)
            | Self::Wallet(_)
            | Self::Client(_)
            | Self::Config { .. }
            | Self::Secret(_)
            | Self::Gateway(_)
            | Self::Purse(_)
            | Self::Devnet(_)
            | Self::Demo(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// What became of the money, and of which payment, when the failure is about one.
    pub(crate) fn money(&self) -> Option<(MoneyMoved, Option<PaymentHash>)> {
        match self {
            Self::Fetch(error) => Some((error.money_moved(), error.payment())),
            Self::Node(failure) => failure.money(),
            _ => None,
        }
    }
}

fn fetch_kind(error: &tollway_client::Error) -> &'static str {
    use tollway_client::Error as E;
    match error {
        E::BadRequest(_) => "bad_request",
        E::Http(_) | E::NoAnswer { .. } => "network",
        E::Redirect { .. } => "redirect",
        E::Insecure(_) => "insecure",
        E::Terms(_) => "offer",
        E::OverBudget(_) => "over_budget",
        E::Policy(denied) => match **denied {
            Denied::OverLimit(_) => "over_budget",
            _ => "policy",
        },
        E::NoPayer => "no_node",
        E::Open(_) => "node",
        E::NotPaid { .. } => "not_paid",
        E::Unknown { .. } | E::WrongPreimage { .. } => "unknown",
        E::NotStored { .. } => "not_stored",
        E::PaidInVain { .. } | E::StillRefused { .. } => "paid_in_vain",
        E::Wallet(_) => "wallet",
    }
}

fn fetch_hint(error: &tollway_client::Error) -> Option<&'static str> {
    use tollway_client::Error as E;
    Some(match error {
        E::NoPayer => {
            "give `--node URL` or set TOLLWAY_NODE; `tollway devnet` starts nodes to try it with"
        }
        E::Insecure(_) => "use https, or give `--allow-plain-http` where nobody else is on the way",
        E::Terms(_) => "`--dry-run` shows what is asked; `--max-cost` says what you agree to",
        E::Unknown { .. } | E::WrongPreimage { .. } | E::NotStored { .. } => {
            "run the same command again: it asks the node first, and pays nothing new before the \
             node has said how this payment ended"
        }
        E::NoAnswer { .. } => "run the same command again: the proof is kept, and nothing is paid",
        E::PaidInVain { .. } | E::StillRefused { .. } => {
            "the proof is kept in the wallet; ask the seller, or buy once more with `--buy-again`"
        }
        E::Redirect { receipt: None, .. } => "ask there directly",
        E::BadRequest(_)
        | E::Http(_)
        | E::Redirect { .. }
        | E::OverBudget(_)
        | E::Policy(_)
        | E::Open(_)
        | E::NotPaid { .. }
        | E::Wallet(_) => return None,
    })
}
