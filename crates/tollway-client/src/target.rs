//! Which request a payment is for, where it is good for one request only: by a hash, because a query
//! or a body may hold a secret, and the wallet needs to know them again, not to know them.

use std::fmt;
use std::str::FromStr;

use hex::{DisplayHex, FromHex};
use sha2::{Digest, Sha256};

/// A hash over a request's method, URL and body. A body in a file counts by the file's name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target([u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NotATarget;

impl Target {
    /// Of what is in these parts, in this order.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // Each with its length before it: no two lists of parts read the same.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0.as_hex(), f)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Target {
    type Err = NotATarget;

    fn from_str(text: &str) -> Result<Self, NotATarget> {
        <[u8; 32]>::from_hex(text).map(Self).map_err(|_| NotATarget)
    }
}
