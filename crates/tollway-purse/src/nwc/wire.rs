//! NIP-47's requests and answers, as far as a wallet service reads and writes them
//! (<https://github.com/nostr-protocol/nips/blob/master/47.md>).

use l402::PaymentHash;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What every connection may do, and what one with something to spend may do besides.
pub(crate) const METHODS: &[&str] = &[
    "get_info",
    "get_balance",
    "get_budget",
    "make_invoice",
    "lookup_invoice",
    "list_transactions",
];
pub(crate) const PAY: &str = "pay_invoice";

/// A request, decrypted.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) params: Value,
}

/// `pay_invoice`.
#[derive(Debug, Deserialize)]
pub(crate) struct PayInvoice {
    pub(crate) invoice: String,
    /// In millisatoshi; for invoices without an amount, which are not paid here.
    pub(crate) amount: Option<u64>,
}

/// `make_invoice`.
#[derive(Debug, Deserialize)]
pub(crate) struct MakeInvoice {
    /// In millisatoshi.
    pub(crate) amount: u64,
    #[serde(default)]
    pub(crate) description: Option<String>,
    /// In seconds.
    pub(crate) expiry: Option<u64>,
}

/// `lookup_invoice`: by either.
#[derive(Debug, Deserialize)]
pub(crate) struct LookupInvoice {
    pub(crate) payment_hash: Option<PaymentHash>,
    pub(crate) invoice: Option<String>,
}

/// `list_transactions`. Times are in seconds since 1970.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListTransactions {
    pub(crate) from: Option<u64>,
    pub(crate) until: Option<u64>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: Option<usize>,
    pub(crate) unpaid: Option<bool>,
    pub(crate) r#type: Option<String>,
}

/// A payment or an invoice. Amounts are in millisatoshi, times in seconds since 1970.
#[derive(Debug, Serialize)]
pub(crate) struct Transaction {
    pub(crate) r#type: &'static str,
    pub(crate) state: &'static str,
    pub(crate) invoice: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preimage: Option<String>,
    pub(crate) payment_hash: PaymentHash,
    pub(crate) amount: u64,
    pub(crate) fees_paid: u64,
    pub(crate) created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settled_at: Option<u64>,
}

/// Why a request was not carried out, with NIP-47's word for it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum No {
    #[error("this connection's budget does not reach: {0}")]
    Quota(String),
    #[error("the wallet has not enough")]
    Balance,
    #[error("{0}")]
    NotPaid(String),
    #[error("this connection may not do that")]
    Restricted,
    #[error("there is no connection with this key any more")]
    Unauthorized,
    #[error("`{0}` is not possible here")]
    NotImplemented(String),
    #[error("this connection knows no such payment or invoice")]
    NotFound,
    #[error("too many requests at once; wait for answers first")]
    RateLimited,
    #[error("{0}")]
    Encryption(String),
    #[error("{0}")]
    Internal(String),
    #[error("{0}")]
    Other(String),
}

impl No {
    const fn code(&self) -> &'static str {
        match self {
            Self::Quota(_) => "QUOTA_EXCEEDED",
            Self::Balance => "INSUFFICIENT_BALANCE",
            Self::NotPaid(_) => "PAYMENT_FAILED",
            Self::Restricted => "RESTRICTED",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::NotImplemented(_) => "NOT_IMPLEMENTED",
            Self::NotFound => "NOT_FOUND",
            Self::RateLimited => "RATE_LIMITED",
            Self::Encryption(_) => "UNSUPPORTED_ENCRYPTION",
            Self::Internal(_) => "INTERNAL",
            Self::Other(_) => "OTHER",
        }
    }
}

/// A request's parameters. Whatever a newer application adds is not looked at.
pub(crate) fn read<T: DeserializeOwned>(params: Value) -> Result<T, No> {
    let params = if params.is_null() { json!({}) } else { params };
    serde_json::from_value(params).map_err(|error| No::Other(format!("the parameters: {error}")))
}

/// The text of an answer.
pub(crate) fn answer(method: &str, result: Result<Value, No>) -> String {
    match result {
        Ok(result) => json!({ "result_type": method, "result": result }),
        Err(no) => json!({
            "result_type": method,
            "error": { "code": no.code(), "message": no.to_string() },
            "result": null,
        }),
    }
    .to_string()
}
