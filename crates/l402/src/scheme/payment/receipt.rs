//! `Payment-Receipt`: what a seller says when it has taken a payment (section "Receipt"). It names the
//! payment, and never its preimage.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::{METHOD, canonical, time, time_text};
use crate::hash::PaymentHash;

const NAME: &str = "payment-receipt";
/// The longest receipt we read, in characters.
const LONGEST: usize = 16 * 1024;

/// What `Payment-Receipt` says.
pub fn receipt(challenge: &str, hash: PaymentHash, now: SystemTime) -> HeaderValue {
    let receipt = json!({
        "method": METHOD,
        "challengeId": challenge,
        "reference": hash.to_string(),
        "status": "success",
        "timestamp": time_text(now),
    });
    let text = URL_SAFE_NO_PAD.encode(canonical(&receipt));
    HeaderValue::try_from(text).expect("base64 is printable ASCII")
}

/// A seller's word that it has taken a payment. It is no proof of anything: whoever answers can write
/// one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargeReceipt {
    /// Which payment.
    pub hash: PaymentHash,
    /// The id of the challenge that it was for, where it is said. Hostile text: escape it before a
    /// terminal sees it.
    pub challenge: Option<String>,
    /// When it was taken, by the seller's clock, where it is said.
    pub at: Option<SystemTime>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    method: String,
    reference: PaymentHash,
    status: String,
    challenge_id: Option<String>,
    timestamp: Option<String>,
}

impl ChargeReceipt {
    /// Reads an answer's receipt; `None` when there is none, more than one, or none of a payment over
    /// Lightning that was a success.
    pub fn read(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(NAME).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        if line.len() > LONGEST {
            return None;
        }
        let json = URL_SAFE_NO_PAD.decode(line.as_bytes().trim_ascii()).ok()?;
        let written: Written = serde_json::from_slice(&json).ok()?;
        if written.method != METHOD || written.status != "success" {
            return None;
        }
        let at = written.timestamp.as_deref().and_then(time);
        Some(Self { hash: written.reference, challenge: written.challenge_id, at })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(value: HeaderValue) -> Option<ChargeReceipt> {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, value);
        ChargeReceipt::read(&headers)
    }

    #[test]
    fn a_receipt_says_what_was_written() {
        let (hash, at) =
            (PaymentHash([5; 32]), SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let said = read(receipt("an-id", hash, at)).unwrap();
        let challenge = Some("an-id".to_owned());
        assert_eq!(said, ChargeReceipt { hash, challenge, at: Some(at) });
    }

    #[test]
    fn what_is_no_receipt_of_a_payment_is_none() {
        let hash = PaymentHash([5; 32]).to_string();
        for bad in [
            json!({ "method": "lightning", "reference": hash, "status": "failed" }),
            json!({ "method": "tempo", "reference": hash, "status": "success" }),
            json!({ "method": "lightning", "reference": "an-id", "status": "success" }),
            json!({ "method": "lightning", "reference": hash }),
        ] {
            let text = URL_SAFE_NO_PAD.encode(bad.to_string());
            assert_eq!(read(HeaderValue::try_from(text).unwrap()), None, "{bad}");
        }
        assert_eq!(read(HeaderValue::from_static("not base64!")), None);
    }
}
