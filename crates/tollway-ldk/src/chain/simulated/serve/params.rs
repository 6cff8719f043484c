//! What a call brings, and how it is told that it is wrong. Codes and words are bitcoind's, because
//! programs match on them.

use std::str::FromStr;

use bitcoin::address::NetworkUnchecked;
use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Address, Amount, BlockHash, Network, OutPoint, ScriptBuf, Transaction, Txid};
use l402::Sat;
use serde_json::Value;

use crate::chain::simulated::{FaucetError, Refusal, ReorgError};

/// An error answer.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) code: i32,
    pub(super) message: String,
}

impl Fault {
    pub(super) const PARSE: i32 = -32700;
    pub(super) const INVALID_REQUEST: i32 = -32600;
    pub(super) const METHOD_NOT_FOUND: i32 = -32601;
    const MISC: i32 = -1;
    const NOT_FOUND: i32 = -5;
    const INSUFFICIENT_FUNDS: i32 = -6;
    const INVALID_PARAMETER: i32 = -8;
    const DESERIALIZATION: i32 = -22;
    const VERIFY: i32 = -25;
    const VERIFY_REJECTED: i32 = -26;
    const ALREADY_IN_CHAIN: i32 = -27;

    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn not_found(message: &str) -> Self {
        Self::new(Self::NOT_FOUND, message)
    }

    pub(super) fn parameter(message: impl Into<String>) -> Self {
        Self::new(Self::INVALID_PARAMETER, message)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::MissingOrSpent { .. } => Self::VERIFY,
            Refusal::Mined => Self::ALREADY_IN_CHAIN,
            _ => Self::VERIFY_REJECTED,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<FaucetError> for Fault {
    fn from(error: FaucetError) -> Self {
        match error {
            FaucetError::Refused(refusal) => refusal.into(),
            FaucetError::Empty { .. } => Self::new(Self::INSUFFICIENT_FUNDS, error.to_string()),
        }
    }
}

impl From<ReorgError> for Fault {
    fn from(error: ReorgError) -> Self {
        match error {
            ReorgError::File(error) => error.into(),
            ReorgError::NotLonger { .. } | ReorgError::TooDeep { .. } => {
                Self::parameter(error.to_string())
            }
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        Self::new(Self::MISC, format!("the chain file could not be written: {error}"))
    }
}

/// The parameters of a call, by position.
#[derive(Debug)]
pub(super) struct Params<'a>(&'a [Value]);

impl<'a> Params<'a> {
    /// Those of a call: a list, or none.
    pub(super) fn of(call: &'a Value) -> Result<Self, Fault> {
        match &call["params"] {
            Value::Null => Ok(Self(&[])),
            Value::Array(list) => Ok(Self(list)),
            Value::Object(named) if named.is_empty() => Ok(Self(&[])),
            _ => Err(Fault::new(Fault::INVALID_REQUEST, "Params must be an array")),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<&'a Value> {
        self.0.get(index).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, index: usize) -> Result<&'a str, Fault> {
        let wrong = || Fault::parameter(format!("parameter {} must be a string", index + 1));
        self.get(index).and_then(Value::as_str).ok_or_else(wrong)
    }

    pub(super) fn number(&self, index: usize) -> Option<u64> {
        self.get(index)?.as_u64()
    }

    /// `true`, or a number above 0; older clients send numbers.
    pub(super) fn flag(&self, index: usize) -> Option<bool> {
        let value = self.get(index)?;
        value.as_bool().or_else(|| Some(value.as_u64()? > 0))
    }

    /// A height or a count of blocks.
    pub(super) fn height(&self, index: usize) -> Result<u32, Fault> {
        let wrong = || Fault::parameter(format!("parameter {} must be a block count", index + 1));
        self.number(index).and_then(|number| u32::try_from(number).ok()).ok_or_else(wrong)
    }

    pub(super) fn list(&self, index: usize) -> Result<&'a [Value], Fault> {
        let wrong = || Fault::parameter(format!("parameter {} must be a list", index + 1));
        self.get(index).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(wrong)
    }

    pub(super) fn optional_hash(&self, index: usize) -> Result<Option<BlockHash>, Fault> {
        self.get(index).map(|_| self.hash(index)).transpose()
    }

    pub(super) fn hash(&self, index: usize) -> Result<BlockHash, Fault> {
        parse(self.text(index)?, "a block hash")
    }

    pub(super) fn txid(&self, index: usize) -> Result<Txid, Fault> {
        parse(self.text(index)?, "a transaction id")
    }

    pub(super) fn transaction(&self, index: usize) -> Result<Transaction, Fault> {
        transaction(self.text(index)?)
    }

    /// The script that an address of this network stands for.
    pub(super) fn script(&self, index: usize) -> Result<ScriptBuf, Fault> {
        let wrong = || Fault::not_found("Invalid address");
        let address: Address<NetworkUnchecked> = self.text(index)?.parse().map_err(|_| wrong())?;
        let address = address.require_network(Network::Regtest).map_err(|_| wrong())?;
        Ok(address.script_pubkey())
    }

    /// An amount in bitcoin, which is how bitcoind's interface writes them.
    pub(super) fn amount(&self, index: usize) -> Result<Sat, Fault> {
        let wrong = || Fault::parameter("Invalid amount");
        let btc = self.get(index).and_then(Value::as_f64).ok_or_else(wrong)?;
        Ok(Sat::from_sat(Amount::from_btc(btc).map_err(|_| wrong())?.to_sat()))
    }
}

/// Reads a transaction in hexadecimal.
pub(super) fn transaction(hex: &str) -> Result<Transaction, Fault> {
    deserialize_hex(hex).map_err(|_| Fault::new(Fault::DESERIALIZATION, "TX decode failed"))
}

/// Reads `{"txid": …, "vout": …}`.
pub(super) fn outpoint(value: &Value) -> Result<OutPoint, Fault> {
    let wrong = || Fault::parameter("an output is written {\"txid\": \"…\", \"vout\": 0}");
    let txid = parse(value["txid"].as_str().ok_or_else(wrong)?, "a transaction id")?;
    let vout = value["vout"].as_u64().and_then(|vout| u32::try_from(vout).ok());
    Ok(OutPoint::new(txid, vout.ok_or_else(wrong)?))
}

fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::parameter(format!("`{text}` is not {what}")))
}
