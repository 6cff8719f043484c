//! What a purse and the programs that use it say to one another: JSON over HTTP on a Unix socket,
//! under `/v1`. Only the shapes are here, so that both ends have the same; `docs/purse-api.md`
//! describes them for other languages. Three rules hold the money. A reply with a field `ended` is
//! the node's word on the payment. A reply with a field `error` and no other says that the request
//! was refused before it began a payment. No reply, and one that cannot be read, says nothing: the
//! payment's end is unknown, and must be asked for.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hash::{PaymentHash, Preimage};
use crate::invoice::Network;
use crate::money::Msat;
use crate::node::{NodeError, NodeErrorKind, Outcome, Paid, PayError, Why};

/// The name that errors of a purse's user carry.
const DRIVER: &str = "purse";

/// `POST /v1/pay`. Unknown fields are refused: one of them may be a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayRequest {
    /// BOLT 11 text.
    pub invoice: String,
    /// The most that routing may cost on top, in millisatoshi.
    pub max_fee_msat: Msat,
    /// When to answer `unknown` if the payment has not ended, in milliseconds.
    pub patience_ms: u64,
}

/// How the payment ended. The answer to [`PayRequest`], with status 200 whatever the ending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ended", rename_all = "snake_case")]
pub enum PayReply {
    /// The money left and the proof came back.
    Paid(Proof),
    /// No money left and none will.
    NotPaid {
        /// The node's reason.
        why: WhyCode,
        /// The node's own error, when there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Fault>,
    },
    /// It may have been paid, or still be. Ask for the outcome.
    Unknown {
        /// Which payment to ask about.
        hash: PaymentHash,
        /// What went wrong while waiting.
        error: Fault,
    },
}

/// `GET /v1/outcome/<payment hash>`: how an earlier payment ended. `not_paid` is also a promise that
/// no order begins it that was sent before this question, provided that each came on a connection
/// of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum OutcomeReply {
    /// Still on its way.
    Pending,
    /// The money left and the proof came back.
    Paid(Proof),
    /// It never left, or came all the way back, or the node never heard of it.
    NotPaid,
}

/// What one has from having paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// 64 hexadecimal digits.
    #[serde(serialize_with = "write_preimage", deserialize_with = "read_preimage")]
    pub preimage: Preimage,
    /// What routing cost, in millisatoshi.
    pub fee_msat: Msat,
}

/// `POST /v1/invoice`. Unknown fields are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceRequest {
    /// What to ask for, in millisatoshi.
    pub amount_msat: Msat,
    /// What it is for; at most 639 bytes.
    pub memo: String,
    /// How long it can be paid, in whole seconds.
    pub expiry_s: u64,
}

/// A fresh invoice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceReply {
    /// BOLT 11 text.
    pub invoice: String,
    /// The hash to ask about later.
    pub hash: PaymentHash,
}

/// `GET /v1/settled/<payment hash>`: whether that invoice has been paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledReply {
    /// `false` also for a hash that the node never heard of.
    pub settled: bool,
}

/// `GET /v1/info`: what this purse can do, and what it has set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The network of its node.
    pub network: Network,
    /// Whether it pays.
    pub can_pay: bool,
    /// Whether it makes invoices.
    pub can_invoice: bool,
    /// How many payments have no known end.
    pub holds: u64,
    /// What those payments may cost together, routing included, in millisatoshi.
    pub held_msat: Msat,
}

/// The whole of a reply that refuses. To a [`PayRequest`] it says: no payment was begun by it. That
/// is too much to read out of a reply that says more, so unknown fields make it unreadable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Why.
    pub error: Fault,
}

/// What went wrong: a word for programs and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What the caller can do.
    pub kind: KindCode,
    /// What happened, and the remedy when there is one.
    pub message: String,
}

/// [`Why`] on the wire. A word that a newer purse may know reads as `refused`: the payment did not
/// happen, whatever the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the variant of `Why` with the same name")]
pub enum WhyCode {
    NoRoute,
    Balance,
    Expired,
    PayeeRefused,
    WrongNetwork,
    Unreachable,
    #[serde(other)]
    Refused,
}

/// [`NodeErrorKind`] on the wire. A word that a newer purse may know reads as `protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is the variant of `NodeErrorKind` with the same name")]
pub enum KindCode {
    Unreachable,
    Timeout,
    Unauthorized,
    Refused,
    Storage,
    #[serde(other)]
    Protocol,
}

