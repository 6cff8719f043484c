//! Ways of asking for money over HTTP, and of proving that it was paid: one file each, one table.

mod l402;
mod payment;

use std::fmt;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use crate::auth_params::{self, Duplicate, RawChallenge};
use crate::hash::{PaymentHash, Preimage};
use crate::invoice::{Invoice, InvoiceError};
use crate::macaroon::Macaroon;
use crate::token::{Binding, Token, TokenError};

pub use payment::{
    Charge, ChargeCredential, ChargeDenied, ChargeKeys, ChargeMalformed, ChargeReceipt, Charged,
    Field, Offer, receipt,
};

/// One way of asking for money. Adding one means one file and one line in [`SCHEMES`].
pub trait Scheme: fmt::Debug + Send + Sync {
    /// The auth-scheme word, compared without case (RFC 9110 section 11.1).
    fn name(&self) -> &'static str;
    /// Client: how much this scheme is preferred over others that ask the same; lower is better.
    fn rank(&self) -> u8;
    /// Client: reads one challenge in this scheme.
    fn challenge(&self, raw: &RawChallenge) -> Result<Challenge, Refused>;
    /// Client: the value that proves the payment, for the header that [`Scheme::manner`] names.
    fn authorization(&self, token: &Token, preimage: &Preimage) -> HeaderValue;
    /// Client: puts a token that was kept and its invoice together again.
    fn restore(&self, token: Token, invoice: Invoice) -> Result<Challenge, Refused>;
    /// Client: how the proof of this token's payment is to be used.
    fn manner(&self, _token: &Token) -> Manner {
        Manner::default()
    }
    /// Server: the `WWW-Authenticate` value that asks for it, when this scheme is among what is asked.
    fn ask(&self, asked: &Asked<'_>) -> Option<HeaderValue>;
}

/// Every scheme, in the order in which challenges are emitted. Old clients read the first line
/// only, so the order is part of the contract.
pub static SCHEMES: &[&dyn Scheme] = &[&l402::LSAT, &l402::L402, &payment::PAYMENT];

/// The scheme of that name.
pub fn find(name: &str) -> Option<&'static dyn Scheme> {
    SCHEMES.iter().find(|scheme| scheme.name().eq_ignore_ascii_case(name)).copied()
}

/// How a proof is to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The header that it goes into.
    pub field: Field,
    /// Whether it is good for one request, the one that it was asked for, and for no second one.
    pub single_use: bool,
    /// When the server stops taking it, if it says so.
    pub expires: Option<SystemTime>,
    /// The body that it is for, as `Content-Digest` writes it (RFC 9530), if it says so.
    pub digest: Option<String>,
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
    /// When the server stops taking the proof, if it says so.
    pub expires: Option<SystemTime>,
}

/// What a server asks for, in as many schemes as it takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// A token and the invoice that pays for it, for the schemes that have tokens.
    pub token: Option<(&'a Macaroon, &'a Invoice)>,
    /// A payment that is good for one request.
    pub charge: Option<&'a Charge>,
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
    /// A parameter says something that we cannot do, or cannot read.
    #[error("the challenge's `{0}` is none that we can answer")]
    NotOurs(&'static str),
    /// What the challenge says of its invoice is not true of it.
    #[error("the challenge says something else than its invoice")]
    Contradicts,
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
        Ok(Self { scheme, token, invoice, bound, expires: None })
    }

    /// How the proof of its payment is to be used.
    pub fn manner(&self) -> Manner {
        self.scheme.manner(&self.token)
    }

    /// The value that proves its payment, for the header that [`Challenge::manner`] names.
    pub fn authorization(&self, preimage: &Preimage) -> HeaderValue {
        self.scheme.authorization(&self.token, preimage)
    }
}

/// The `WWW-Authenticate` values that ask for a token's payment, one per scheme that has tokens, in
/// the order to send them.
pub fn ask<'a>(
    macaroon: &'a Macaroon,
    invoice: &'a Invoice,
) -> impl Iterator<Item = HeaderValue> + use<'a> {
    ask_for(Asked { token: Some((macaroon, invoice)), charge: None })
}

/// The `WWW-Authenticate` values for everything that is asked, in the order to send them.
pub fn ask_for<'a>(asked: Asked<'a>) -> impl Iterator<Item = HeaderValue> + use<'a> {
    SCHEMES.iter().filter_map(move |scheme| scheme.ask(&asked))
}

/// The names under which tokens are sold and sent.
pub(crate) static TOKEN_SCHEMES: &[&str] = &["LSAT", "L402"];
