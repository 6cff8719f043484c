//! The seller's side: makes challenges that need not be kept, because each carries a MAC over all that
//! it says, and reads what comes back. That a payment is good for one request only is for a store to
//! hold; nothing here remembers.

use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::{
    Details, Echo, Envelope, INTENT, METHOD, Request, canonical, network, time, time_text,
};
use crate::hash::{PaymentHash, Preimage};
use crate::invoice::Invoice;
use crate::macaroon::hmac;
use crate::money::Msat;
use crate::secret::Secret;

/// The longest credential we read, in characters. Servers must take 4 KiB.
const LONGEST: usize = 64 * 1024;
static CREDENTIAL: HeaderName = HeaderName::from_static("payment-authorization");

/// The keys that challenges are bound with: one to make them, and older ones whose challenges are
/// still good.
#[derive(Clone, Debug)]
pub struct ChargeKeys {
    current: Secret<Vec<u8>>,
    previous: Vec<Secret<Vec<u8>>>,
}

/// In which header a client is to send its credential, and in no other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field {
    /// `Authorization`.
    #[default]
    Authorization,
    /// `Payment-Authorization`, which leaves `Authorization` to the application.
    PaymentAuthorization,
}

/// What a challenge is bound to. Whatever a client sends back must have been asked for exactly this.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Whom the client thinks it is talking to: the host.
    pub realm: &'a str,
    /// Which service.
    pub service: &'a str,
    /// Which request: method, path and query.
    pub route: &'a str,
    /// Where the credential goes.
    pub field: Field,
}

/// One challenge, made.
#[derive(Clone, Debug)]
pub struct Charge {
    pub(super) echo: Echo,
}

/// A credential as it came, read but not believed.
pub struct ChargeCredential {
    echo: Echo,
    preimage: Preimage,
}

/// Proof that a credential of this scheme was verified. Only [`ChargeCredential::verify`] makes one.
/// Whether its payment was used before, a store must say.
#[derive(Clone, Debug)]
#[must_use]
pub struct Charged {
    hash: PaymentHash,
    amount: Msat,
    id: String,
    expires: SystemTime,
}

/// A credential in this scheme cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChargeMalformed {
    /// Longer than any real one.
    #[error("the credential is longer than any real one")]
    TooLong,
    /// Not base64url of a challenge and a payload.
    #[error("the credential is not a challenge and a payload in JSON and base64url")]
    Encoding,
    /// Not a preimage.
    #[error("the preimage is not 64 lower-case hexadecimal digits")]
    Preimage,
    /// More than one, and which is meant is anybody's guess.
    #[error("the request has more than one payment credential")]
    Several,
}

/// Why a credential of this scheme does not open this door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChargeDenied {
    /// We never asked that, or something was changed.
    #[error("the challenge is not one of ours")]
    Unknown,
    /// It was asked for another request.
    #[error("the challenge was for another request")]
    OtherRequest,
    /// It is too late.
    #[error("the challenge has expired")]
    Expired,
    /// Not paid.
    #[error("the preimage does not open the challenge's payment hash")]
    Preimage,
}

impl ChargeKeys {
    /// A key to bind challenges with, of at least 32 random bytes, and older ones, the newest first.
    pub fn new(current: Secret<Vec<u8>>, previous: Vec<Secret<Vec<u8>>>) -> Self {
        Self { current, previous }
    }

