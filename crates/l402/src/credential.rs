//! The server's side of a credential: read from the request's headers in every dialect, then judged
//! against the keyring and the request's facts. Nothing here reads a database.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::caveat::{self, CaveatError, Counter, Facts, Unknown};
use crate::encoding::from_base64;
use crate::hash::{PaymentHash, Preimage};
use crate::identifier::{Identifier, IdentifierError, TokenId};
use crate::keys::Keyring;
use crate::macaroon::{Macaroon, MacaroonError};

/// The most macaroons in one credential, and the longest `Authorization` line, in bytes.
const MOST_MACAROONS: usize = 8;
const LONGEST_LINE: usize = 64 * 1024;

/// Where gRPC clients put a macaroon that carries its preimage, in hex. Aperture reads the first
/// two; `token` is the L402 text's own name for it.
static METADATA: [HeaderName; 3] = [
    HeaderName::from_static("macaroon"),
    HeaderName::from_static("grpc-metadata-macaroon"),
    HeaderName::from_static("token"),
];

/// A token and a preimage as they came, read but not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    macaroons: Vec<Macaroon>,
    preimage: Preimage,
}

/// A credential is there in our scheme and cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Longer than any real one.
    #[error("the credential is longer than any real one")]
    TooLong,
    /// Not `token:preimage`.
    #[error("the credential is not `token:preimage`")]
    NoColon,
    /// What should be the preimage is not 64 hexadecimal digits.
    #[error("the preimage is not 64 hexadecimal digits")]
    Preimage,
    /// The token is not base64 (or hexadecimal, in gRPC metadata).
    #[error("the token is not in base64")]
    Encoding,
    /// The token's bytes are no macaroon.
    #[error(transparent)]
    Macaroon(#[from] MacaroonError),
    /// More macaroons than any client has reason to send.
    #[error("the credential has more than {MOST_MACAROONS} macaroons")]
    TooMany,
    /// Two different credentials in one request: which one is meant is anybody's guess.
    #[error("the request has two different credentials")]
    Ambiguous,
    /// A macaroon in gRPC metadata without a `preimage` caveat proves nothing.
    #[error("the macaroon carries no `preimage` caveat")]
    NoPreimage,
}

/// Why a credential does not open this door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denied {
    /// The token's identifier is not one of ours.
    #[error(transparent)]
    Identifier(#[from] IdentifierError),
    /// The preimage does not open the hash the token commits to: not paid for.
    #[error("the preimage does not open the token's payment hash")]
    Preimage,
    /// No key we hold minted it: revoked by rotation, or another server's.
    #[error("the token was minted under a key that is not held here")]
    UnknownKey,
    /// The signature chain does not end where the token says: forged or damaged.
    #[error("the token was not signed by this server")]
    Signature,
    /// It is real and paid, and not for this request.
    #[error(transparent)]
    Caveat(#[from] CaveatError),
}

/// Proof that a credential was verified. Only [`Credential::verify`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Verified {
    identifier: Identifier,
    counters: Vec<Counter>,
}

/// Proof that a credential is ours and paid for; what its caveats say of a request is not yet asked.
/// Only [`Credential::authenticate`] makes one. It holds no preimage.
#[derive(Debug)]
#[must_use]
pub struct Authentic {
    tokens: Vec<(Macaroon, Chain)>,
}

/// A macaroon's signatures, each up to and including one caveat, after the last was found to be ours.
#[derive(Debug)]
struct Chain {
    identifier: Identifier,
    signatures: Vec<[u8; 32]>,
}

impl Verified {
    /// The payment it stands for.
    pub fn payment_hash(&self) -> PaymentHash {
        self.identifier.payment_hash
    }

    /// The token it came with.
    pub fn token_id(&self) -> TokenId {
        self.identifier.token_id
    }

    /// The counters this token wants kept. While there are any, the request is not allowed until a
    /// store has taken one use from each.
    pub fn counters(&self) -> &[Counter] {
        &self.counters
    }
}

impl Credential {
    /// A credential from its parts, for a holder that is also its own judge.
    pub fn new(macaroons: Vec<Macaroon>, preimage: Preimage) -> Self {
        Self { macaroons, preimage }
    }

    /// The macaroons it came with, not yet believed.
    pub fn macaroons(&self) -> &[Macaroon] {
        &self.macaroons
    }

    /// The preimage it came with, not yet believed.
    pub const fn preimage(&self) -> &Preimage {
        &self.preimage
    }

