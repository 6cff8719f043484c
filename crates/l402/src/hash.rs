//! The pair that makes Lightning a proof of payment: a preimage, and its SHA-256.

use std::fmt;
use std::str::FromStr;

use hex::{DisplayHex, FromHex};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The hash a Lightning payment is locked to (BOLT 11 field `p`). Public.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentHash(pub [u8; 32]);

/// What the payer learns by paying: 32 bytes whose SHA-256 is the payment hash. It opens what was
/// paid for, so it never prints and is wiped on drop.
#[derive(Clone)]
pub struct Preimage([u8; 32]);

/// The text is not 32 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 64 hexadecimal digits")]
pub struct NotHex32;

fn hex32(text: &str) -> Result<[u8; 32], NotHex32> {
    <[u8; 32]>::from_hex(text).map_err(|_| NotHex32)
}

impl PaymentHash {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&self.0.as_hex(), f)
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads 64 hexadecimal digits of either case.
impl FromStr for PaymentHash {
    type Err = NotHex32;

    fn from_str(text: &str) -> Result<Self, NotHex32> {
        hex32(text).map(Self)
    }
}

impl Serialize for PaymentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PaymentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Preimage {
    /// Wraps thirty-two bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The payment hash this preimage opens.
    pub fn hash(&self) -> PaymentHash {
        PaymentHash(Sha256::digest(self.0).into())
    }

    /// Whether this preimage opens `hash`.
    pub fn opens(&self, hash: PaymentHash) -> bool {
        self.hash().0.ct_eq(&hash.0).into()
    }

    /// The bytes, for the wire and the store.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits, for the wire and the store.
    pub fn expose_hex(&self) -> String {
        self.0.to_lower_hex_string()
    }
}

impl PartialEq for Preimage {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Preimage {}

impl Drop for Preimage {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Reads 64 hexadecimal digits of either case.
impl FromStr for Preimage {
    type Err = NotHex32;

    fn from_str(text: &str) -> Result<Self, NotHex32> {
        hex32(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preimage_opens_its_hash_and_no_other() {
        let preimage = Preimage::new([0x42; 32]);
        let hash: PaymentHash =
            "425ed4e4a36b30ea21b90e21c712c649e8214c29b7eaf68089d1039c6e55384c".parse().unwrap();
        assert_eq!(preimage.hash(), hash);
        assert!(preimage.opens(hash));
        assert!(!Preimage::new([0x43; 32]).opens(hash));
    }

    #[test]
    fn a_preimage_never_prints() {
        assert_eq!(format!("{:?}", Preimage::new([0x42; 32])), "(secret)");
    }

    #[test]
    fn only_sixty_four_digits_are_a_hash() {
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64)] {
            assert_eq!(bad.parse::<PaymentHash>(), Err(NotHex32), "{bad}");
        }
        assert_eq!("AB".repeat(32).parse::<PaymentHash>(), Ok(PaymentHash([0xab; 32])));
    }
}