    /// Makes the challenge that asks for `invoice`, good until `expires` (whole seconds).
    ///
    /// `None` when the invoice is not over whole satoshis, in which this scheme counts, or the realm
    /// has characters that a challenge cannot hold.
    pub fn charge(
        &self,
        offer: &Offer<'_>,
        price: Msat,
        invoice: &Invoice,
        expires: SystemTime,
    ) -> Option<Charge> {
        // A `|` would move what follows into another place of the MAC.
        let plain =
            |byte: u8| (b' '..=b'~').contains(&byte) && !matches!(byte, b'|' | b'"' | b'\\');
        let amount = invoice.amount().sat_ceil();
        if amount.to_msat() != Some(invoice.amount()) || !offer.realm.bytes().all(plain) {
            return None;
        }
        let details = Details {
            invoice: invoice.as_str().to_owned(),
            network: network(invoice.network()).map(str::to_owned),
            payment_hash: Some(invoice.payment_hash().to_string()),
        };
        let amount = amount.sat().to_string();
        let request = Request { amount, currency: "sat".to_owned(), description: None, details };
        let request = serde_json::to_value(request).expect("text can be written as JSON");
        let mut opaque = offer.opaque();
        opaque["price_msat"] = price.msat().to_string().into();
        let mut echo = Echo {
            id: String::new(),
            realm: offer.realm.to_owned(),
            method: METHOD.to_owned(),
            intent: INTENT.to_owned(),
            request: URL_SAFE_NO_PAD.encode(canonical(&request)),
            expires: Some(time_text(expires)),
            digest: None,
            description: None,
            opaque: Some(URL_SAFE_NO_PAD.encode(canonical(&opaque))),
            header: offer.field.parameter().map(str::to_owned),
        };
        echo.id = echo.bind(&self.current);
        Some(Charge { echo })
    }

    fn made(&self, echo: &Echo) -> bool {
        std::iter::once(&self.current)
            .chain(&self.previous)
            .any(|key| echo.bind(key).as_bytes().ct_eq(echo.id.as_bytes()).into())
    }
}

impl Offer<'_> {
    fn opaque(&self) -> serde_json::Value {
        json!({ "service": self.service, "route": self.route })
    }

    /// Whether `opaque` says this service and route, at whatever price it was.
    fn is_in(&self, opaque: &str) -> bool {
        let json = URL_SAFE_NO_PAD.decode(opaque).unwrap_or_default();
        let said: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
        let is =
            |key: &str, value: &str| said.get(key).and_then(|said| said.as_str()) == Some(value);
        is("service", self.service) && is("route", self.route)
    }
}

impl Field {
    /// The header's name.
    pub fn name(self) -> &'static HeaderName {
        match self {
            Self::Authorization => {
                static NAME: HeaderName = AUTHORIZATION;
                &NAME
            }
            Self::PaymentAuthorization => &CREDENTIAL,
        }
    }

    fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Authorization => None,
            Self::PaymentAuthorization => Some(super::PAYMENT_AUTHORIZATION),
        }
    }
}

impl Echo {
    /// The challenge's id: a MAC over everything in it that means something, each in its place
    /// (section "Challenge Binding"; `header` where the deployed implementations have it).
    fn bind(&self, key: &Secret<Vec<u8>>) -> String {
        let [expires, digest, header, opaque] =
            [&self.expires, &self.digest, &self.header, &self.opaque]
                .map(|slot| slot.as_deref().unwrap_or_default());
        let mut slots =
            vec![&*self.realm, &self.method, &self.intent, &self.request, expires, digest];
        slots.extend(self.header.is_some().then_some(header));
        slots.push(opaque);
        URL_SAFE_NO_PAD.encode(hmac(key.expose(), slots.join("|").as_bytes()))
    }
}

