//! The scheme this crate is named after, under both of its names. Servers ask with `macaroon` or
//! `token` or both; we emit both, `macaroon` first, because every deployed client looks for it
//! there.

use http::HeaderValue;

use super::{Asked, Challenge, Refused, Scheme};
use crate::auth_params::RawChallenge;
use crate::encoding::from_base64;
use crate::hash::Preimage;
use crate::invoice::Invoice;
use crate::token::Token;

/// The scheme under one of its two names.
#[derive(Debug)]
pub(super) struct L402Family {
    name: &'static str,
    rank: u8,
}

/// The old name. Emitted first: clients that know nothing else read one line only.
pub(super) static LSAT: L402Family = L402Family { name: "LSAT", rank: 1 };
/// The name since 2023, with the parameters of the L402 repository's protocol-specification.md.
pub(super) static L402: L402Family = L402Family { name: "L402", rank: 0 };

impl Scheme for L402Family {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rank(&self) -> u8 {
        self.rank
    }

    fn challenge(&self, raw: &RawChallenge) -> Result<Challenge, Refused> {
        let token = match (raw.parameter("token")?, raw.parameter("macaroon")?) {
            (None, None) => return Err(Refused::Missing("macaroon")),
            (Some(token), Some(macaroon)) if !same(token, macaroon) => {
                return Err(Refused::Ambiguous);
            }
            (Some(text), _) | (None, Some(text)) => Token::new(text)?,
        };
        let invoice = raw.parameter("invoice")?.ok_or(Refused::Missing("invoice"))?;
        self.restore(token, Invoice::parse(invoice)?)
    }

    fn restore(&self, token: Token, invoice: Invoice) -> Result<Challenge, Refused> {
        let scheme = super::find(self.name).expect("a scheme is in its own table");
        Challenge::new(scheme, token, invoice)
    }

    fn authorization(&self, token: &Token, preimage: &Preimage) -> HeaderValue {
        let text = format!("{} {}:{}", self.name, token.as_str(), preimage.expose_hex());
        let mut value = HeaderValue::try_from(text).expect("a token is printable ASCII");
        value.set_sensitive(true);
        value
    }

    fn ask(&self, asked: &Asked<'_>) -> Option<HeaderValue> {
        let (macaroon, invoice) = asked.token?;
        let (name, token, invoice) = (self.name, macaroon.to_base64(), invoice.as_str());
        let mut text = format!(r#"{name} macaroon="{token}", invoice="{invoice}""#);
        if name == "L402" {
            text.push_str(&format!(r#", version="0", token="{token}""#));
        }
        Some(HeaderValue::try_from(text).expect("base64 and bech32 are printable ASCII"))
    }
}

/// Whether two spellings are one token: the same text, or the same bytes in base64.
fn same(a: &str, b: &str) -> bool {
    a == b || matches!((from_base64(a), from_base64(b)), (Some(a), Some(b)) if a == b)
}
