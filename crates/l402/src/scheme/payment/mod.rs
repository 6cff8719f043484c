//! The `Payment` scheme (draft-httpauth-payment) with one method and one intent: a Lightning charge
//! (draft-lightning-charge). One payment is good for one request. Here is what both sides write and
//! read; what only a seller does is in `charge.rs`.

mod charge;
mod receipt;

use std::collections::BTreeMap;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Asked, Challenge, Manner, Refused, Scheme};
use crate::auth_params::RawChallenge;
use crate::hash::Preimage;
use crate::invoice::{Invoice, Network};
use crate::money::Sat;
use crate::token::Token;

pub use charge::{
    Charge, ChargeCredential, ChargeDenied, ChargeKeys, ChargeMalformed, Charged, Field, Offer,
};
pub use receipt::{ChargeReceipt, receipt};

/// The longest `request` we read, in characters.
const LONGEST_REQUEST: usize = 16 * 1024;
const METHOD: &str = "lightning";
const INTENT: &str = "charge";
/// The one value that a challenge's `header` may have.
const PAYMENT_AUTHORIZATION: &str = "Payment-Authorization";

/// The scheme.
#[derive(Debug)]
pub(super) struct PaymentScheme;

pub(super) static PAYMENT: PaymentScheme = PaymentScheme;

/// A challenge's parameters, as a client must send them back (section "Credentials"). A
/// [`Token`] of this scheme is this in JSON and base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Echo {
    id: String,
    realm: String,
    method: String,
    intent: String,
    request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opaque: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
}

/// What is inside `request`: draft-lightning-charge, "Request Schema". Amounts are text.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Request {
    amount: String,
    currency: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "methodDetails")]
    details: Details,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    invoice: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment_hash: Option<String>,
}

/// What a client sends: the challenge and the proof.
#[derive(Deserialize)]
struct Envelope {
    challenge: Echo,
    payload: Payload,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    preimage: String,
}

impl Scheme for PaymentScheme {
    fn name(&self) -> &'static str {
        "Payment"
    }

    fn rank(&self) -> u8 {
        // What it buys is good for one request; a token is good for more.
        2
    }

    fn challenge(&self, raw: &RawChallenge) -> Result<Challenge, Refused> {
        let must = |name| raw.parameter(name)?.ok_or(Refused::Missing(name)).map(str::to_owned);
        let may = |name| Ok::<_, Refused>(raw.parameter(name)?.map(str::to_owned));
        let echo = Echo {
            id: must("id").and_then(|id| match id.is_empty() {
                true => Err(Refused::Missing("id")),
                false => Ok(id),
            })?,
            realm: must("realm")?,
            method: must("method")?,
            intent: must("intent")?,
            request: must("request")?,
            expires: may("expires")?,
            digest: may("digest")?,
            description: may("description")?,
            opaque: may("opaque")?,
            header: may("header")?,
        };
        if echo.method != METHOD || echo.intent != INTENT {
            return Err(Refused::NotOurs("method"));
        }
        if !matches!(echo.header.as_deref(), None | Some(PAYMENT_AUTHORIZATION)) {
            return Err(Refused::NotOurs("header"));
        }
        let invoice = invoice(&echo.request)?;
        let json = serde_json::to_vec(&echo).expect("text can be written as JSON");
        let token = Token::new(&URL_SAFE_NO_PAD.encode(json))?;
        self.offer(&echo, token, invoice)
    }

    fn restore(&self, token: Token, kept: Invoice) -> Result<Challenge, Refused> {
        let echo = Echo::of(&token).ok_or(Refused::NotOurs("token"))?;
        let invoice = invoice(&echo.request)?;
        if invoice != kept {
            let (token, invoice) = (invoice.payment_hash(), kept.payment_hash());
            return Err(Refused::Swapped { token, invoice });
        }
        self.offer(&echo, token, invoice)
    }

    fn manner(&self, token: &Token) -> Manner {
        let echo = Echo::of(token);
        let said = |part: fn(&Echo) -> &Option<String>| echo.as_ref().and_then(|e| part(e).clone());
        let field = match said(|echo| &echo.header) {
            Some(_) => Field::PaymentAuthorization,
            None => Field::Authorization,
        };
        Manner {
            field,
            single_use: true,
            expires: said(|echo| &echo.expires).as_deref().and_then(time),
            digest: said(|echo| &echo.digest),
        }
    }

    fn authorization(&self, token: &Token, preimage: &Preimage) -> HeaderValue {
        // A token that came out of another program's store may be anything; then so is this.
        let challenge = URL_SAFE_NO_PAD.decode(token.as_str()).unwrap_or_default();
        let challenge: Value = serde_json::from_slice(&challenge).unwrap_or_default();
        let credential = serde_json::json!({
            "challenge": challenge,
            "payload": Payload { preimage: preimage.expose_hex() },
        });
        let text = format!("Payment {}", URL_SAFE_NO_PAD.encode(canonical(&credential)));
        let mut value = HeaderValue::try_from(text).expect("base64 is printable ASCII");
        value.set_sensitive(true);
        value
    }

    fn ask(&self, asked: &Asked<'_>) -> Option<HeaderValue> {
        asked.charge.map(Charge::challenge)
    }
}

