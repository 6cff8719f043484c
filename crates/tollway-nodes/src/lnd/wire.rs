//! lnd's messages, as far as we read and write them. In its JSON, 64-bit numbers are strings and
//! bytes are base64 (protobuf's JSON mapping).

use l402::{Msat, Network, PaymentHash, Preimage, Why};
use serde::{Deserialize, Serialize};

use super::fault::{self, Trouble};
use crate::remote::Word;

/// `GET /v1/state`.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    pub(super) state: String,
}

/// `GET /v1/getinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    #[serde(default)]
    pub(super) identity_pubkey: String,
    #[serde(default)]
    pub(super) alias: String,
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) num_peers: u32,
    pub(super) synced_to_chain: bool,
    pub(super) block_height: u32,
    chains: Vec<Chain>,
}

#[derive(Debug, Deserialize)]
struct Chain {
    network: String,
}

impl Info {
    pub(super) fn network(&self) -> Result<Network, l402::NodeError> {
        let name = self.chains.first().map_or("", |chain| &chain.network);
        name.parse().map_err(|_| {
            let unknown = Trouble::UnknownNetwork { name: name.to_owned() };
            fault::error(l402::NodeErrorKind::Refused, unknown)
        })
    }
}

/// `POST /v2/router/send`.
#[derive(Debug, Serialize)]
pub(super) struct Send<'a> {
    pub(super) payment_request: &'a str,
    pub(super) fee_limit_msat: String,
    /// How long new routes are tried. What is in flight then stays in flight.
    pub(super) timeout_seconds: i32,
    pub(super) no_inflight_updates: bool,
}

/// One line of a stream, and the body of an error.
#[derive(Debug, Deserialize)]
pub(super) struct Line<T> {
    pub(super) result: Option<T>,
    pub(super) error: Option<Refusal>,
}

/// An error, as gRPC has it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) code: i32,
    #[serde(default)]
    pub(super) message: String,
}

impl Refusal {
    /// lnd calls it an error to be asked to connect to whom it is connected to.
    pub(super) fn is_already_connected(&self) -> bool {
        self.message.contains("already connected to peer")
    }

    /// The macaroon does not do, or not any more.
    pub(super) fn is_of_the_macaroon(&self) -> bool {
        self.message.contains("permission denied") || self.message.contains("macaroon")
    }
}

/// How a payment stands: what `/v2/router/send` and `/v2/router/track` say.
#[derive(Debug, Deserialize)]
pub(super) struct Payment {
    status: String,
    #[serde(default)]
    payment_preimage: String,
    #[serde(default)]
    fee_msat: String,
    #[serde(default)]
    failure_reason: String,
}

impl Payment {
    /// Nothing, when it is in no state that we know.
    pub(super) fn word(&self) -> Option<Word> {
        match self.status.as_str() {
            "INITIATED" | "IN_FLIGHT" => Some(Word::InFlight),
            "FAILED" => Some(Word::NotPaid(why(&self.failure_reason))),
            "SUCCEEDED" => {
                let preimage: Preimage = self.payment_preimage.parse().ok()?;
                let fee = Msat::from_msat(self.fee_msat.parse().ok()?);
                Some(Word::Paid { preimage, fee })
            }
            _ => None,
        }
    }
}

fn why(reason: &str) -> Why {
    match reason {
        "FAILURE_REASON_NO_ROUTE" | "FAILURE_REASON_TIMEOUT" => Why::NoRoute,
        "FAILURE_REASON_INSUFFICIENT_BALANCE" => Why::Balance,
        "FAILURE_REASON_INCORRECT_PAYMENT_DETAILS" => Why::PayeeRefused,
        _ => Why::Refused,
    }
}

/// `POST /v1/invoices`.
#[derive(Debug, Serialize)]
pub(super) struct AddInvoice<'a> {
    pub(super) memo: &'a str,
    pub(super) value_msat: String,
    pub(super) expiry: String,
    pub(super) private: bool,
}

/// Its answer.
#[derive(Debug, Deserialize)]
pub(super) struct Added {
    pub(super) payment_request: String,
}

/// `GET /v1/invoice/{hash}`.
#[derive(Debug, Deserialize)]
pub(super) struct Invoice {
    state: String,
}

impl Invoice {
    pub(super) fn settled(&self) -> bool {
        self.state == "SETTLED"
    }
}

/// A line of `GET /v1/invoices/subscribe`: an invoice that was made or paid.
#[derive(Debug, Deserialize)]
pub(super) struct Changed {
    #[serde(default)]
    r_hash: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    settle_index: String,
}

impl Changed {
    /// Which invoice was paid, and as the how many-eth, when one was.
    pub(super) fn settled(&self) -> Option<(PaymentHash, u64)> {
        use base64::Engine;
        if self.state != "SETTLED" {
            return None;
        }
        let bytes = base64::prelude::BASE64_STANDARD.decode(&self.r_hash).ok()?;
        Some((PaymentHash(bytes.try_into().ok()?), self.settle_index.parse().ok()?))
    }
}

/// A payment hash in a path, where the API wants bytes: base64 in the alphabet of URLs.
pub(super) fn in_a_path(hash: PaymentHash) -> String {
    use base64::Engine;
    base64::prelude::BASE64_URL_SAFE.encode(hash.0)
}
