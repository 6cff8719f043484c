//! The credential of whoever runs a server: a macaroon with the caveats that tokens have, under keys that
//! no token is signed with. What is sold never administers, and what administers opens nothing that is
//! sold.

use std::time::SystemTime;

use crate::caveat::{self, CaveatError, Facts, Unknown};
use crate::hash::PaymentHash;
use crate::identifier::TokenId;
use crate::keys::{KeyId, RootKey};
use crate::macaroon::{Macaroon, hmac};
use crate::secret::Secret;

/// What its caveats call the service that it opens: `admin_capabilities`, `admin_valid_until`.
pub const SERVICE: &str = "admin";

/// What an identifier begins with. No token's identifier is as long as the whole.
const PREFIX: &[u8; 17] = b"tollway admin v1\0";

/// The keys that administrators' credentials are signed with: derived from a server's master keys, and no
/// use for anything else. See [`Keyring::admin_keys`](crate::Keyring::admin_keys).
#[derive(Clone, Debug)]
pub struct AdminKeys {
    /// The first one signs; all of them verify.
    keys: Vec<(KeyId, Secret<[u8; 32]>)>,
}

/// Why a credential does not administer, or not this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminDenied {
    /// Its identifier is not an administrator's: a token, perhaps.
    #[error("it is not an administrator's credential; `tollway admin bake` makes one")]
    Identifier,
    /// No key we hold signed it: another server's, or its key was dropped.
    #[error("it was made under a key that is not held here")]
    UnknownKey,
    /// Forged or damaged.
    #[error("it was not signed by this server")]
    Signature,
    /// It is real, and one of its caveats does not hold.
    #[error(transparent)]
    Caveat(#[from] CaveatError),
    /// It counts its uses, and nobody counts them here.
    #[error("it has a `request_count`, which administrators' credentials cannot have")]
    Counted,
}

impl AdminKeys {
    pub(crate) fn new(keys: Vec<(KeyId, Secret<[u8; 32]>)>) -> Self {
        Self { keys }
    }

    /// Makes a credential that may do what the capabilities say, until then. `nonce` must be fresh and
    /// random; it names the credential.
    pub fn bake(&self, nonce: [u8; 28], may: &[&str], until: Option<SystemTime>) -> Macaroon {
        let (name, key) = self.keys.first().expect("a keyring has a current key");
        let mut identifier = PREFIX.to_vec();
        identifier.extend(name.0);
        identifier.extend(nonce);
        let mut macaroon = Macaroon::mint(&root_key(key, &identifier), &identifier);
        macaroon.attenuate(&format!("{SERVICE}_capabilities={}", may.join(",")));
        if let Some(until) = until {
            let since = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            macaroon.attenuate(&format!("{SERVICE}_valid_until={}", since.as_secs()));
        }
        macaroon
    }

    /// Judges one, in constant time as far as its signature goes; nothing of it is looked at before
    /// that holds. `facts` name the capability that is needed; a caveat that is not known refuses.
    /// Returns its name, by which it can be revoked.
    ///
    /// # Errors
    /// Why it does not administer.
    pub fn verify(&self, macaroon: &Macaroon, facts: &Facts<'_>) -> Result<TokenId, AdminDenied> {
        let id = id(macaroon).ok_or(AdminDenied::Identifier)?;
        let wanted = id.key_id();
        let key = self.keys.iter().find(|(name, _)| *name == wanted);
        let (_, key) = key.ok_or(AdminDenied::UnknownKey)?;
        let mut signatures = Vec::new();
        let root = root_key(key, macaroon.identifier());
        if !macaroon.is_signed_by(&root, |signature| signatures.push(*signature)) {
            return Err(AdminDenied::Signature);
        }
        // There is no payment behind it; a caveat that names one refuses.
        let paid = PaymentHash([0; 32]);
        let counters = caveat::check(macaroon, &signatures, facts, paid, Unknown::Refuse)?;
        match counters.is_empty() {
            true => Ok(id),
            false => Err(AdminDenied::Counted),
        }
    }
}

/// The name of an administrator's credential, if it is one. Public, and not yet believed.
pub fn id(macaroon: &Macaroon) -> Option<TokenId> {
    macaroon.identifier().strip_prefix(PREFIX)?.try_into().ok().map(TokenId)
}

