//! Credentials that were found to be ours and paid for not long ago. A client sends the same line with
//! every request, and most of what it takes to verify one is the same each time.
//!
//! What is kept holds no preimage, and is found by a keyed hash of the line (SipHash-2-4 with 128 bits,
//! under a key that nobody outside knows): who cannot compute the hash finds nothing, and how long the
//! search takes says nothing about what is kept. Whatever may differ from one request to the next (the
//! time, the path, revocations, counts) is asked each time.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use l402::{Authentic, Credential, Keyring, credential};
use quick_cache::sync::Cache;
use siphasher::sip128::{Hasher128, SipHasher24};

use crate::gate::Shut;

/// How many are kept, and how long a line may be: 16 MiB at most, with what was read from them.
const MOST: usize = 8 * 1024;
const LONGEST: usize = 1024;

/// The keys that tokens are verified with, and what was verified with them.
#[derive(Debug)]
pub(crate) struct Known {
    keyring: Keyring,
    hasher: SipHasher24,
    found: Cache<u128, Arc<Authentic>>,
}

impl Known {
    /// Nothing yet.
    pub(crate) fn new(keyring: Keyring) -> Self {
        // Seeded by the system, and never seen outside.
        let random = RandomState::new();
        let hasher = SipHasher24::new_with_keys(random.hash_one(0), random.hash_one(1));
        Self { keyring, hasher, found: Cache::new(MOST) }
    }

    /// The keys.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The credential of a request, if it is ours and paid for.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Arc<Authentic>, Shut> {
        let name = only_line(headers).map(|line| (line, self.name(line)));
        if let Some((_, name)) = name
            && let Some(known) = self.found.get(&name)
        {
            return Ok(known);
        }
        let credential = Credential::read(headers)?.ok_or(Shut::NoCredential)?;
        let authentic = Arc::new(credential.authenticate(&self.keyring)?);
        // A line of another scheme is not where the credential came from.
        if let Some((_, name)) = name.filter(|(line, _)| credential::is_ours(line)) {
            self.found.insert(name, Arc::clone(&authentic));
        }
        Ok(authentic)
    }

    fn name(&self, line: &HeaderValue) -> u128 {
        let mut hasher = self.hasher;
        hasher.write(line.as_bytes());
        hasher.finish128().as_u128()
    }
}

/// The one `Authorization` line, where there is one alone and it is of the usual length. Of several,
/// each would have a say.
fn only_line(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next().filter(|line| line.len() <= LONGEST)?;
    lines.next().is_none().then_some(line)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use l402::caveat::Unknown;
    use l402::{Denied, Facts, Malformed, MasterKey, Preimage};

    use super::*;

    const PREIMAGE: Preimage = Preimage::new([7; 32]);

    fn keyring() -> Keyring {
        Keyring::new(MasterKey::new([1; 32]), vec![])
    }

    fn line(preimage: &Preimage, caveats: &[&str]) -> String {
        let token = keyring().mint(PREIMAGE.hash(), [2; 28], caveats).to_base64();
        format!("L402 {token}:{}", preimage.expose_hex())
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let values = lines.iter().map(|line| HeaderValue::from_str(line).unwrap());
        values.map(|value| (AUTHORIZATION, value)).collect()
    }

    fn facts(second: u64) -> Facts<'static> {
        Facts {
            service: "api",
            capability: None,
            method: "GET",
            path: "/",
            client_ip: None,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(second),
        }
    }

    #[test]
    fn what_was_verified_is_found_again_and_judged_again() {
        let known = Known::new(keyring());
        let sent = headers(&[&line(&PREIMAGE, &["services=api:0", "api_valid_until=100"])]);
        let first = known.authenticate(&sent).unwrap();
        let again = known.authenticate(&sent).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(again.verify(&facts(99), Unknown::Skip).is_ok());
        assert!(again.verify(&facts(100), Unknown::Skip).is_err());
    }

    #[test]
    fn another_preimage_and_another_line_beside_it_find_nothing() {
        let known = Known::new(keyring());
        let good = line(&PREIMAGE, &["services=api:0"]);
        let _kept = known.authenticate(&headers(&[&good])).unwrap();
        let unpaid = line(&Preimage::new([8; 32]), &["services=api:0"]);
        let denied = known.authenticate(&headers(&[&unpaid])).unwrap_err();
        assert!(matches!(denied, Shut::Denied(Denied::Preimage)), "{denied:?}");
        let two = known.authenticate(&headers(&[&good, &unpaid])).unwrap_err();
        assert!(matches!(two, Shut::Malformed(Malformed::Ambiguous)), "{two:?}");
    }

    #[test]
    fn a_line_in_another_scheme_does_not_stand_for_the_metadata_beside_it() {
        let known = Known::new(keyring());
        let mut token = keyring().mint(PREIMAGE.hash(), [2; 28], ["services=api:0"]);
        token.attenuate(&format!("preimage={}", PREIMAGE.expose_hex()));
        let mut sent = headers(&["Bearer x"]);
        let hex: String = token.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        sent.insert("macaroon", HeaderValue::from_str(&hex).unwrap());
        let _opened = known.authenticate(&sent).unwrap();
        let bare = known.authenticate(&headers(&["Bearer x"])).unwrap_err();
        assert!(matches!(bare, Shut::NoCredential), "{bare:?}");
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let known = Known::new(keyring());
        for number in 0..2 * MOST as u64 {
            let not_before = format!("not_before={number}");
            let sent = headers(&[&line(&PREIMAGE, &["services=api:0", &not_before])]);
            let _opened = known.authenticate(&sent).unwrap();
        }
        assert!(known.found.len() <= MOST);
    }
}
