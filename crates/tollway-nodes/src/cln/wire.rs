//! Core Lightning's answers, as far as we read them.

use std::time::{Duration, SystemTime};

use l402::operator::About;
use l402::{Msat, Network, NodeError, NodeErrorKind, Preimage, Why};
use serde::{Deserialize, Deserializer};

use super::rpc::{self, Trouble};
use crate::remote::Word;

/// `getinfo`.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    id: Option<String>,
    alias: Option<String>,
    version: Option<String>,
    blockheight: Option<u32>,
    num_peers: Option<u32>,
    network: String,
    warning_bitcoind_sync: Option<String>,
    warning_lightningd_sync: Option<String>,
}

impl Info {
    /// All it says of itself.
    pub(super) fn about(self) -> About {
        let synced = self.warning_bitcoind_sync.is_none() && self.warning_lightningd_sync.is_none();
        About {
            id: self.id.and_then(|id| id.parse().ok()),
            alias: self.alias,
            version: self.version,
            network: self.network.parse().ok(),
            height: self.blockheight,
            synced: Some(synced),
            peers: self.num_peers,
            clock_ahead_s: None,
        }
    }

    /// The network it is on, once it has caught up with the chain.
    pub(super) fn ready(self) -> Result<Network, NodeError> {
        if let Some(warning) = self.warning_bitcoind_sync.or(self.warning_lightningd_sync) {
            return Err(rpc::error(NodeErrorKind::Unreachable, Trouble::Syncing(warning)));
        }
        let unknown = |_| Trouble::UnknownNetwork(self.network.clone());
        let network = self.network.parse().map_err(unknown);
        network.map_err(|trouble| rpc::error(NodeErrorKind::Refused, trouble))
    }
}

/// `pay` and `xpay`.
#[derive(Debug, Deserialize)]
pub(super) struct Paid {
    payment_preimage: Preimage32,
    #[serde(deserialize_with = "msat")]
    amount_msat: Msat,
    #[serde(deserialize_with = "msat")]
    amount_sent_msat: Msat,
    /// `xpay` has none: it answers when it is complete.
    #[serde(default)]
    status: Status,
}

impl Paid {
    pub(super) fn word(self) -> Word {
        match self.status {
            Status::Complete => {
                paid(self.payment_preimage.0, self.amount_msat, self.amount_sent_msat)
            }
            Status::Pending => Word::InFlight,
            Status::Failed => Word::NotPaid(Why::Refused),
        }
    }
}

fn paid(preimage: Preimage, amount: Msat, sent: Msat) -> Word {
    Word::Paid { preimage, fee: sent.checked_sub(amount).unwrap_or(Msat::ZERO) }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    #[default]
    Complete,
    Pending,
    Failed,
}

/// `listpays`: one row for each time it was tried.
#[derive(Debug, Deserialize)]
pub(super) struct Pays {
    pays: Vec<Pay>,
}

#[derive(Debug, Deserialize)]
struct Pay {
    status: Status,
    preimage: Option<Preimage32>,
    #[serde(default, deserialize_with = "some_msat")]
    amount_msat: Option<Msat>,
    #[serde(default, deserialize_with = "some_msat")]
    amount_sent_msat: Option<Msat>,
    created_at: u64,
}

impl Pays {
    /// What all the tries together say. `pay` tries again after a failed try, for as long as
    /// `retries`: a try that failed lately, and that somebody else may have ordered before `opened`,
    /// is not the end. Nothing, when a complete payment comes without its preimage.
    pub(super) fn word(self, opened: SystemTime, retries: Duration) -> Option<Word> {
        let of = |status| self.pays.iter().find(|pay| pay.status == status);
        if let Some(pay) = of(Status::Complete) {
            let preimage = pay.preimage.as_ref()?.0.clone();
            let sent = pay.amount_sent_msat?;
            return Some(paid(preimage, pay.amount_msat.unwrap_or(sent), sent));
        }
        let may_go_on = |pay: &Pay| {
            let created = SystemTime::UNIX_EPOCH + Duration::from_secs(pay.created_at);
            created < opened && created + retries > SystemTime::now()
        };
        if of(Status::Pending).is_some() || self.pays.iter().any(may_go_on) {
            return Some(Word::InFlight);
        }
        let heard = !self.pays.is_empty();
        Some(if heard { Word::NotPaid(Why::Refused) } else { Word::NeverHeard })
    }
}

/// `invoice`.
#[derive(Debug, Deserialize)]
pub(super) struct Made {
    pub(super) bolt11: String,
}

/// `listinvoices`.
#[derive(Debug, Deserialize)]
pub(super) struct Invoices {
    invoices: Vec<InvoiceRow>,
}

#[derive(Debug, Deserialize)]
struct InvoiceRow {
    status: String,
}

impl Invoices {
    pub(super) fn settled(&self) -> bool {
        self.invoices.iter().any(|invoice| invoice.status == "paid")
    }
}

/// Sixty-four hexadecimal digits.
#[derive(Debug)]
struct Preimage32(Preimage);

impl<'de> Deserialize<'de> for Preimage32 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// A number of millisatoshi, or, before version 23.08, that number followed by `msat`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Number(u64),
    Text(String),
}

pub(super) fn msat<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Msat, D::Error> {
    let number = match Amount::deserialize(deserializer)? {
        Amount::Number(number) => Some(number),
        Amount::Text(text) => text.strip_suffix("msat").and_then(|text| text.parse().ok()),
    };
    number.map(Msat::from_msat).ok_or_else(|| serde::de::Error::custom("no amount in msat"))
}

pub(super) fn some_msat<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Msat>, D::Error> {
    msat(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(pays: &str, opened: SystemTime) -> Option<Word> {
        let pays: Pays = serde_json::from_str(&format!(r#"{{"pays":{pays}}}"#)).unwrap();
        pays.word(opened, Duration::from_secs(60))
    }

    #[test]
    fn what_several_tries_say_together() {
        let now = SystemTime::now();
        let preimage = "11".repeat(32);
        let complete = format!(
            r#"{{"status":"complete","preimage":"{preimage}","amount_msat":"1000msat","amount_sent_msat":1003,"created_at":1}}"#
        );
        let failed = r#"{"status":"failed","created_at":1}"#;
        let pending = r#"{"status":"pending","created_at":1}"#;
        assert!(matches!(word("[]", now), Some(Word::NeverHeard)));
        assert!(matches!(word(&format!("[{failed}]"), now), Some(Word::NotPaid(_))));
        assert!(matches!(word(&format!("[{failed},{pending}]"), now), Some(Word::InFlight)));
        let Some(Word::Paid { fee, .. }) = word(&format!("[{failed},{pending},{complete}]"), now)
        else {
            panic!("it is complete")
        };
        assert_eq!(fee, Msat::from_msat(3));
        let without = complete.replace("preimage", "no_preimage");
        assert!(word(&format!("[{without}]"), now).is_none());
    }

    #[test]
    fn a_try_that_failed_lately_is_not_the_end_of_what_another_process_ordered() {
        let now = SystemTime::now();
        let unix = now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let failed = |ago: u64| format!(r#"[{{"status":"failed","created_at":{}}}]"#, unix - ago);
        let moment = Duration::from_secs(1);
        assert!(matches!(word(&failed(10), now), Some(Word::InFlight)));
        assert!(matches!(word(&failed(90), now), Some(Word::NotPaid(_))));
        assert!(matches!(word(&failed(10), now - 20 * moment), Some(Word::NotPaid(_))));
    }
}
