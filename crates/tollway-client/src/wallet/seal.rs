//! Encryption at rest, for a wallet whose owner asks for it. What opens doors is encrypted: tokens and
//! preimages. Who was paid, when and how much stays readable in the file.
//!
//! The file has one random key of its own. With it each secret is sealed by itself, together with the
//! name of its place, so that none can be moved to another row (XChaCha20-Poly1305). The key itself
//! stands in the file encrypted by age, to a passphrase or to an identity (age-encryption.org/v1).

use std::fmt;

use age::secrecy::{ExposeSecret as _, SecretString};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use l402::Secret;

/// What a sealed text begins with. No token and no preimage can: they have no colon.
const SEALED: &str = "sealed1:";
/// In bytes.
const NONCE: usize = 24;

/// What opens a sealed wallet.
#[derive(Clone)]
pub enum WalletKey {
    /// A passphrase. Trying one takes about a second, on purpose.
    Passphrase(Secret<String>),
    /// An age identity, `AGE-SECRET-KEY-1…`, as `age-keygen` makes them. Lines that begin with `#`
    /// are passed over.
    Identity(Secret<String>),
}

/// The key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Nothing to derive a key from.
    #[error("the passphrase is empty")]
    Empty,
    /// The text is no age identity.
    #[error("the identity cannot be read; it begins with `AGE-SECRET-KEY-1`")]
    Identity,
    /// It does not open this wallet.
    #[error("the key does not open this wallet")]
    Wrong,
    /// Where it should come from has none.
    #[error("the wallet's key cannot be had: {0}")]
    Absent(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers to make a key of")]
    Random,
}

/// Where a wallet's key comes from. It is asked when the wallet is sealed, and only then. Implemented
/// by every closure that returns a future of a [`WalletKey`], and by a key itself.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The key.
    ///
    /// # Errors
    /// [`KeyError::Absent`].
    async fn key(&self) -> Result<WalletKey, KeyError>;
}

#[async_trait]
impl<F, Getting> KeySource for F
where
    F: Fn() -> Getting + Send + Sync,
    Getting: Future<Output = Result<WalletKey, KeyError>> + Send,
{
    async fn key(&self) -> Result<WalletKey, KeyError> {
        self().await
    }
}

#[async_trait]
impl KeySource for WalletKey {
    async fn key(&self) -> Result<WalletKey, KeyError> {
        Ok(self.clone())
    }
}

impl fmt::Debug for WalletKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase(_) => "Passphrase(secret)",
            Self::Identity(_) => "Identity(secret)",
        })
    }
}

impl WalletKey {
    /// A new identity, and its text for whoever keeps it.
    pub fn generate() -> (Self, Secret<String>) {
        let text = age::x25519::Identity::generate().to_string().expose_secret().to_owned();
        (Self::Identity(Secret::new(text.clone())), Secret::new(text))
    }

    /// What a file or a keyring holds: an identity where a line begins as one, otherwise the first
    /// line is a passphrase.
    pub fn read(text: &Secret<String>) -> Self {
        let is_identity = |line: &str| line.trim_start().starts_with("AGE-SECRET-KEY-");
        let text = text.expose();
        if text.lines().any(is_identity) {
            return Self::Identity(Secret::new(text.clone()));
        }
        Self::Passphrase(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
    }

    /// The file's own key, as it may stand in the file.
    pub(super) fn wrap(&self, key: &FileKey) -> Result<String, KeyError> {
        let key = key.0.expose();
        let wrapped = match self {
            Self::Passphrase(passphrase) => age::encrypt(&passphrase_recipient(passphrase)?, key),
            Self::Identity(text) => age::encrypt(&identity(text)?.to_public(), key),
        };
        Ok(STANDARD.encode(wrapped.map_err(|_| KeyError::Random)?))
    }

    /// The file's own key, from what stands in the file.
    pub(super) fn unwrap(&self, wrapped: &str) -> Result<FileKey, KeyError> {
        let wrapped = STANDARD.decode(wrapped).map_err(|_| KeyError::Wrong)?;
        let key = match self {
            Self::Passphrase(passphrase) => {
                let mut identity = age::scrypt::Identity::new(secret_string(passphrase)?);
                // What a fast machine made, a slow one may open; beyond that it is an attack.
                identity.set_max_work_factor(22);
                age::decrypt(&identity, &wrapped)
            }
            Self::Identity(text) => age::decrypt(&identity(text)?, &wrapped),
        };
        let key = Secret::new(key.map_err(|_| KeyError::Wrong)?);
        let bytes = key.expose().as_slice().try_into().map_err(|_| KeyError::Wrong)?;
        Ok(FileKey(Secret::new(bytes)))
    }
}

fn secret_string(passphrase: &Secret<String>) -> Result<SecretString, KeyError> {
    match passphrase.expose().as_str() {
        "" => Err(KeyError::Empty),
        text => Ok(SecretString::from(text.to_owned())),
    }
}

fn passphrase_recipient(passphrase: &Secret<String>) -> Result<age::scrypt::Recipient, KeyError> {
    secret_string(passphrase).map(age::scrypt::Recipient::new)
}

fn identity(text: &Secret<String>) -> Result<age::x25519::Identity, KeyError> {
    let mut lines = text.expose().lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    line.and_then(|line| line.parse().ok()).ok_or(KeyError::Identity)
}

/// The key that a wallet's file is sealed with.
#[derive(Clone, Debug)]
pub(super) struct FileKey(Secret<[u8; 32]>);

impl FileKey {
    pub(super) fn random() -> Result<Self, KeyError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|_| KeyError::Random)?;
        Ok(Self(Secret::new(key)))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.expose().into())
    }
}

