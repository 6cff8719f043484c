//! Every way in which a command can fail, with the hint that goes with it. What number the shell
//! gets is decided in `exit.rs`.

use std::io;

use l402::caveat::AttenuateError;
use l402::{InvoiceError, TokenError};

use crate::fetch::ask::AskError;
use crate::fetch::sink::LONGEST_IN_JSON;

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
            Self::Stdout(_)
            | Self::Io { .. }
            | Self::Ask(_)
            | Self::Token(_)
            | Self::NotAPreimage
            | Self::NotAMacaroon
            | Self::SeveralMacaroons(_)
            | Self::Invoice(_) => return None,
        };
        Some(hint.to_owned())
    }
}