impl PayReply {
    /// The wire's form of how the payment of `hash` ended. A preimage that does not open the hash
    /// is no proof: the end is unknown.
    pub fn new(hash: PaymentHash, ended: Result<Paid, PayError>) -> Self {
        match ended {
            Ok(paid) if paid.preimage.opens(hash) => Self::Paid(paid.into()),
            Ok(_) => Self::Unknown { hash, error: wrong_preimage() },
            Err(PayError::NotPaid { why, source }) => {
                Self::NotPaid { why: why.into(), error: source.as_ref().map(Fault::from) }
            }
            Err(PayError::Unknown { hash: _, source }) => {
                Self::Unknown { hash, error: Fault::from(&source) }
            }
        }
    }

    /// How the payment of `hash` ended, for the one who asked. What is no proof, and what is about
    /// another hash, is unknown.
    ///
    /// # Errors
    /// As [`Payer::pay`](crate::Payer::pay).
    pub fn ended(self, hash: PaymentHash) -> Result<Paid, PayError> {
        match self {
            Self::Paid(proof) if proof.preimage.opens(hash) => Ok(proof.into()),
            Self::Paid(_) => Err(PayError::Unknown { hash, source: wrong_preimage().into_error() }),
            Self::NotPaid { why, error } => {
                let source = error.map(Fault::into_error);
                Err(PayError::NotPaid { why: why.into(), source })
            }
            Self::Unknown { hash: _, error } => {
                Err(PayError::Unknown { hash, source: error.into_error() })
            }
        }
    }
}

impl OutcomeReply {
    /// The wire's form of the outcome of `hash`.
    ///
    /// # Errors
    /// The node's preimage does not open the hash.
    pub fn new(hash: PaymentHash, outcome: Outcome) -> Result<Self, Fault> {
        match outcome {
            Outcome::Pending => Ok(Self::Pending),
            Outcome::Paid(paid) if paid.preimage.opens(hash) => Ok(Self::Paid(paid.into())),
            Outcome::Paid(_) => Err(wrong_preimage()),
            Outcome::NotPaid => Ok(Self::NotPaid),
        }
    }

    /// The outcome of `hash`, for the one who asked.
    ///
    /// # Errors
    /// The preimage does not open the hash.
    pub fn outcome(self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        match self {
            Self::Pending => Ok(Outcome::Pending),
            Self::Paid(proof) if proof.preimage.opens(hash) => Ok(Outcome::Paid(proof.into())),
            Self::Paid(_) => Err(wrong_preimage().into_error()),
            Self::NotPaid => Ok(Outcome::NotPaid),
        }
    }
}

impl Fault {
    /// What happened, in a sentence.
    pub fn new(kind: NodeErrorKind, message: impl Into<String>) -> Self {
        Self { kind: kind.into(), message: message.into() }
    }

    /// The error of the purse's user.
    pub fn into_error(self) -> NodeError {
        NodeError::new(DRIVER, self.kind.into()).because(self.message)
    }
}

/// The error with all its causes in one line.
impl From<&NodeError> for Fault {
    fn from(error: &NodeError) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        Self::new(error.kind, message)
    }
}

fn wrong_preimage() -> Fault {
    Fault::new(NodeErrorKind::Protocol, "the node's preimage does not open the payment hash")
}

impl From<Paid> for Proof {
    fn from(paid: Paid) -> Self {
        Self { preimage: paid.preimage, fee_msat: paid.fee }
    }
}

impl From<Proof> for Paid {
    fn from(proof: Proof) -> Self {
        Self { preimage: proof.preimage, fee: proof.fee_msat }
    }
}

impl From<Why> for WhyCode {
    fn from(why: Why) -> Self {
        match why {
            Why::NoRoute => Self::NoRoute,
            Why::Balance => Self::Balance,
            Why::Expired => Self::Expired,
            Why::PayeeRefused => Self::PayeeRefused,
            Why::WrongNetwork => Self::WrongNetwork,
            Why::Unreachable => Self::Unreachable,
            Why::Refused => Self::Refused,
        }
    }
}

