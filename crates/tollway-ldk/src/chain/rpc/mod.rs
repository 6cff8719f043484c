//! A chain source that asks a bitcoind, or anything that speaks its JSON-RPC, by
//! `http://user:password@host:port`. What is asked and how answers are read is here; the
//! transport is in [`call`].

mod call;

use std::time::Duration;

use async_trait::async_trait;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Amount, Block, BlockHash, CompactTarget, FeeRate, Transaction, TxMerkleNode};
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::call::RpcUrlError;
use self::call::{Caller, Failure};
use super::{Blocks, ChainError, ChainSource, FLOOR, Follow, Tip};

/// How long one call may wait for a block.
const LONG_POLL: Duration = Duration::from_secs(20);
/// How often a source that cannot wait is asked, and one that fails asked again.
const POLL: Duration = Duration::from_secs(1);

/// bitcoind's answers that callers act on, by its error codes.
const NOT_FOUND: i64 = -5;
const INVALID_PARAMETER: i64 = -8;
const VERIFY: i64 = -25;
const VERIFY_REJECTED: i64 = -26;
const ALREADY_IN_CHAIN: i64 = -27;

/// A client of bitcoind's JSON-RPC. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Rpc {
    caller: Caller,
}

/// The answer to `getblockchaininfo`, as far as it matters.
#[derive(Debug, Deserialize)]
struct ChainInfo {
    blocks: u32,
    bestblockhash: BlockHash,
}

/// The answer to `getblockheader`.
#[derive(Debug, Deserialize)]
struct HeaderInfo {
    height: u32,
    version: i32,
    /// The genesis block has none.
    previousblockhash: Option<BlockHash>,
    merkleroot: TxMerkleNode,
    time: u32,
    bits: String,
    nonce: u32,
}

/// The answer to `estimatesmartfee`, and the part of `getmempoolinfo` that stands in for it. Both
/// are in bitcoin per 1000 virtual bytes.
#[derive(Debug, Deserialize)]
struct Estimate {
    #[serde(alias = "mempoolminfee")]
    feerate: Option<f64>,
}

/// The answer to `submitpackage`.
#[derive(Debug, Deserialize)]
struct PackageResult {
    package_msg: String,
}

impl Rpc {
    /// A client for this URL; the first call connects.
    ///
    /// # Errors
    /// [`RpcUrlError`]: which part of the URL is missing or wrong.
    pub fn new(url: &str) -> Result<Self, RpcUrlError> {
        Ok(Self { caller: Caller::new(url)? })
    }

    /// Waits for a block above `height`, or a while. An error means that the source cannot wait.
    async fn wait_above(&self, height: u32) -> Result<(), Failure> {
        let millis = u64::try_from(LONG_POLL.as_millis()).expect("some seconds");
        let params = json!([height + 1, millis]);
        self.caller.call_within(LONG_POLL * 2, "waitforblockheight", params).await.map(drop)
    }

    async fn send(&self, tx: &Transaction) -> Result<(), ChainError> {
        let sent = self.caller.call("sendrawtransaction", json!([serialize_hex(tx)])).await;
        match sent {
            Ok(_) | Err(Failure::Refused { code: ALREADY_IN_CHAIN, .. }) => Ok(()),
            Err(Failure::Refused { code: VERIFY | VERIFY_REJECTED, message }) => {
                Err(ChainError::Refused { txid: tx.compute_txid(), why: message })
            }
            Err(other) => Err(other.into_error("sendrawtransaction")),
        }
    }

    async fn send_package(&self, txs: &[Transaction]) -> Result<bool, ChainError> {
        let hex: Vec<String> = txs.iter().map(serialize_hex).collect();
        match self.caller.call("submitpackage", json!([hex])).await {
            Ok(answer) => {
                let result: PackageResult = read("submitpackage", answer)?;
                Ok(result.package_msg == "success")
            }
            Err(Failure::Refused { .. }) => Ok(false),
            Err(Failure::Chain(error)) => Err(error),
        }
    }
}

#[async_trait]
impl ChainSource for Rpc {
    async fn genesis(&self) -> Result<BlockHash, ChainError> {
        self.hash_at(0).await
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        let answer = self.caller.ask("getblockchaininfo", json!([])).await?;
        let info: ChainInfo = read("getblockchaininfo", answer)?;
        Ok(Tip { hash: info.bestblockhash, height: info.blocks })
    }

