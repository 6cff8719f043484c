//! The 66 bytes that an L402 token's identifier is: version, payment hash, token id.

use std::fmt;

use hex::DisplayHex;

use crate::hash::PaymentHash;
use crate::keys::KeyId;

/// What a token commits to (macaroon-spec.md, "Identifier"): a 16-bit big-endian version, which is
/// 0, the payment hash and the token id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identifier {
    /// The payment that the token stands for.
    pub payment_hash: PaymentHash,
    /// Which token this is.
    pub token_id: TokenId,
}

/// Names one token. In ours the first four bytes name the master key that it was minted under and
/// the other 28 are random; in other servers' tokens all 32 are random.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenId(pub [u8; 32]);

/// The bytes are no L402 identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentifierError {
    /// Not 66 bytes.
    #[error("the token's identifier is {0} bytes long, not 66")]
    Length(usize),
    /// A version other than 0.
    #[error("the token's identifier has version {0}, not 0")]
    Version(u16),
}

impl Identifier {
    /// Reads the 66 bytes. Unlike some deployed readers it neither pads nor ignores bytes.
    ///
    /// # Errors
    /// A wrong length or version.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdentifierError> {
        let bytes: &[u8; 66] =
            bytes.try_into().map_err(|_| IdentifierError::Length(bytes.len()))?;
        let version = u16::from_be_bytes([bytes[0], bytes[1]]);
        if version != 0 {
            return Err(IdentifierError::Version(version));
        }
        let (mut payment_hash, mut token_id) = ([0; 32], [0; 32]);
        payment_hash.copy_from_slice(&bytes[2..34]);
        token_id.copy_from_slice(&bytes[34..]);
        Ok(Self { payment_hash: PaymentHash(payment_hash), token_id: TokenId(token_id) })
    }

    /// The 66 bytes.
    pub fn to_bytes(&self) -> [u8; 66] {
        let mut bytes = [0; 66];
        bytes[2..34].copy_from_slice(&self.payment_hash.0);
        bytes[34..].copy_from_slice(&self.token_id.0);
        bytes
    }
}

impl TokenId {
    /// The master key that one of our own tokens was minted under.
    pub fn key_id(&self) -> KeyId {
        let mut id = [0; 4];
        id.copy_from_slice(&self.0[..4]);
        KeyId(id)
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0.as_hex(), f)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sixty_six_bytes_of_version_zero_are_an_identifier() {
        let id = Identifier { payment_hash: PaymentHash([1; 32]), token_id: TokenId([2; 32]) };
        assert_eq!(Identifier::parse(&id.to_bytes()), Ok(id));
        assert_eq!(Identifier::parse(&[0; 65]), Err(IdentifierError::Length(65)));
        assert_eq!(Identifier::parse(&[0; 67]), Err(IdentifierError::Length(67)));
        let mut other = id.to_bytes();
        other[1] = 1;
        assert_eq!(Identifier::parse(&other), Err(IdentifierError::Version(1)));
    }
}