impl Charge {
    /// The `WWW-Authenticate` value that asks for it.
    pub fn challenge(&self) -> HeaderValue {
        let Echo { id, realm, method, intent, request, .. } = &self.echo;
        let mut text = format!(
            r#"Payment id="{id}", realm="{realm}", method="{method}", intent="{intent}", request="{request}""#
        );
        let more = [
            ("expires", &self.echo.expires),
            ("opaque", &self.echo.opaque),
            ("header", &self.echo.header),
        ];
        for (name, value) in more {
            if let Some(value) = value {
                text.push_str(&format!(r#", {name}="{value}""#));
            }
        }
        HeaderValue::try_from(text).expect("it was made of printable ASCII")
    }

    /// What it is called in a receipt.
    pub fn id(&self) -> &str {
        &self.echo.id
    }
}

impl ChargeCredential {
    /// Reads a request's credential in this scheme from the one header where it belongs. `None` when
    /// there is none; other schemes there are not our business.
    ///
    /// # Errors
    /// One is there and cannot be read, or more than one.
    pub fn read(headers: &HeaderMap, field: Field) -> Result<Option<Self>, ChargeMalformed> {
        let lines = headers.get_all(field.name()).iter();
        let mut ours = lines.filter_map(|line| after_scheme(line.as_bytes()));
        match (ours.next(), ours.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(ChargeMalformed::Several),
            (Some(text), None) => Self::parse(text).map(Some),
        }
    }

    fn parse(text: &[u8]) -> Result<Self, ChargeMalformed> {
        if text.len() > LONGEST {
            return Err(ChargeMalformed::TooLong);
        }
        // Two in one line, as RFC 9110 lets lists be joined.
        if text.contains(&b',') {
            return Err(ChargeMalformed::Several);
        }
        let text = text
            .trim_ascii()
            .strip_suffix(b"=")
            .map_or(text.trim_ascii(), |text| text.strip_suffix(b"=").unwrap_or(text));
        let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| ChargeMalformed::Encoding)?;
        let envelope: Envelope =
            serde_json::from_slice(&json).map_err(|_| ChargeMalformed::Encoding)?;
        let preimage = Secret::new(envelope.payload.preimage);
        let lower = preimage.expose().bytes().all(|byte| !byte.is_ascii_uppercase());
        let parsed = preimage.expose().parse().ok().filter(|_| lower);
        let preimage = parsed.ok_or(ChargeMalformed::Preimage)?;
        Ok(Self { echo: envelope.challenge, preimage })
    }

    /// Judges it. Pure: the same inputs give the same answer, and nothing is looked up.
    ///
    /// # Errors
    /// Why it does not open this door.
    pub fn verify(
        &self,
        keys: &ChargeKeys,
        offer: &Offer<'_>,
        now: SystemTime,
    ) -> Result<Charged, ChargeDenied> {
        let echo = &self.echo;
        // Nothing that we did not say ourselves is looked at further.
        if !keys.made(echo) {
            return Err(ChargeDenied::Unknown);
        }
        let expires = echo.expires.as_deref().and_then(time).ok_or(ChargeDenied::Unknown)?;
        let same_place = echo.realm == offer.realm
            && echo.header.as_deref() == offer.field.parameter()
            && echo.opaque.as_deref().is_some_and(|opaque| offer.is_in(opaque));
        if !same_place {
            return Err(ChargeDenied::OtherRequest);
        }
        if now >= expires {
            return Err(ChargeDenied::Expired);
        }
        let invoice = super::invoice(&echo.request).map_err(|_| ChargeDenied::Unknown)?;
        let hash = invoice.payment_hash();
        match self.preimage.opens(hash) {
            true => Ok(Charged { hash, amount: invoice.amount(), id: echo.id.clone(), expires }),
            false => Err(ChargeDenied::Preimage),
        }
    }
}

#[cfg(test)]
impl ChargeCredential {
    pub(super) fn test(echo: Echo, preimage: Preimage) -> Self {
        Self { echo, preimage }
    }
}

impl Charged {
    /// The payment it stands for.
    pub fn payment_hash(&self) -> PaymentHash {
        self.hash
    }

    /// What was paid.
    pub fn amount(&self) -> Msat {
        self.amount
    }

    /// When nobody can use that payment any more.
    pub fn expires(&self) -> SystemTime {
        self.expires
    }

    /// The `Payment-Receipt` of a request that succeeded with it.
    pub fn receipt(&self, now: SystemTime) -> HeaderValue {
        super::receipt(&self.id, self.hash, now)
    }
}

/// What follows `Payment `, in any case.
fn after_scheme(line: &[u8]) -> Option<&[u8]> {
    let (word, rest) = line.trim_ascii().split_at_checked("Payment".len())?;
    let rest = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"\t"))?;
    word.eq_ignore_ascii_case(b"Payment").then(|| rest.trim_ascii())
}

impl fmt::Debug for ChargeCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChargeCredential({})", self.echo.id)
    }
}
