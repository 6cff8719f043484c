//! A wallet's records taken together: what lists, exports and imports go by.

use l402::PaymentHash;

use super::{Purchase, Token};

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

impl Entry {
    /// What was, or is, being bought.
    pub const fn purchase(&self) -> &Purchase {
        match self {
            Self::Begun(purchase) => purchase,
            Self::Finished(token) => &token.purchase,
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
        self.purchase().hash()
    }
}