    async fn broadcast(&self, txs: &[Transaction]) -> Result<(), ChainError> {
        let mut first = Ok(());
        for tx in txs {
            first = first.and(self.send(tx).await);
        }
        // A parent that pays too little alone may be paid for by its child.
        if matches!(first, Err(ChainError::Refused { .. }))
            && txs.len() > 1
            && self.send_package(txs).await?
        {
            return Ok(());
        }
        first
    }

    async fn feerate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        let answer = self.caller.ask("estimatesmartfee", json!([blocks.max(1)])).await?;
        let mut estimate: Estimate = read("estimatesmartfee", answer)?;
        if estimate.feerate.is_none() {
            // It has seen too few blocks to tell; what its memory pool asks for is the best guess.
            let answer = self.caller.ask("getmempoolinfo", json!([])).await?;
            estimate = read("getmempoolinfo", answer)?;
        }
        let per_kvb = estimate.feerate.and_then(|btc| Amount::from_btc(btc).ok());
        let per_kwu = per_kvb.unwrap_or_default().to_sat().div_ceil(4);
        Ok(FeeRate::from_sat_per_kwu(per_kwu).max(FLOOR))
    }

    async fn changed(&self, seen: BlockHash) {
        loop {
            match self.tip().await {
                Ok(tip) if tip.hash != seen => return,
                // Another tip has more work and so, but for the rarest of cases, more height; those
                // cases are seen when the wait ends.
                Ok(tip) => match self.wait_above(tip.height).await {
                    Ok(()) => continue,
                    Err(failure) => tracing::debug!(%failure, "the chain source cannot wait"),
                },
                Err(error) => {
                    tracing::debug!(%error, "the newest block cannot be asked for");
                    return;
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn follow(&self) -> Follow<'_> {
        Follow::Blocks(self)
    }
}

#[async_trait]
impl Blocks for Rpc {
    async fn header(&self, hash: BlockHash) -> Result<(Header, u32), ChainError> {
        let answer = self.caller.call("getblockheader", json!([hash, true])).await;
        let info: HeaderInfo = read("getblockheader", found(answer, "getblockheader", &hash)?)?;
        let height = info.height;
        let header = info.into_header().filter(|header| header.block_hash() == hash);
        let wrong = || ChainError::Protocol {
            method: "getblockheader",
            answer: format!("a header that is not that of block {hash}"),
        };
        Ok((header.ok_or_else(wrong)?, height))
    }

    async fn block(&self, hash: BlockHash) -> Result<Block, ChainError> {
        let answer = self.caller.call("getblock", json!([hash, 0])).await;
        let hex: String = read("getblock", found(answer, "getblock", &hash)?)?;
        let block: Option<Block> = deserialize_hex(&hex).ok();
        let block = block.filter(|block| block.block_hash() == hash && block.check_merkle_root());
        block.ok_or_else(|| ChainError::Protocol {
            method: "getblock",
            answer: format!("what is not block {hash}"),
        })
    }

    async fn hash_at(&self, height: u32) -> Result<BlockHash, ChainError> {
        let answer = self.caller.call("getblockhash", json!([height])).await;
        read("getblockhash", found(answer, "getblockhash", &height)?)
    }
}

impl HeaderInfo {
    fn into_header(self) -> Option<Header> {
        use bitcoin::hashes::Hash;
        Some(Header {
            version: Version::from_consensus(self.version),
            prev_blockhash: self.previousblockhash.unwrap_or_else(BlockHash::all_zeros),
            merkle_root: self.merkleroot,
            time: self.time,
            bits: CompactTarget::from_consensus(u32::from_str_radix(&self.bits, 16).ok()?),
            nonce: self.nonce,
        })
    }
}

/// An answer about a block, where "no such block" is one of those to expect.
fn found(
    answer: Result<Value, Failure>,
    method: &'static str,
    block: &dyn std::fmt::Display,
) -> Result<Value, ChainError> {
    answer.map_err(|failure| match failure {
        Failure::Refused { code: NOT_FOUND | INVALID_PARAMETER, .. } => {
            ChainError::NotFound { block: block.to_string() }
        }
        other => other.into_error(method),
    })
}

fn read<T: for<'de> Deserialize<'de>>(
    method: &'static str,
    answer: Value,
) -> Result<T, ChainError> {
    let shown = |error: serde_json::Error| ChainError::Protocol {
        method,
        answer: format!("something else than expected ({error})"),
    };
    serde_json::from_value(answer).map_err(shown)
}