impl PaymentScheme {
    fn offer(&self, echo: &Echo, token: Token, invoice: Invoice) -> Result<Challenge, Refused> {
        let expires = match &echo.expires {
            Some(text) => Some(time(text).ok_or(Refused::NotOurs("expires"))?),
            None => None,
        };
        let scheme = super::find(self.name()).expect("a scheme is in its own table");
        // The invoice is part of what is sent back.
        Ok(Challenge { scheme, token, invoice, bound: true, expires })
    }
}

impl Echo {
    /// What a token of this scheme holds.
    fn of(token: &Token) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(token.as_str()).ok()?;
        serde_json::from_slice(&json).ok()
    }
}

/// Reads `request`, and checks that what it says of the invoice is true.
fn invoice(request: &str) -> Result<Invoice, Refused> {
    const REQUEST: Refused = Refused::NotOurs("request");
    if request.len() > LONGEST_REQUEST {
        return Err(REQUEST);
    }
    let json = URL_SAFE_NO_PAD.decode(request).map_err(|_| REQUEST)?;
    let request: Request = serde_json::from_slice(&json).map_err(|_| REQUEST)?;
    let invoice = Invoice::parse(&request.details.invoice)?;
    let plain = request.amount.bytes().all(|byte| byte.is_ascii_digit());
    let amount = request.amount.parse().ok().filter(|_| plain).map(Sat::from_sat);
    let said = amount.and_then(Sat::to_msat);
    let same = |said: &Option<String>, is: &str| said.as_deref().is_none_or(|said| said == is);
    let hash = invoice.payment_hash().to_string();
    let true_of_it = request.currency == "sat"
        && said == Some(invoice.amount())
        && same(&request.details.payment_hash, &hash)
        && network(invoice.network()).is_none_or(|is| same(&request.details.network, is));
    if true_of_it { Ok(invoice) } else { Err(Refused::Contradicts) }
}

/// A network's name in this scheme, where it has one.
fn network(network: Network) -> Option<&'static str> {
    match network {
        Network::Mainnet => Some("mainnet"),
        Network::Signet => Some("signet"),
        Network::Regtest => Some("regtest"),
        Network::Testnet => None,
    }
}

/// JSON in the one form that has one spelling (RFC 8785). There are no numbers in ours.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            // By UTF-16 code units, as the text says; the same as by bytes for our keys.
            let sorted: BTreeMap<Vec<u16>, (&String, &Value)> = members
                .iter()
                .map(|(key, value)| (key.encode_utf16().collect(), (key, value)))
                .collect();
            let members: Vec<String> = sorted
                .into_values()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}

/// An RFC 3339 time.
fn time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

/// The same in text, in whole seconds, UTC.
fn time_text(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let stamp = i64::try_from(seconds).ok().and_then(|at| Timestamp::from_second(at).ok());
    stamp.unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests;
