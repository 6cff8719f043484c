//! A response and a price as one JSON object, and a price for people.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use tollway_client::{Payment, Price, Receipt, Response};

use crate::terminal::{DIM, STRONG, escape, paint};
use crate::utc;

/// What came, and what was paid for it.
#[derive(Serialize)]
pub(crate) struct Got {
    status: u16,
    url: String,
    headers: BTreeMap<String, Vec<String>>,
    payment: Option<Paid>,
    /// The body, when it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The body in standard base64, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// Where the body was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct Paid {
    /// `bought`, `token` (bought earlier) or `recovered` (begun earlier).
    by: &'static str,
    payment_hash: String,
    amount_msat: u64,
    fee_msat: u64,
    paid_at: String,
    description: Option<String>,
}

impl Got {
    /// The head; the body comes later.
    pub(crate) fn new(response: &Response) -> Self {
        let mut headers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, value) in response.headers() {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.entry(name.to_string()).or_default().push(text);
        }
        let payment = match response.payment() {
            Payment::None => None,
            Payment::Bought(receipt) => Some(Paid::new("bought", receipt)),
            Payment::Token(receipt) => Some(Paid::new("token", receipt)),
            Payment::Recovered(receipt) => Some(Paid::new("recovered", receipt)),
        };
        Self {
            status: response.status().as_u16(),
            url: response.url().to_string(),
            headers,
            payment,
            body: None,
            body_base64: None,
            file: None,
        }
    }

    /// With the body in it.
    pub(crate) fn with_body(mut self, body: Vec<u8>) -> Self {
        match String::from_utf8(body) {
            Ok(text) => self.body = Some(text),
            Err(bytes) => self.body_base64 = Some(BASE64_STANDARD.encode(bytes.as_bytes())),
        }
        self
    }

    /// With the place where the body is.
    pub(crate) fn with_file(mut self, file: &Path) -> Self {
        self.file = Some(file.display().to_string());
        self
    }
}

impl Paid {
    fn new(by: &'static str, receipt: &Receipt) -> Self {
        Self {
            by,
            payment_hash: receipt.hash.to_string(),
            amount_msat: receipt.amount.msat(),
            fee_msat: receipt.fee.msat(),
            paid_at: utc::date(receipt.paid_at),
            description: receipt.description.clone(),
        }
    }
}

/// What a dry run found.
#[derive(Serialize)]
pub(crate) struct WouldPay {
    would_pay: bool,
    status: u16,
    amount_msat: Option<u64>,
    max_fee_msat: Option<u64>,
    payment_hash: Option<String>,
    payee: Option<String>,
    network: Option<String>,
    scheme: Option<&'static str>,
    description: Option<String>,
    expires_at: Option<String>,
    /// Whether the token shows that it is for this invoice.
    bound: Option<bool>,
    /// A payment that was begun earlier for the same thing.
    earlier: Option<String>,
    #[serde(skip)]
    words: String,
}

impl WouldPay {
    /// It would be paid for.
    pub(crate) fn price(price: &Price) -> Self {
        let mut words = format!(
            "would pay {} and at most {} for routing\n",
            paint(STRONG, price.amount),
            price.max_fee
        );
        let mut line = |name: &str, value: &str| {
            words.push_str(&format!("  {} {}\n", paint(DIM, name), escape(value)));
        };
        if let Some(description) = &price.description {
            line("for      ", description);
        }
        line("to       ", &format!("{} on {}", price.payee, price.network));
        if let Some(at) = price.expires_at {
            line("until    ", &utc::date(at));
        }
        if !price.bound {
            line("beware   ", "nothing in the token shows that it is for this invoice");
        }
        if let Some(hash) = price.earlier {
            line("earlier  ", &format!("payment {hash} was begun; the node is asked first"));
        }
        Self {
            would_pay: true,
            status: 402,
            amount_msat: Some(price.amount.msat()),
            max_fee_msat: Some(price.max_fee.msat()),
            payment_hash: Some(price.hash.to_string()),
            payee: Some(price.payee.to_string()),
            network: Some(price.network.to_string()),
            scheme: Some(price.scheme),
            description: price.description.clone(),
            expires_at: price.expires_at.map(utc::date),
            bound: Some(price.bound),
            earlier: price.earlier.map(|hash| hash.to_string()),
            words,
        }
    }

    /// It was answered without a payment.
    pub(crate) fn nothing(response: &Response) -> Self {
        let by = match response.payment() {
            Payment::None => "nothing is asked",
            _ => "a token in the wallet opens it",
        };
        Self {
            would_pay: false,
            status: response.status().as_u16(),
            amount_msat: None,
            max_fee_msat: None,
            payment_hash: None,
            payee: None,
            network: None,
            scheme: None,
            description: None,
            expires_at: None,
            bound: None,
            earlier: None,
            words: format!("would pay nothing: {by}; the answer is {}", response.status()),
        }
    }
}

impl fmt::Display for WouldPay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