impl From<WhyCode> for Why {
    fn from(code: WhyCode) -> Self {
        match code {
            WhyCode::NoRoute => Self::NoRoute,
            WhyCode::Balance => Self::Balance,
            WhyCode::Expired => Self::Expired,
            WhyCode::PayeeRefused => Self::PayeeRefused,
            WhyCode::WrongNetwork => Self::WrongNetwork,
            WhyCode::Unreachable => Self::Unreachable,
            WhyCode::Refused => Self::Refused,
        }
    }
}

impl From<NodeErrorKind> for KindCode {
    fn from(kind: NodeErrorKind) -> Self {
        match kind {
            NodeErrorKind::Unreachable => Self::Unreachable,
            NodeErrorKind::Timeout => Self::Timeout,
            NodeErrorKind::Unauthorized => Self::Unauthorized,
            NodeErrorKind::Refused => Self::Refused,
            NodeErrorKind::Storage => Self::Storage,
            NodeErrorKind::Protocol => Self::Protocol,
        }
    }
}

impl From<KindCode> for NodeErrorKind {
    fn from(code: KindCode) -> Self {
        match code {
            KindCode::Unreachable => Self::Unreachable,
            KindCode::Timeout => Self::Timeout,
            KindCode::Unauthorized => Self::Unauthorized,
            KindCode::Refused => Self::Refused,
            KindCode::Storage => Self::Storage,
            KindCode::Protocol => Self::Protocol,
        }
    }
}

fn write_preimage<S: Serializer>(preimage: &Preimage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&preimage.expose_hex())
}

fn read_preimage<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Preimage, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preimage() -> Preimage {
        Preimage::new([0x42; 32])
    }

    fn on_the_wire(reply: &PayReply) -> String {
        let text = serde_json::to_string(reply).unwrap();
        assert_eq!(serde_json::from_str::<PayReply>(&text).unwrap(), *reply);
        text
    }

    #[test]
    fn every_ending_has_its_own_shape() {
        let hash = preimage().hash();
        let paid = Paid { preimage: preimage(), fee: Msat::from_msat(7) };
        assert_eq!(
            on_the_wire(&PayReply::new(hash, Ok(paid))),
            format!(r#"{{"ended":"paid","preimage":"{}","fee_msat":7}}"#, "42".repeat(32))
        );
        let not_paid = PayError::NotPaid { why: Why::NoRoute, source: None };
        assert_eq!(
            on_the_wire(&PayReply::new(hash, Err(not_paid))),
            r#"{"ended":"not_paid","why":"no_route"}"#
        );
        let source = NodeError::new("ldk", NodeErrorKind::Timeout).because("tired");
        let unknown = PayError::Unknown { hash, source };
        assert_eq!(
            on_the_wire(&PayReply::new(hash, Err(unknown))),
            format!(
                r#"{{"ended":"unknown","hash":"{hash}","error":{{"kind":"timeout","message":"ldk: node did not answer in time: tired"}}}}"#
            )
        );
    }

    #[test]
    fn a_preimage_that_opens_nothing_is_unknown_at_both_ends() {
        let hash = PaymentHash([1; 32]);
        let paid = || Paid { preimage: preimage(), fee: Msat::ZERO };
        assert!(matches!(PayReply::new(hash, Ok(paid())), PayReply::Unknown { .. }));
        let ended = PayReply::Paid(paid().into()).ended(hash);
        assert!(matches!(ended, Err(PayError::Unknown { hash: named, .. }) if named == hash));
        assert!(OutcomeReply::new(hash, Outcome::Paid(paid())).is_err());
        assert!(OutcomeReply::Paid(paid().into()).outcome(hash).is_err());
    }

    #[test]
    fn words_of_a_newer_purse_are_read_on_the_safe_side() {
        let newer = r#"{"ended":"not_paid","why":"moon_phase","error":{"kind":"x","message":""}}"#;
        let reply: PayReply = serde_json::from_str(newer).unwrap();
        let Err(PayError::NotPaid { why, source }) = reply.ended(preimage().hash()) else {
            panic!("it said not paid");
        };
        assert_eq!((why, source.unwrap().kind), (Why::Refused, NodeErrorKind::Protocol));
        assert!(serde_json::from_str::<PayReply>(r#"{"ended":"refunded"}"#).is_err());
        let limit = r#"{"invoice":"","max_fee_msat":0,"patience_ms":0,"max_total_msat":1}"#;
        assert!(serde_json::from_str::<PayRequest>(limit).is_err());
    }
}
