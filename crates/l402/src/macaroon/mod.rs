//! Macaroons: an identifier, a list of caveats and a chain of HMACs that anybody can lengthen and
//! nobody can shorten. This file decides what a macaroon is and whether its signature is ours; what
//! its caveats mean is decided in [`crate::caveat`].
//!
//! The chain is the one that libmacaroons and go-macaroon compute:
//! `sig₀ = HMAC(HMAC("macaroons-key-generator", root key), identifier)`, then
//! `sigₙ = HMAC(sigₙ₋₁, caveat)`. (The formula in the L402 repository's macaroon-spec.md omits the
//! inner HMAC; no deployed program follows it.)

mod json;
mod v1;
mod v2;

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::hash::PaymentHash;
use crate::identifier::Identifier;
use crate::keys::RootKey;

/// The longest macaroon we read, in bytes. Deployed ones are below 1,000.
pub const LONGEST: usize = 16 * 1024;
/// The most caveats we read in one macaroon.
pub const MOST_CAVEATS: usize = 128;
/// The location every deployed L402 server writes; nothing checks it.
pub const LOCATION: &str = "lsat";

/// A token as the server minted it and holders lengthened it.
///
/// It opens nothing without the preimage, but it is still not printed: `Debug` shows the public
/// identifier only.
#[derive(Clone, PartialEq, Eq)]
pub struct Macaroon {
    pub(crate) location: Vec<u8>,
    pub(crate) identifier: Vec<u8>,
    pub(crate) caveats: Vec<RawCaveat>,
    pub(crate) signature: [u8; 32],
}

/// One caveat as it stands in the macaroon, not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawCaveat {
    /// Only third-party caveats have one.
    pub(crate) location: Vec<u8>,
    /// The text, for a first-party caveat.
    pub(crate) id: Vec<u8>,
    /// The verification id of a third-party caveat.
    pub(crate) verification_id: Option<Vec<u8>>,
}

/// Why bytes are not a macaroon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MacaroonError {
    /// Longer than any real macaroon, or more caveats than any real one.
    #[error("the macaroon is larger than any real one")]
    TooLarge,
    /// Neither V1 nor V2 binary nor JSON.
    #[error("the bytes are in no macaroon format")]
    UnknownFormat,
    /// Ends in the middle, or a length in it is wrong.
    #[error("the macaroon is cut off or a length in it is wrong, at byte {0}")]
    Truncated(usize),
    /// A field that must not stand where it stands.
    #[error("the macaroon has an unexpected field at byte {0}")]
    UnexpectedField(usize),
    /// Bytes after the signature.
    #[error("the macaroon has {0} bytes after its signature")]
    TrailingBytes(usize),
    /// The signature is not 32 bytes.
    #[error("the macaroon's signature is not 32 bytes")]
    BadSignatureLength,
    /// JSON that is no macaroon.
    #[error("the JSON is no macaroon")]
    BadJson,
}

/// One HMAC-SHA256.
pub(crate) fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac =
        <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

impl Macaroon {
    /// Mints a macaroon with no caveats.
    pub fn mint(key: &RootKey, identifier: &[u8]) -> Self {
        Self {
            location: LOCATION.as_bytes().to_vec(),
            identifier: identifier.to_vec(),
            caveats: Vec::new(),
            signature: first_signature(key, identifier),
        }
    }

    /// Adds a caveat, `condition=value`. Needs no key: anybody who holds a token can narrow it.
    pub fn attenuate(&mut self, caveat: &str) {
        self.signature = hmac(&self.signature, caveat.as_bytes());
        self.caveats.push(RawCaveat {
            location: Vec::new(),
            id: caveat.as_bytes().to_vec(),
            verification_id: None,
        });
    }

    /// Reads a macaroon in any format that deployed programs send: V2 binary, V1 binary, JSON.
    ///
    /// # Errors
    /// See [`MacaroonError`]; every length is bounded before anything is allocated.
    pub fn parse(bytes: &[u8]) -> Result<Self, MacaroonError> {
        if bytes.len() > LONGEST {
            return Err(MacaroonError::TooLarge);
        }
        match bytes.first() {
            Some(2) => v2::parse(bytes),
            Some(b'0'..=b'9' | b'a'..=b'f') => v1::parse(bytes),
            Some(b'{') => json::parse(bytes),
            _ => Err(MacaroonError::UnknownFormat),
        }
    }

    /// The V2 binary form: what we emit, and what every deployed program reads.
    pub fn to_bytes(&self) -> Vec<u8> {
        v2::write(self)
    }

    /// The V2 binary form in standard base64 with padding, as it stands in HTTP headers.
    pub fn to_base64(&self) -> String {
        crate::encoding::to_base64(&self.to_bytes())
    }

