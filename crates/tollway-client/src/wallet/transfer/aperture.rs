//! The token file of Aperture's own client, which loop and pool use, and which lnget keeps one of for
//! each domain (L402 repository, macaroon-spec.md, "Token storage"; aperture `l402/token.go`): the
//! macaroon with its length, payment hash, preimage, amount, fee and time, all big-endian. A preimage
//! of zeros stands for a payment that was begun.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use l402::{Macaroon, Msat, PaymentHash, Preimage, scheme};

use super::written::belong_together;
use crate::origin::Origin;
use crate::wallet::{Standing, Token};

/// The longest macaroon that is read, in bytes.
const LONGEST: usize = 12 * 1024;

/// One `l402.token` or `lsat.token`, read.
#[derive(Clone, Debug)]
pub struct TokenFile {
    /// Which payment bought it.
    pub hash: PaymentHash,
    /// What was paid for it, in millisatoshi.
    pub amount: Msat,
    /// What routing cost on top, in millisatoshi.
    pub fee: Msat,
    /// When it was written.
    pub created_at: SystemTime,
    /// The macaroon, in base64, to be sent as it is.
    pub token: l402::Token,
    /// The proof; `None` while it is not known how the payment ended.
    pub preimage: Option<Preimage>,
}

/// The bytes are no token file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTokenFile {
    /// Shorter or longer than what it says is in it.
    #[error("its length is not what it says")]
    Length,
    /// What stands for the macaroon is none.
    #[error("the macaroon in it cannot be read")]
    Macaroon,
    /// The macaroon is for another payment.
    #[error("the macaroon in it is for another payment")]
    OtherPayment,
    /// The preimage does not open the payment.
    #[error("its preimage does not prove its payment")]
    Preimage,
    /// More bitcoin than there is, or a time before 1970.
    #[error("its amount, fee or time cannot be true")]
    Number,
}

impl TokenFile {
    /// Reads a token file whole.
    ///
    /// # Errors
    /// See [`BadTokenFile`].
    pub fn parse(bytes: &[u8]) -> Result<Self, BadTokenFile> {
        let mut rest = bytes;
        let length = u32::from_be_bytes(take(&mut rest)?);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LONGEST || length > rest.len() {
            return Err(BadTokenFile::Length);
        }
        let (macaroon, mut rest) = rest.split_at(length);
        let hash = PaymentHash(take(&mut rest)?);
        let preimage: [u8; 32] = take(&mut rest)?;
        let [amount, fee] = [take(&mut rest)?, take(&mut rest)?].map(u64::from_be_bytes);
        let nanos = i64::from_be_bytes(take(&mut rest)?);
        if !rest.is_empty() {
            return Err(BadTokenFile::Length);
        }
        Macaroon::parse(macaroon).map_err(|_| BadTokenFile::Macaroon)?;
        let token = STANDARD.encode(macaroon);
        let token = l402::Token::new(&token).map_err(|_| BadTokenFile::Macaroon)?;
        let scheme = scheme::find("L402").expect("it is this crate's own");
        belong_together(scheme, &token, None, hash).map_err(|_| BadTokenFile::OtherPayment)?;
        let preimage = (preimage != [0; 32]).then(|| Preimage::new(preimage));
        if preimage.as_ref().is_some_and(|preimage| !preimage.opens(hash)) {
            return Err(BadTokenFile::Preimage);
        }
        let [amount, fee] = [amount, fee].map(Msat::from_msat);
        let nanos = u64::try_from(nanos).map_err(|_| BadTokenFile::Number)?;
        if amount.max(fee) > Msat::SUPPLY {
            return Err(BadTokenFile::Number);
        }
        let created_at = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos);
        Ok(Self { hash, amount, fee, created_at, token, preimage })
    }

    /// The token as a wallet keeps it, for the server that sold it: such files do not say which one
    /// that is. `scheme` is `L402`, or `LSAT` where the server knows nothing newer. `None` when there
    /// is no proof, or no such scheme.
    pub fn into_token(self, origin: Origin, scheme: &str) -> Option<Token> {
        Some(Token {
            origin,
            // What it was bought for, nobody knows: it is tried where there is nothing better.
            method: Method::GET,
            path: "/".to_owned(),
            target: None,
            query: None,
            scheme: scheme::find(scheme)?,
            token: self.token,
            hash: self.hash,
            amount: self.amount,
            invoice: None,
            node: None,
            begun_at: self.created_at,
            preimage: self.preimage?,
            fee: self.fee,
            paid_at: self.created_at,
            // One that was bought to be used, and not by us: no purchase of ours is waiting for it.
            standing: Standing::Honoured,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], BadTokenFile> {
    let (first, behind) = rest.split_first_chunk().ok_or(BadTokenFile::Length)?;
    *rest = behind;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use l402::{Keyring, MasterKey};

    use super::*;

    const PREIMAGE: [u8; 32] = [0x42; 32];

    fn file(preimage: [u8; 32], hash: PaymentHash) -> Vec<u8> {
        let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
        let paid = Preimage::new(PREIMAGE).hash();
        let token = keyring.mint(paid, [1; 28], ["services=loop:0"]).to_base64();
        let macaroon = STANDARD.decode(token).unwrap();
        let length = u32::try_from(macaroon.len()).unwrap().to_be_bytes();
        let numbers = [10_000u64, 1_500, 1_800_000_000_000_000_000].map(u64::to_be_bytes).concat();
        [&length[..], &macaroon, &hash.0, &preimage, &numbers].concat()
    }

    #[test]
    fn a_file_is_read_whole() {
        let hash = Preimage::new(PREIMAGE).hash();
        let read = TokenFile::parse(&file(PREIMAGE, hash)).unwrap();
        assert_eq!((read.hash, read.amount.msat(), read.fee.msat()), (hash, 10_000, 1_500));
        let at = read.created_at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(at.as_secs(), 1_800_000_000);
        let origin: Origin = "https://example.com".parse().unwrap();
        let token = read.into_token(origin, "LSAT").unwrap();
        assert_eq!((token.receipt().scheme, token.hash), ("LSAT", hash));
        let begun = TokenFile::parse(&file([0; 32], hash)).unwrap();
        assert!(begun.preimage.is_none());
    }

    #[test]
    fn each_way_to_be_broken_has_its_own_error() {
        let hash = Preimage::new(PREIMAGE).hash();
        let good = file(PREIMAGE, hash);
        let is = |bytes: &[u8], error| assert_eq!(TokenFile::parse(bytes).unwrap_err(), error);
        (0..good.len()).for_each(|end| is(&good[..end], BadTokenFile::Length));
        is(&[&good[..], &[0]].concat(), BadTokenFile::Length);
        is(&[&[0xff; 4][..], &good[4..]].concat(), BadTokenFile::Length);
        is(&file([1; 32], hash), BadTokenFile::Preimage);
        is(&file([1; 32], Preimage::new([1; 32]).hash()), BadTokenFile::OtherPayment);
        let at = good.len();
        is(&[&good[..at - 8], &[0xff; 8]].concat(), BadTokenFile::Number);
        is(&[&good[..at - 24], &[0xff; 8], &good[at - 16..]].concat(), BadTokenFile::Number);
        is(&[&good[..5], &[0xff; 4], &good[9..]].concat(), BadTokenFile::Macaroon);
    }
}
