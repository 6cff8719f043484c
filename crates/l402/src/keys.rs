//! Where root keys come from. Every token has a root key of its own, and none is stored: it is
//! derived from the token's identifier and a master key, so that verifying reads no database.

use std::fmt;

use crate::admin::AdminKeys;
use crate::hash::PaymentHash;
use crate::identifier::{Identifier, TokenId};
use crate::macaroon::{Macaroon, hmac};
use crate::scheme::ChargeKeys;
use crate::secret::Secret;

/// The key one token is signed with.
#[derive(Clone, Debug)]
pub struct RootKey(Secret<[u8; 32]>);

/// The key from which a gateway derives all its root keys. Whoever has it can mint tokens.
#[derive(Clone, Debug)]
pub struct MasterKey {
    key: Secret<[u8; 32]>,
    id: KeyId,
}

/// Names a master key without giving it away: the first four bytes of an HMAC under it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub [u8; 4]);

/// The master keys of one gateway: one to mint with, and older ones whose tokens still open.
#[derive(Clone, Debug)]
pub struct Keyring {
    current: MasterKey,
    previous: Vec<MasterKey>,
}

impl RootKey {
    /// Wraps thirty-two bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(Secret::new(bytes))
    }

    pub(crate) const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

impl MasterKey {
    /// Wraps thirty-two random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        let id = hmac(&bytes, b"tollway master key id v1");
        Self { key: Secret::new(bytes), id: KeyId([id[0], id[1], id[2], id[3]]) }
    }

    /// Its name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    fn root_key(&self, identifier: &[u8]) -> RootKey {
        let mut input = [0; 88];
        input[..22].copy_from_slice(b"tollway token root v1\0");
        input[22..].copy_from_slice(identifier);
        RootKey::new(hmac(self.key.expose(), &input))
    }
}

impl Keyring {
    /// A key to mint with, and older ones to verify with, the newest first.
    pub fn new(current: MasterKey, previous: Vec<MasterKey>) -> Self {
        Self { current, previous }
    }

    /// Mints a token for a payment. `nonce` must be fresh and random: it is what makes two tokens
    /// for one payment hash different.
    pub fn mint<C: AsRef<str>>(
        &self,
        payment_hash: PaymentHash,
        nonce: [u8; 28],
        caveats: impl IntoIterator<Item = C>,
    ) -> Macaroon {
        let mut token_id = [0; 32];
        token_id[..4].copy_from_slice(&self.current.id.0);
        token_id[4..].copy_from_slice(&nonce);
        let identifier = Identifier { payment_hash, token_id: TokenId(token_id) }.to_bytes();
        let mut macaroon = Macaroon::mint(&self.current.root_key(&identifier), &identifier);
        caveats.into_iter().for_each(|caveat| macaroon.attenuate(caveat.as_ref()));
        macaroon
    }

    /// The keys that one-time challenges are bound with: derived from the master keys, and no use for
    /// anything else.
    pub fn charge_keys(&self) -> ChargeKeys {
        let derive = |master: &MasterKey| {
            Secret::new(hmac(master.key.expose(), b"tollway charge v1").to_vec())
        };
        ChargeKeys::new(derive(&self.current), self.previous.iter().map(derive).collect())
    }

    /// Whether a master key of that name is held, so that what was made under it can be verified.
    pub fn holds(&self, key: KeyId) -> bool {
        std::iter::once(&self.current).chain(&self.previous).any(|master| master.id == key)
    }

    /// The keys that administrators' credentials are signed with: derived from the master keys, and no
    /// use for anything else.
    pub fn admin_keys(&self) -> AdminKeys {
        let derive = |master: &MasterKey| {
            (master.id, Secret::new(hmac(master.key.expose(), b"tollway admin v1")))
        };
        let all = std::iter::once(&self.current).chain(&self.previous);
        AdminKeys::new(all.map(derive).collect())
    }

    /// The root key of one of our tokens, or `None` when no key we hold minted it.
    pub fn root_key(&self, identifier: &Identifier) -> Option<RootKey> {
        let wanted = identifier.token_id.key_id();
        std::iter::once(&self.current)
            .chain(&self.previous)
            .find(|master| master.id == wanted)
            .map(|master| master.root_key(&identifier.to_bytes()))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerHex::fmt(&hex::DisplayHex::as_hex(&self.0), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(macaroon: &Macaroon) -> Identifier {
        Identifier::parse(macaroon.identifier()).unwrap()
    }

    #[test]
    fn a_rotated_key_still_opens_what_it_minted() {
        let (old, new) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
        let none: [&str; 0] = [];
        let token = Keyring::new(old.clone(), vec![]).mint(PaymentHash([9; 32]), [7; 28], none);

        let rotated = Keyring::new(new.clone(), vec![old]);
        let key = rotated.root_key(&identifier(&token)).unwrap();
        assert!(token.is_signed_by(&key, |_| {}));

        let dropped = Keyring::new(new, vec![]);
        assert!(dropped.root_key(&identifier(&token)).is_none());
    }

    #[test]
    fn a_key_never_prints() {
        let printed = format!("{:?}", Keyring::new(MasterKey::new([0x42; 32]), vec![]));
        assert!(printed.contains("(secret)") && !printed.contains("66, 66"), "{printed}");
    }
}
