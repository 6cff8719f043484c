//! A token as a client holds it: the text the server sent, to be sent back letter for letter, and
//! what can be learned by looking inside.

use std::fmt;

use crate::encoding::from_base64;
use crate::hash::PaymentHash;
use crate::macaroon::Macaroon;

/// The longest token text we read, in bytes.
const LONGEST: usize = 16 * 1024;
/// The most macaroons in one token.
const MOST_MACAROONS: usize = 8;

/// A server's token, verbatim. It may be one macaroon, several with commas between, or something
/// that only the server understands.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

/// The text cannot be a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Nothing there.
    #[error("the token is empty")]
    Empty,
    /// Longer than any real one.
    #[error("the token is {0} bytes long, more than any real one")]
    TooLong(usize),
    /// A character that would change the meaning of the header it is sent back in.
    #[error("the token has a character at byte {0} that cannot stand in a credential")]
    BadCharacter(usize),
}

/// Whether a token commits to a payment hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// It commits to this one.
    Bound(PaymentHash),
    /// Nothing in it says which payment it is for; only the server knows.
    Unbound,
    /// Its parts commit to different payments.
    Torn,
}

impl Token {
    /// Takes the text as a server sent it.
    ///
    /// # Errors
    /// Text that could not be put into an `Authorization` header and read back.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        match text.len() {
            0 => return Err(TokenError::Empty),
            length if length > LONGEST => return Err(TokenError::TooLong(length)),
            _ => {}
        }
        let bad = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b':' | b'"' | b'\\');
        match text.bytes().position(bad) {
            Some(at) => Err(TokenError::BadCharacter(at)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// A token from a macaroon.
    pub fn from_macaroon(macaroon: &Macaroon) -> Self {
        Self(macaroon.to_base64())
    }

    /// The text to send.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The macaroons it consists of, or `None` when it is something else.
    pub fn macaroons(&self) -> Option<Vec<Macaroon>> {
        let parts: Vec<&str> = self.0.split(',').collect();
        if parts.len() > MOST_MACAROONS {
            return None;
        }
        parts.iter().map(|part| Macaroon::parse(&from_base64(part)?).ok()).collect()
    }

    /// Which payment it commits to.
    pub fn binding(&self) -> Binding {
        let hashes: Vec<PaymentHash> = match self.macaroons() {
            Some(macaroons) => macaroons.iter().filter_map(Macaroon::payment_hash).collect(),
            None => {
                from_base64(&self.0).and_then(|bytes| hash_in_json(&bytes)).into_iter().collect()
            }
        };
        match hashes.split_first() {
            None => Binding::Unbound,
            Some((first, rest)) if rest.iter().all(|hash| hash == first) => Binding::Bound(*first),
            Some(_) => Binding::Torn,
        }
    }
}

/// Some servers' tokens are JSON with a `paymentHash`.
fn hash_in_json(bytes: &[u8]) -> Option<PaymentHash> {
    #[derive(serde::Deserialize)]
    struct Form {
        #[serde(alias = "paymentHash")]
        payment_hash: PaymentHash,
    }
    serde_json::from_slice::<Form>(bytes).ok().map(|form| form.payment_hash)
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::RootKey;

    #[test]
    fn a_token_that_could_forge_a_header_is_refused() {
        for (text, error) in [
            ("", TokenError::Empty),
            ("a b", TokenError::BadCharacter(1)),
            ("a:b", TokenError::BadCharacter(1)),
            ("a\r\nX: y", TokenError::BadCharacter(1)),
            ("é", TokenError::BadCharacter(0)),
        ] {
            assert_eq!(Token::new(text), Err(error), "{text:?}");
        }
        assert!(matches!(Token::new(&"a".repeat(20_000)), Err(TokenError::TooLong(20_000))));
    }

    #[test]
    fn every_deployed_identifier_gives_its_hash() {
        let hash = PaymentHash([5; 32]);
        let long = [&[0, 0][..], &hash.0, &[9; 32]].concat();
        let prefixed = [&[0xff][..], &hash.0].concat();
        for id in [&long[..], &hash.0, &prefixed] {
            let token = Token::from_macaroon(&Macaroon::mint(&RootKey::new([1; 32]), id));
            assert_eq!(token.binding(), Binding::Bound(hash), "{}", id.len());
        }
        let json = format!(r#"{{"paymentHash":"{hash}","x":1}}"#);
        let token = Token::new(&crate::encoding::to_base64(json.as_bytes())).unwrap();
        assert_eq!(token.binding(), Binding::Bound(hash));
        assert_eq!(Token::new("opaque").unwrap().binding(), Binding::Unbound);
    }

    #[test]
    fn macaroons_of_two_payments_are_torn() {
        let one = |byte| Macaroon::mint(&RootKey::new([1; 32]), &[byte; 32]).to_base64();
        let token = |a: String, b: String| Token::new(&format!("{a},{b}")).unwrap();
        assert_eq!(token(one(1), one(2)).binding(), Binding::Torn);
        assert_eq!(token(one(1), one(1)).binding(), Binding::Bound(PaymentHash([1; 32])));
    }
}