fn root_key(key: &Secret<[u8; 32]>, identifier: &[u8]) -> RootKey {
    RootKey::new(hmac(key.expose(), identifier))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::credential::Credential;
    use crate::hash::Preimage;
    use crate::keys::{Keyring, MasterKey};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn facts(capability: &str, now: u64) -> Facts<'_> {
        Facts {
            service: SERVICE,
            capability: Some(capability),
            method: "GET",
            path: "/v1/services",
            client_ip: None,
            now: at(now),
        }
    }

    fn keyring() -> Keyring {
        Keyring::new(MasterKey::new([1; 32]), vec![])
    }

    #[test]
    fn it_may_what_it_says_until_it_says() {
        let keys = keyring().admin_keys();
        let baked = keys.bake([7; 28], &["services:read", "reload"], Some(at(100)));
        for may in ["services:read", "reload"] {
            assert_eq!(keys.verify(&baked, &facts(may, 99)), Ok(id(&baked).unwrap()), "{may}");
        }
        for (may, now, condition) in [
            ("services:write", 1, "admin_capabilities"),
            ("services", 1, "admin_capabilities"),
            ("reload", 100, "admin_valid_until"),
        ] {
            let denied = keys.verify(&baked, &facts(may, now)).unwrap_err();
            let expected = CaveatError::DoesNotHold(condition.to_owned());
            assert_eq!(denied, AdminDenied::Caveat(expected), "{may}");
        }
    }

    #[test]
    fn its_holder_can_narrow_it_and_never_widen_it() {
        let keys = keyring().admin_keys();
        let mut narrow = keys.bake([7; 28], &["services:read", "reload"], None);
        narrow.narrow("admin_capabilities=reload").unwrap();
        narrow.narrow("method=GET").unwrap();
        assert!(keys.verify(&narrow, &facts("reload", 0)).is_ok());
        assert!(keys.verify(&narrow, &facts("services:read", 0)).is_err());
        assert!(narrow.narrow("admin_capabilities=services:read").is_err());
        narrow.attenuate("admin_capabilities=reload,services:read");
        assert!(matches!(
            keys.verify(&narrow, &facts("reload", 0)),
            Err(AdminDenied::Caveat(CaveatError::Widens(_)))
        ));
        for unknown in ["colour=red", "request_count=5", "preimage=00"] {
            let mut other = keys.bake([7; 28], &["reload"], None);
            other.attenuate(unknown);
            assert!(keys.verify(&other, &facts("reload", 0)).is_err(), "{unknown}");
        }
    }

    #[test]
    fn what_is_sold_does_not_administer_and_what_administers_opens_nothing() {
        let keyring = keyring();
        let preimage = Preimage::new([3; 32]);
        let caveats = ["admin_capabilities=reload", "services=admin:0"];
        let sold = keyring.mint(preimage.hash(), [7; 28], caveats);
        let keys = keyring.admin_keys();
        assert_eq!(keys.verify(&sold, &facts("reload", 0)), Err(AdminDenied::Identifier));
        let baked = keys.bake([7; 28], &["reload"], None);
        let opens = Credential::new(vec![baked.clone()], preimage);
        assert!(opens.verify(&keyring, &facts("reload", 0), Unknown::Skip).is_err());
        assert_eq!(baked.payment_hash(), None);
        // Nor does either key sign for the other's identifier.
        let forged = Macaroon { identifier: baked.identifier.clone(), ..sold };
        assert_eq!(keys.verify(&forged, &facts("reload", 0)), Err(AdminDenied::Signature));
    }

    #[test]
    fn it_outlives_its_master_key_until_that_is_dropped() {
        let (old, new) = (MasterKey::new([1; 32]), MasterKey::new([2; 32]));
        let baked = keyring().admin_keys().bake([7; 28], &["reload"], None);
        let rotated = Keyring::new(new.clone(), vec![old]).admin_keys();
        assert!(rotated.verify(&baked, &facts("reload", 0)).is_ok());
        let dropped = Keyring::new(new, vec![]).admin_keys();
        assert_eq!(dropped.verify(&baked, &facts("reload", 0)), Err(AdminDenied::UnknownKey));
    }
}