    /// Reads a request's credential: `Authorization: L402|LSAT token:preimage` on any line, or a
    /// macaroon with a `preimage` caveat in gRPC metadata. `None` when there is none in our scheme;
    /// other schemes' `Authorization` lines are not our business.
    ///
    /// # Errors
    /// One is there and cannot be read, or two are there and differ.
    pub fn read(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let mut found: Option<Self> = None;
        for line in headers.get_all(AUTHORIZATION) {
            for part in ours(line.as_bytes())? {
                let credential = Self::parse(part)?;
                match &found {
                    Some(other) if *other != credential => return Err(Malformed::Ambiguous),
                    _ => found = Some(credential),
                }
            }
        }
        match found {
            Some(credential) => Ok(Some(credential)),
            None => Self::from_metadata(headers),
        }
    }

    /// Reads `token[,token...]:preimage`.
    fn parse(text: &str) -> Result<Self, Malformed> {
        let (tokens, preimage) = text.split_once(':').ok_or(Malformed::NoColon)?;
        let preimage = preimage.parse().map_err(|_| Malformed::Preimage)?;
        let mut macaroons = Vec::with_capacity(1);
        for token in tokens.split(',') {
            if macaroons.len() == MOST_MACAROONS {
                return Err(Malformed::TooMany);
            }
            let bytes = from_base64(token).ok_or(Malformed::Encoding)?;
            macaroons.push(Macaroon::parse(&bytes)?);
        }
        Ok(Self { macaroons, preimage })
    }

    fn from_metadata(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let is_grpc = headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let [macaroon, gateway, token] = &METADATA;
        // `token` is a common header outside gRPC, and then it is not ours.
        let names = [Some(macaroon), Some(gateway), is_grpc.then_some(token)];
        let (mut found, mut failed) = (None, None);
        for value in names.into_iter().flatten().flat_map(|name| headers.get_all(name)) {
            // A node behind a gateway has macaroons of its own in these headers: one that cannot be
            // a credential does not spoil one that is.
            match Self::from_hex(value) {
                Ok(credential) if found.as_ref().is_some_and(|other| *other != credential) => {
                    return Err(Malformed::Ambiguous);
                }
                Ok(credential) => found = Some(credential),
                Err(why) => failed = failed.or(Some(why)),
            }
        }
        match (found, failed) {
            (None, Some(why)) => Err(why),
            (found, _) => Ok(found),
        }
    }

    /// Reads a macaroon in hexadecimal that carries its preimage.
    fn from_hex(value: &HeaderValue) -> Result<Self, Malformed> {
        if value.len() > LONGEST_LINE {
            return Err(Malformed::TooLong);
        }
        let bytes: Vec<u8> = value
            .to_str()
            .ok()
            .and_then(|text| hex::FromHex::from_hex(text.trim()).ok())
            .ok_or(Malformed::Encoding)?;
        let macaroon = Macaroon::parse(&bytes)?;
        let preimage = macaroon.caveats().flatten().filter_map(caveat::split).find_map(
            |(condition, value)| (condition == "preimage").then(|| value.parse::<Preimage>()),
        );
        match preimage {
            Some(Ok(preimage)) => Ok(Self { macaroons: vec![macaroon], preimage }),
            Some(Err(_)) => Err(Malformed::Preimage),
            None => Err(Malformed::NoPreimage),
        }
    }

    /// Judges it. Pure: the same inputs give the same answer, and no database is read. With several
    /// macaroons, one that opens the door is enough.
    ///
    /// # Errors
    /// Why the last macaroon does not open this door.
    pub fn verify(
        &self,
        keyring: &Keyring,
        facts: &Facts<'_>,
        unknown: Unknown,
    ) -> Result<Verified, Denied> {
        let one = |macaroon| {
            Chain::of(macaroon, &self.preimage, keyring)?.allows(macaroon, facts, unknown)
        };
        first_good(self.macaroons.iter().map(one))
    }

    /// The first half of [`Credential::verify`], which is the same for every request: whether it is
    /// ours and paid for. Most of the work is here, so that a server may keep the answer for as long
    /// as it keeps its keys.
    ///
    /// # Errors
    /// Why the last macaroon is neither.
    pub fn authenticate(self, keyring: &Keyring) -> Result<Authentic, Denied> {
        let Self { macaroons, preimage } = self;
        let (mut tokens, mut denied) = (Vec::with_capacity(macaroons.len()), Denied::Signature);
        for macaroon in macaroons {
            match Chain::of(&macaroon, &preimage, keyring) {
                Ok(chain) => tokens.push((macaroon, chain)),
                Err(why) => denied = why,
            }
        }
        if tokens.is_empty() { Err(denied) } else { Ok(Authentic { tokens }) }
    }
}

