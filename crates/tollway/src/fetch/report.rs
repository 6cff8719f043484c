//! A response and a price as one JSON object, and a price for people.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use l402::{Msat, PaymentHash};
use serde::Serialize;
use tollway_client::{MoneyMoved, Payment, Price, Receipt, Response, Timings, Token};

use crate::failure::Failure;
use crate::rates::Rate;
use crate::terminal::{DIM, STRONG, escape, paint};
use crate::utc;

/// One transfer: what came, and what was paid for it. Units are in the names.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Got {
    /// Which of the command's URLs, from 0.
    pub(crate) number: usize,
    pub(crate) url: String,
    pub(crate) final_url: Option<String>,
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) status: Option<u16>,
    pub(crate) http_version: Option<String>,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) num_headers: usize,
    pub(crate) content_type: Option<String>,
    pub(crate) redirect_url: Option<String>,
    pub(crate) redirects: usize,
    pub(crate) retries: u32,
    pub(crate) remote_ip: Option<String>,
    pub(crate) remote_port: Option<u16>,
    /// Where the body was written.
    pub(crate) output_path: Option<String>,
    pub(crate) bytes: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_per_second: u64,
    pub(crate) duration_ms: u64,
    pub(crate) seconds: f64,
    pub(crate) head_seconds: Option<f64>,
    /// When the points on the way were passed first, in seconds; 0 for what was not needed.
    pub(crate) lookup_seconds: f64,
    pub(crate) connect_seconds: f64,
    pub(crate) tls_seconds: f64,
    pub(crate) ready_seconds: f64,
    pub(crate) payment: Paid,
    /// The server's own word that it has taken the payment, where it gives one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) receipt: Option<Taken>,
    /// The body, when it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
    /// The body in standard base64, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body_base64: Option<String>,
    /// Why it failed, when it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<serde_json::Value>,
    pub(crate) exit_code: u8,
}

/// What was paid, by this command or an earlier one.
#[derive(Debug, Serialize)]
pub(crate) struct Paid {
    /// Whether money left because of this command, or it learned that money had left.
    pub(crate) paid: bool,
    /// Whether a token that was bought earlier opened it.
    pub(crate) reused: bool,
    /// `none`, `bought`, `token` (bought earlier) or `recovered` (begun earlier).
    pub(crate) by: &'static str,
    #[serde(skip)]
    hash: Option<PaymentHash>,
    scheme: Option<&'static str>,
    payment_hash: Option<String>,
    amount_msat: Option<u64>,
    fee_msat: Option<u64>,
    paid_at: Option<String>,
    description: Option<String>,
    /// By which the wallet knows the token.
    credential_id: Option<String>,
    invoice: Option<String>,
    /// Which node paid, without what is secret in its URL.
    node: Option<String>,
    /// The proof; only when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    preimage: Option<String>,
    /// The most that another payment there may cost, by every budget; null where none limits it.
    pub(crate) budget_remaining_msat: Option<u64>,
}

/// What the server says of a payment that it has taken.
#[derive(Debug, Serialize)]
pub(crate) struct Taken {
    payment_hash: String,
    challenge_id: Option<String>,
    taken_at: Option<String>,
}

impl Got {
    /// The head; the body comes later.
    pub(crate) fn head(&mut self, response: &Response) {
        // An earlier try may have had others.
        self.headers.clear();
        for (name, value) in response.headers() {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            self.headers.entry(name.to_string()).or_default().push(text);
        }
        self.num_headers = response.headers().len();
        let first = |name: &str| self.headers.get(name).and_then(|all| all.first()).cloned();
        (self.content_type, self.redirect_url) = (first("content-type"), first("location"));
        let location = self.redirect_url.as_deref();
        self.redirect_url = location
            .filter(|_| response.status().is_redirection())
            .and_then(|location| response.url().join(location).ok())
            .map(|url| url.to_string());
        self.final_url = Some(response.url().to_string());
        self.status = Some(response.status().as_u16());
        self.http_version = Some(version(response.version()).to_owned());
        self.redirects = response.redirects();
        self.remote_ip = response.remote_addr().map(|addr| addr.ip().to_string());
        self.remote_port = response.remote_addr().map(|addr| addr.port());
        self.payment = Paid::of(response.payment());
        self.receipt = response.charge_receipt().map(|receipt| Taken {
            payment_hash: receipt.hash.to_string(),
            challenge_id: receipt.challenge,
            taken_at: receipt.at.map(utc::date),
        });
    }