/// Seals what is written and opens what is read; with no key it does neither.
#[derive(Debug, Default)]
pub(super) struct Vault(pub(super) Option<FileKey>);

/// A sealed text cannot be opened with the key at hand.
#[derive(Debug)]
pub(super) struct NotOurs;

impl Vault {
    /// The text as it is written at that place.
    pub(super) fn seal(&self, place: &str, text: &str) -> Result<String, KeyError> {
        let Some(key) = &self.0 else { return Ok(text.to_owned()) };
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| KeyError::Random)?;
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let sealed = key.cipher().encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| KeyError::Random)?;
        Ok(format!("{SEALED}{}", STANDARD.encode([&nonce[..], &sealed].concat())))
    }

    /// The text that was written at that place.
    pub(super) fn open(&self, place: &str, written: String) -> Result<Secret<String>, NotOurs> {
        let written = Secret::new(written);
        let sealed = written.expose().strip_prefix(SEALED);
        let (sealed, key) = match (sealed, &self.0) {
            (None, None) => return Ok(written),
            // A sealed wallet has nothing in it that is not, or somebody has put it there.
            (None, Some(_)) | (Some(_), None) => return Err(NotOurs),
            (Some(sealed), Some(key)) => (sealed, key),
        };
        let bytes = STANDARD.decode(sealed).map_err(|_| NotOurs)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(NotOurs)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let text = key.cipher().decrypt(XNonce::from_slice(nonce), payload).map_err(|_| NotOurs)?;
        String::from_utf8(text).map(Secret::new).map_err(|_| NotOurs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_at_its_place_with_its_key_and_nowhere_else() {
        let vault = Vault(Some(FileKey::random().unwrap()));
        let sealed = vault.seal("a/token", "hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_ne!(sealed, vault.seal("a/token", "hunter2").unwrap());
        assert_eq!(vault.open("a/token", sealed.clone()).unwrap().expose(), "hunter2");
        assert!(vault.open("b/token", sealed.clone()).is_err());
        let other = Vault(Some(FileKey::random().unwrap()));
        assert!(other.open("a/token", sealed.clone()).is_err());
        assert!(Vault(None).open("a/token", sealed).is_err());
        // Nobody slips a token of theirs under ours.
        assert!(vault.open("a/token", "hunter3".to_owned()).is_err());
        assert!(vault.open("a/token", format!("{SEALED}AAAA")).is_err());
        assert_eq!(Vault(None).open("a/token", "plain".to_owned()).unwrap().expose(), "plain");
    }

    #[test]
    fn an_identity_opens_what_was_wrapped_for_it() {
        let (_, made) = WalletKey::generate();
        let text = Secret::new(format!("# made for a test\n{}\n", made.expose()));
        let key = WalletKey::read(&text);
        let file = FileKey::random().unwrap();
        let wrapped = key.wrap(&file).unwrap();
        assert_eq!(key.unwrap(&wrapped).unwrap().0.expose(), file.0.expose());
        let (other, _) = WalletKey::generate();
        assert_eq!(other.unwrap(&wrapped).unwrap_err(), KeyError::Wrong);
        let passphrase = WalletKey::read(&Secret::new("correct horse\n".to_owned()));
        assert!(
            matches!(passphrase, WalletKey::Passphrase(text) if text.expose() == "correct horse")
        );
        let none = WalletKey::Identity(Secret::new("hunter2".to_owned()));
        assert_eq!(none.unwrap(&wrapped).unwrap_err(), KeyError::Identity);
        assert_eq!(format!("{key:?}"), "Identity(secret)");
        let empty = WalletKey::Passphrase(Secret::new(String::new()));
        assert_eq!(empty.wrap(&file).unwrap_err(), KeyError::Empty);
    }
}