impl Authentic {
    /// The second half: whether what its caveats say lets this request through.
    ///
    /// # Errors
    /// Why the last macaroon does not open this door.
    pub fn verify(&self, facts: &Facts<'_>, unknown: Unknown) -> Result<Verified, Denied> {
        let one = |(macaroon, chain): &(Macaroon, Chain)| chain.allows(macaroon, facts, unknown);
        first_good(self.tokens.iter().map(one))
    }
}

impl Chain {
    fn of(macaroon: &Macaroon, preimage: &Preimage, keyring: &Keyring) -> Result<Self, Denied> {
        let identifier = Identifier::parse(macaroon.identifier())?;
        if !preimage.opens(identifier.payment_hash) {
            return Err(Denied::Preimage);
        }
        let key = keyring.root_key(&identifier).ok_or(Denied::UnknownKey)?;
        let mut signatures = Vec::with_capacity(macaroon.caveats.len());
        match macaroon.is_signed_by(&key, |signature| signatures.push(*signature)) {
            true => Ok(Self { identifier, signatures }),
            false => Err(Denied::Signature),
        }
    }

    fn allows(
        &self,
        macaroon: &Macaroon,
        facts: &Facts<'_>,
        unknown: Unknown,
    ) -> Result<Verified, Denied> {
        let paid = self.identifier.payment_hash;
        let counters = caveat::check(macaroon, &self.signatures, facts, paid, unknown)?;
        Ok(Verified { identifier: self.identifier, counters })
    }
}

fn first_good(judged: impl Iterator<Item = Result<Verified, Denied>>) -> Result<Verified, Denied> {
    let mut denied = Denied::Signature;
    for one in judged {
        match one {
            Ok(verified) => return Ok(verified),
            Err(why) => denied = why,
        }
    }
    Err(denied)
}

/// The credentials in our scheme on one `Authorization` line: what follows each scheme word. A line
/// in another scheme has none.
fn ours(line: &[u8]) -> Result<Vec<&str>, Malformed> {
    let Ok(text) = std::str::from_utf8(line) else { return Ok(Vec::new()) };
    let Some(mut rest) = after_scheme(text.trim_matches([' ', '\t'])) else {
        return Ok(Vec::new());
    };
    if line.len() > LONGEST_LINE {
        return Err(Malformed::TooLong);
    }
    let mut parts = Vec::with_capacity(1);
    // Several credentials may be joined by commas. So are several macaroons of one credential: a
    // comma ends a credential only where another scheme word follows it.
    loop {
        let next = rest.match_indices(',').find_map(|(at, _)| {
            let after = rest[at + 1..].trim_start_matches([' ', '\t']);
            after_scheme(after).map(|following| (at, following))
        });
        match next {
            Some((at, following)) => {
                parts.push(rest[..at].trim_end_matches([' ', '\t']));
                rest = following;
            }
            None => {
                parts.push(rest);
                return Ok(parts);
            }
        }
    }
}

/// What follows `L402 ` or `LSAT `, in any case.
fn after_scheme(text: &str) -> Option<&str> {
    // Compares with the names rather than looking for the end of the word, which may be far off:
    // this is asked at every comma of the line.
    crate::scheme::TOKEN_SCHEMES.iter().find_map(|name| {
        let (word, rest) = text.split_at_checked(name.len())?;
        let is_scheme = word.eq_ignore_ascii_case(name) && rest.starts_with([' ', '\t']);
        is_scheme.then(|| rest.trim_start_matches([' ', '\t']))
    })
}

/// Whether an `Authorization` line is in one of our schemes, readable or not: what a gateway must
/// not pass on.
pub fn is_ours(line: &HeaderValue) -> bool {
    // The scheme's name stands at the beginning: a line may be long.
    let start = line.as_bytes().trim_ascii_start();
    let text = String::from_utf8_lossy(&start[..start.len().min(32)]);
    let word = text.trim_start().split([' ', '\t']).next().unwrap_or_default();
    crate::scheme::find(word).is_some()
}

#[cfg(test)]
mod tests;