    /// When the points on the way were passed.
    pub(crate) fn points(&mut self, started: Instant, timings: Timings) {
        let seconds = |at: Option<Instant>| {
            at.map_or(0.0, |at| at.saturating_duration_since(started).as_secs_f64())
        };
        self.lookup_seconds = seconds(timings.looked_up);
        self.connect_seconds = seconds(timings.connected);
        self.tls_seconds = seconds(timings.secured);
        self.ready_seconds = seconds(timings.ready);
    }

    /// What became of the money where there is no response.
    pub(crate) fn failed(&mut self, failure: &Failure) {
        if let Some((MoneyMoved::Yes, Some(hash))) = failure.money()
            && self.payment.hash.is_none()
        {
            self.payment =
                Paid { paid: true, by: "bought", hash: Some(hash), ..Paid::of(&Payment::None) };
        }
    }

    /// The body.
    pub(crate) fn body(&mut self, body: Vec<u8>) {
        match String::from_utf8(body) {
            Ok(text) => self.body = Some(text),
            Err(bytes) => self.body_base64 = Some(BASE64_STANDARD.encode(bytes.as_bytes())),
        }
    }
}

fn version(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_09 => "0.9",
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        http::Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// For people there is nothing to say: they have had the body.
impl fmt::Display for Got {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Default for Paid {
    fn default() -> Self {
        Self::of(&Payment::None)
    }
}

impl Paid {
    /// What a response says of it.
    pub(crate) fn of(payment: &Payment) -> Self {
        let (by, paid, reused) = match payment {
            Payment::None => ("none", false, false),
            Payment::Bought(_) => ("bought", true, false),
            Payment::Token(_) => ("token", false, true),
            Payment::Recovered(_) => ("recovered", true, true),
        };
        let nothing = Self {
            paid,
            reused,
            by,
            hash: None,
            scheme: None,
            payment_hash: None,
            amount_msat: None,
            fee_msat: None,
            paid_at: None,
            description: None,
            credential_id: None,
            invoice: None,
            node: None,
            preimage: None,
            budget_remaining_msat: None,
        };
        match payment.receipt() {
            Some(receipt) => nothing.with(receipt),
            None => nothing,
        }
    }

    fn with(self, receipt: &Receipt) -> Self {
        Self {
            hash: Some(receipt.hash),
            scheme: Some(receipt.scheme),
            payment_hash: Some(receipt.hash.to_string()),
            amount_msat: Some(receipt.amount.msat()),
            fee_msat: Some(receipt.fee.msat()),
            paid_at: Some(utc::date(receipt.paid_at)),
            description: receipt.description.clone(),
            credential_id: Some(receipt.hash.to_string()),
            ..self
        }
    }

    /// Which payment.
    pub(crate) const fn hash(&self) -> Option<PaymentHash> {
        self.hash
    }

    /// What the wallet knows besides.
    pub(crate) fn known(self, token: &Token, show_preimage: bool) -> Self {
        Self {
            invoice: token.invoice.as_ref().map(|invoice| invoice.as_str().to_owned()),
            node: token.node.clone(),
            preimage: show_preimage.then(|| token.preimage.expose_hex()),
            ..self.with(&token.receipt())
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
    /// In the user's own currency, where a source of rates is set.
    worth: Option<String>,
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
            worth: None,
            words,
        }
    }

    /// Shows the price in the user's currency, too.
    pub(crate) fn in_currency(&mut self, rate: &Rate) {
        if let Some(amount) = self.amount_msat.map(Msat::from_msat) {
            let worth = rate.show(amount);
            self.words.push_str(&format!("  {} {worth}\n", paint(DIM, "worth    ")));
            self.worth = Some(worth);
        }
    }

    /// Whether money is asked.
    pub(crate) const fn would_pay(&self) -> bool {
        self.would_pay
    }

    /// The price in a few words.
    pub(crate) fn price_words(&self) -> String {
        let amount = self.amount_msat.map(Msat::from_msat).unwrap_or_default();
        match &self.description {
            Some(description) => format!("{amount} for “{description}”"),
            None => amount.to_string(),
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
            worth: None,
            words: format!("would pay nothing: {by}; the answer is {}", response.status()),
        }
    }
}

impl fmt::Display for WouldPay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}
