//! A wallet's records taken together: what lists, exports and imports go by.

use std::time::SystemTime;

use http::Method;
use l402::{Invoice, Msat, PaymentHash, Scheme, Secret};

use super::{Purchase, Target, Token};
use crate::origin::Origin;

/// One payment in a wallet, as far as it got.
#[derive(Clone, Debug)]
pub enum Entry {
    /// Begun; its end is not written down.
    Begun(Purchase),
    /// Made, and its proof is here.
    Finished(Token),
}

/// What became of records that a wallet was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// How many payments were not known before.
    pub added: usize,
    /// How many were begun here, and are finished by a proof that was among them.
    pub proven: usize,
    /// How many were here already, and were left as they are.
    pub known: usize,
}

/// What a payment that was begun and one that is finished have both, beside what an [`Entry`] says
/// itself.
pub(crate) struct Common<'a> {
    pub(crate) scheme: &'static dyn Scheme,
    pub(crate) token: &'a l402::Token,
    pub(crate) invoice: Option<&'a Invoice>,
    pub(crate) target: Option<Target>,
    pub(crate) query: Option<&'a Secret<String>>,
    pub(crate) node: Option<&'a str>,
    pub(crate) begun_at: SystemTime,
}

impl Entry {
    /// From whom.
    pub const fn origin(&self) -> &Origin {
        match self {
            Self::Begun(purchase) => &purchase.origin,
            Self::Finished(token) => &token.origin,
        }
    }

    /// The method of the request that it is for.
    pub const fn method(&self) -> &Method {
        match self {
            Self::Begun(purchase) => &purchase.method,
            Self::Finished(token) => &token.method,
        }
    }

    /// Its path, without the query.
    pub fn path(&self) -> &str {
        match self {
            Self::Begun(purchase) => &purchase.path,
            Self::Finished(token) => &token.path,
        }
    }

    /// What the invoice asks for, in millisatoshi.
    pub fn amount(&self) -> Msat {
        match self {
            Self::Begun(purchase) => purchase.challenge.invoice.amount(),
            Self::Finished(token) => token.amount,
        }
    }

    /// What is known of both.
    pub(crate) fn common(&self) -> Common<'_> {
        match self {
            Self::Begun(Purchase { challenge, target, query, node, begun_at, .. }) => Common {
                scheme: challenge.scheme,
                token: &challenge.token,
                invoice: Some(&challenge.invoice),
                target: *target,
                query: query.as_ref(),
                node: node.as_deref(),
                begun_at: *begun_at,
            },
            Self::Finished(token) => Common {
                scheme: token.scheme,
                token: &token.token,
                invoice: token.invoice.as_ref(),
                target: token.target,
                query: token.query.as_ref(),
                node: token.node.as_deref(),
                begun_at: token.begun_at,
            },
        }
    }

    /// What is begun, while its end is not written down.
    pub const fn begun(&self) -> Option<&Purchase> {
        match self {
            Self::Begun(purchase) => Some(purchase),
            Self::Finished(_) => None,
        }
    }

    /// The token, once it is paid for.
    pub const fn token(&self) -> Option<&Token> {
        match self {
            Self::Begun(_) => None,
            Self::Finished(token) => Some(token),
        }
    }

    /// Which payment.
    pub fn hash(&self) -> PaymentHash {
        match self {
            Self::Begun(purchase) => purchase.hash(),
            Self::Finished(token) => token.hash,
        }
    }
}
