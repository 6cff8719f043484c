//! Ways of asking for money over HTTP, and of proving that it was paid: one file each, one table.

mod l402;

use std::fmt;

use http::HeaderMap;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use crate::auth_params::{self, Duplicate, RawChallenge};
use crate::hash::{PaymentHash, Preimage};
use crate::invoice::{Invoice, InvoiceError};
use crate::macaroon::Macaroon;
use crate::token::{Binding, Token, TokenError};

/// One way of asking for money. Adding one means one file and one line in [`SCHEMES`].
pub trait Scheme: fmt::Debug + Send + Sync {
    /// The auth-scheme word, compared without case (RFC 9110 section 11.1).
    fn name(&self) -> &'static str;
    /// Client: how much this scheme is preferred over others that ask the same; lower is better.
    fn rank(&self) -> u8;
    /// Client: reads one challenge in this scheme.
    fn challenge(&self, raw: &RawChallenge) -> Result<Challenge, Refused>;
    /// Client: the `Authorization` value that proves the payment.
    fn authorization(&self, token: &Token, preimage: &Preimage) -> HeaderValue;
    /// Server: the `WWW-Authenticate` value that asks for it.
    fn ask(&self, macaroon: &Macaroon, invoice: &Invoice) -> HeaderValue;
}

/// Every scheme, in the order in which challenges are emitted. Old clients read the first line
/// only, so the order is part of the contract.
pub static SCHEMES: &[&dyn Scheme] = &[&l402::LSAT, &l402::L402];

/// The scheme of that name.
pub fn find(name: &str) -> Option<&'static dyn Scheme> {
    SCHEMES.iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name)).copied()
}

/// What one server asks, in one scheme.
#[derive(Clone, Debug)]
pub struct Challenge {
    /// Which scheme it came in, to answer in the same.
    pub scheme: &'static dyn Scheme,
    /// To be sent back with the proof, letter for letter.
    pub token: Token,
    /// What to pay.
    pub invoice: Invoice,
    /// Whether the token is known to be for this invoice.
    pub bound: bool,
}

/// Why a challenge was not taken for an offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A parameter that must be there is not.
    #[error("the challenge has no `{0}`")]
    Missing(&'static str),
    /// A parameter is there twice.
    #[error(transparent)]
    Duplicate(#[from] Duplicate),
    /// `token` and `macaroon` say different things (L402 protocol-specification.md, "Backwards
    /// compatibility").
    #[error("the challenge has both `token` and `macaroon`, and they differ")]
    Ambiguous,
    /// The token cannot be sent back.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The invoice cannot be read or must not be paid.
    #[error(transparent)]
    Invoice(#[from] InvoiceError),
    /// The token is for another payment than the invoice: paying would buy nothing, or pay a
    /// stranger's bill.
    #[error("the token is for payment {token}, the invoice for {invoice}")]
    Swapped {
        /// What the token commits to.
        token: PaymentHash,
        /// What would be paid.
        invoice: PaymentHash,
    },
    /// The token's macaroons are for different payments.
    #[error("the token's macaroons are for different payments")]
    Torn,
}

/// Everything a 402 asks for, in schemes we speak.
#[derive(Debug, Default)]
pub struct Offers {
    /// What could be paid, in the order it came.
    pub challenges: Vec<Challenge>,
    /// What could not, by scheme, with the reason.
    pub refused: Vec<(&'static str, Refused)>,
}

impl Offers {
    /// Reads every `WWW-Authenticate` line of a response.
    pub fn read(headers: &HeaderMap) -> Self {
        let mut offers = Self::default();
        for raw in auth_params::challenges(headers.get_all(WWW_AUTHENTICATE)) {
            let Some(scheme) = find(&raw.scheme) else { continue };
            match scheme.challenge(&raw) {
                Ok(challenge) => offers.challenges.push(challenge),
                Err(why) => offers.refused.push((scheme.name(), why)),
            }
        }
        offers
    }
}

impl Challenge {
    /// Puts a token and an invoice together, after checking that they belong together.
    ///
    /// # Errors
    /// [`Refused::Swapped`] or [`Refused::Torn`].
    pub fn new(
        scheme: &'static dyn Scheme,
        token: Token,
        invoice: Invoice,
    ) -> Result<Self, Refused> {
        let bound = match token.binding() {
            Binding::Unbound => false,
            Binding::Torn => return Err(Refused::Torn),
            Binding::Bound(hash) if hash == invoice.payment_hash() => true,
            Binding::Bound(hash) => {
                return Err(Refused::Swapped { token: hash, invoice: invoice.payment_hash() });
            }
        };
        Ok(Self { scheme, token, invoice, bound })
    }

    /// The `Authorization` value that proves its payment.
    pub fn authorization(&self, preimage: &Preimage) -> HeaderValue {
        self.scheme.authorization(&self.token, preimage)
    }
}

/// The `WWW-Authenticate` values that ask for a payment, one per scheme, in the order to send them.
pub fn ask(macaroon: &Macaroon, invoice: &Invoice) -> impl Iterator<Item = HeaderValue> {
    SCHEMES.iter().map(move |scheme| scheme.ask(macaroon, invoice))
}
