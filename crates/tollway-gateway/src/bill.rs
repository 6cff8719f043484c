//! What a 402 says: a challenge for each way to pay, in the order that old clients need, and the same in
//! words for whoever reads the body.

use std::time::SystemTime;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LINK, WWW_AUTHENTICATE};
use l402::scheme::{Asked, ChargeDenied};
use serde_json::{Value, json};

use crate::discovery;
use crate::gate::Shut;
use crate::respond::shortened;
use crate::till::Bill;

/// Where the kinds of problems are explained that clients of the `Payment` scheme look for.
const PROBLEMS: &str = "https://paymentauth.org/problems/";

/// The challenges, and what goes with them.
pub(crate) fn headers(bill: &Bill) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let token = bill.token.as_ref().map(|(token, invoice)| (token, invoice));
    let charge = bill.charge.as_ref().map(|(charge, _)| charge);
    for line in l402::scheme::ask_for(Asked { token, charge }) {
        headers.append(WWW_AUTHENTICATE, line);
    }
    headers.insert(LINK, HeaderValue::from_static(discovery::LINK));
    if charge.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
    headers
}

/// The same in words. Where the `Payment` scheme is asked for, it is a problem of RFC 9457 as well.
pub(crate) fn body(bill: &Bill) -> Value {
    let mut body = json!({
        "error": "payment required",
        "detail": shortened(&bill.why.to_string()),
        "service": bill.service,
    });
    let invoices = bill.token.iter().map(|(_, invoice)| invoice);
    if let Some(invoice) = invoices.chain(bill.charge.iter().map(|(_, invoice)| invoice)).next() {
        let expires = invoice.expires_at().and_then(|end| {
            end.duration_since(SystemTime::UNIX_EPOCH).ok().map(|end| end.as_secs())
        });
        body["price"] = invoice.amount().to_string().into();
        body["price_msat"] = invoice.amount().msat().into();
        body["network"] = invoice.network().to_string().into();
        body["invoice"] = invoice.as_str().into();
        body["payment_hash"] = invoice.payment_hash().to_string().into();
        body["expires_at"] = expires.into();
    }
    if let Some((token, _)) = &bill.token {
        body["token"] = token.to_base64().into();
        body["how"] = "pay the Lightning invoice, then send the request again with the header \
                       `Authorization: L402 <token>:<preimage>`, the preimage in hexadecimal"
            .into();
    }
    if bill.charge.is_some() {
        body["type"] = format!("{PROBLEMS}{}", problem(&bill.why)).into();
        body["title"] = "Payment Required".into();
        body["status"] = 402.into();
    }
    body
}

/// Which problem it is (draft-lightning-charge, "Error Responses").
fn problem(why: &Shut) -> &'static str {
    match why {
        Shut::NoCredential => "payment-required",
        Shut::Malformed(_) | Shut::Unreadable(_) | Shut::Two => "lightning/malformed-credential",
        Shut::NotCharged(ChargeDenied::Expired) => "lightning/expired-invoice",
        Shut::NotCharged(ChargeDenied::Preimage) => "lightning/invalid-preimage",
        Shut::NotCharged(_) | Shut::Used => "lightning/unknown-challenge",
        Shut::Denied(_) | Shut::Revoked | Shut::Spent => "verification-failed",
    }
}