    /// What the server reads back from its own tokens. Public.
    pub fn identifier(&self) -> &[u8] {
        &self.identifier
    }

    /// Where it says it was minted. A hint, checked by nobody.
    pub fn location(&self) -> String {
        String::from_utf8_lossy(&self.location).into_owned()
    }

    /// The caveats as text, oldest first; `None` for one that is not UTF-8 or is a third party's.
    pub fn caveats(&self) -> impl Iterator<Item = Option<&str>> {
        self.caveats.iter().map(RawCaveat::text)
    }

    /// The last link of the chain.
    pub const fn signature(&self) -> &[u8; 32] {
        &self.signature
    }

    /// The payment hash its identifier commits to, in any deployed form: the 66-byte identifier,
    /// a bare 32-byte hash, or a hash after the byte `0xff`.
    pub fn payment_hash(&self) -> Option<PaymentHash> {
        let hash = match self.identifier.len() {
            66 => return Identifier::parse(&self.identifier).ok().map(|id| id.payment_hash),
            32 => &self.identifier[..],
            33 if self.identifier[0] == 0xff => &self.identifier[1..],
            _ => return None,
        };
        hash.try_into().ok().map(PaymentHash)
    }

    /// Whether it was minted under `key` and only ever lengthened since, compared in constant time.
    /// A third party's caveat cannot be discharged in L402, so a macaroon with one never is.
    ///
    /// This says nothing about what the caveats mean nor whether anything was paid: a server asks
    /// [`Credential::verify`](crate::Credential::verify).
    pub fn is_signed_with(&self, key: &RootKey) -> bool {
        self.is_signed_by(key, |_| {})
    }

    /// Whether the chain of HMACs ends where the macaroon says, in constant time. A third party's
    /// caveat cannot be discharged in L402 and so never holds.
    ///
    /// `at_caveat` is called for each caveat in turn with the signature up to and including it,
    /// whether or not the chain turns out to be ours.
    pub(crate) fn is_signed_by(&self, key: &RootKey, mut at_caveat: impl FnMut(&[u8; 32])) -> bool {
        let mut signature = first_signature(key, &self.identifier);
        for caveat in &self.caveats {
            if caveat.verification_id.is_some() {
                return false;
            }
            signature = hmac(&signature, &caveat.id);
            at_caveat(&signature);
        }
        signature.ct_eq(&self.signature).into()
    }
}

impl RawCaveat {
    pub(crate) fn text(&self) -> Option<&str> {
        match self.verification_id {
            None => std::str::from_utf8(&self.id).ok(),
            Some(_) => None,
        }
    }
}

impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = hex::DisplayHex::to_lower_hex_string(&self.identifier[..]);
        write!(f, "Macaroon({id}, {} caveats)", self.caveats.len())
    }
}

fn first_signature(key: &RootKey, identifier: &[u8]) -> [u8; 32] {
    let derived = hmac(b"macaroons-key-generator", key.expose());
    hmac(&derived, identifier)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn macaroon(caveats: &[String]) -> Macaroon {
        let mut macaroon = Macaroon::mint(&RootKey::new([1; 32]), b"identifier");
        caveats.iter().for_each(|caveat| macaroon.attenuate(caveat));
        macaroon
    }

    #[test]
    fn a_token_of_another_server_is_not_signed_by_us() {
        let macaroon = macaroon(&["services=a:0".to_owned()]);
        assert!(macaroon.is_signed_by(&RootKey::new([1; 32]), |_| {}));
        assert!(!macaroon.is_signed_by(&RootKey::new([2; 32]), |_| {}));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(caveats in proptest::collection::vec("\\PC{0,200}", 0..8)) {
            let macaroon = macaroon(&caveats);
            prop_assert_eq!(Macaroon::parse(&macaroon.to_bytes()), Ok(macaroon));
        }

        #[test]
        fn any_flipped_bit_is_noticed(caveat in "[a-z]{1,8}=[a-z]{1,8}", bit in 0usize..8000) {
            let macaroon = macaroon(&[caveat]);
            let mut bytes = macaroon.to_bytes();
            let at = bit % (bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            if let Ok(changed) = Macaroon::parse(&bytes) {
                let same = changed.identifier == macaroon.identifier && changed.caveats == macaroon.caveats
                    && changed.signature == macaroon.signature;
                let accepted = changed.is_signed_by(&RootKey::new([1; 32]), |_| {});
                prop_assert!(same || !accepted);
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), first in prop_oneof![Just(2u8), Just(b'0'), Just(b'{'), any::<u8>()]) {
            let mut input = vec![first];
            input.extend(bytes);
            let _ = Macaroon::parse(&input);
        }
    }
}
