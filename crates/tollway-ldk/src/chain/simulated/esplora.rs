//! The simulated chain as an Esplora server: what wallets ask one, by HTTP without a login. The paths
//! and answers are those of <https://github.com/Blockstream/esplora/blob/master/API.md>.

use std::net::SocketAddr;
use std::str::FromStr;
use std::{fmt, io};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bitcoin::address::NetworkUnchecked;
use bitcoin::consensus::encode::{deserialize_hex, serialize, serialize_hex};
use bitcoin::hashes::sha256;
use bitcoin::{Address, BlockHash, MerkleBlock, Network, OutPoint, Transaction, Txid};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::blocks::Known;
use super::index::{self, Found};
use super::ledger::Ledger;
use super::{Simulated, feerate};

/// Transactions in one page of a history, and blocks in one page of blocks.
const PAGE: usize = 25;
const BLOCKS: u32 = 10;
/// The targets that estimates are given for, in blocks.
const TARGETS: [u16; 8] = [1, 2, 3, 6, 12, 144, 504, 1008];

/// A chain's Esplora port. Closes when dropped.
pub struct EsploraServer {
    address: SocketAddr,
    /// Dropping it ends the task and its connections.
    _stop: watch::Sender<()>,
}

impl EsploraServer {
    /// Opens the port; `127.0.0.1:0` takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(chain: Simulated, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let router = Router::new().fallback(handle).with_state(chain);
        let (stop, mut stopped) = watch::channel(());
        let serve = axum::serve(listener, router).with_graceful_shutdown(async move {
            // Only its end is waited for.
            let _ = stopped.changed().await;
        });
        tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::warn!(%error, "the chain's Esplora port failed");
            }
        });
        Ok(Self { address, _stop: stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL, as [`Esplora`](crate::chain::Esplora) and wallets take it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl fmt::Debug for EsploraServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EsploraServer").field("address", &self.address).finish_non_exhaustive()
    }
}

enum Answer {
    Text(String),
    Json(Value),
    Bytes(Vec<u8>),
}

/// The status and the words of an error.
type Fault = (StatusCode, String);

async fn handle(State(chain): State<Simulated>, method: Method, uri: Uri, body: Bytes) -> Response {
    let segments: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
    let answer = match method {
        Method::GET => get(&chain.ledger(), &segments),
        Method::POST => post(&chain, &segments, &body),
        _ => Err((StatusCode::METHOD_NOT_ALLOWED, "GET or POST".to_owned())),
    };
    let typed = |kind: &'static str, body: Vec<u8>| ([(header::CONTENT_TYPE, kind)], body);
    match answer {
        Ok(Answer::Text(text)) => typed("text/plain", text.into_bytes()).into_response(),
        Ok(Answer::Json(json)) => {
            typed("application/json", json.to_string().into_bytes()).into_response()
        }
        Ok(Answer::Bytes(bytes)) => typed("application/octet-stream", bytes).into_response(),
        Err(fault) => fault.into_response(),
    }
}

fn get(ledger: &Ledger, path: &[&str]) -> Result<Answer, Fault> {
    let tip = ledger.blocks.tip();
    Ok(match path {
        ["blocks", "tip", "hash"] => Answer::Text(tip.hash.to_string()),
        ["blocks", "tip", "height"] => Answer::Text(tip.height.to_string()),
        ["blocks"] => Answer::Json(blocks(ledger, tip.height)),
        ["blocks", height] => Answer::Json(blocks(ledger, read(height)?)),
        ["block-height", height] => {
            let hash = ledger.blocks.hash_at(read(height)?);
            Answer::Text(hash.ok_or_else(|| missing("Block not found"))?.to_string())
        }
        ["block", hash, rest @ ..] => block(ledger, read(hash)?, rest)?,
        ["tx", txid, rest @ ..] => tx(ledger, read(txid)?, rest)?,
        ["scripthash", hash, rest @ ..] => script(ledger, read(hash)?, rest)?,
        ["address", address, rest @ ..] => {
            let address: Address<NetworkUnchecked> = read(address)?;
            let address = address.require_network(Network::Regtest);
            let address = address.map_err(|error| bad(&error))?;
            script(ledger, index::hash(&address.script_pubkey()), rest)?
        }
        ["mempool", "txids"] => {
            Answer::Json(ledger.pool.iter().map(|(txid, _)| json!(txid)).collect())
        }
        ["fee-estimates"] => {
            // In satoshi for a virtual byte, which is four weight units.
            let rate = |blocks| f64::from(feerate(blocks).to_sat_per_kwu() as u32) / 250.0;
            let rates = TARGETS.iter().map(|blocks| (blocks.to_string(), json!(rate(*blocks))));
            Answer::Json(rates.collect())
        }
        _ => return Err(missing("endpoint does not exist")),
    })
}

fn post(chain: &Simulated, path: &[&str], body: &[u8]) -> Result<Answer, Fault> {
    let decode = |hex: &str| -> Result<Transaction, Fault> {
        deserialize_hex(hex.trim()).map_err(|error| bad(&error))
    };
    match path {
        ["tx"] => {
            let tx = decode(std::str::from_utf8(body).map_err(|error| bad(&error))?)?;
            let sent = chain.submit(&tx);
            // As electrs passes on what bitcoind says.
            let refused = |why| {
                let message = match why {
                    super::Refusal::Mined => "Transaction outputs already in utxo set".to_owned(),
                    other => other.to_string(),
                };
                bad(&format!("sendrawtransaction RPC error: {}", json!({ "message": message })))
            };
            Ok(Answer::Text(sent.map_err(refused)?.to_string()))
        }
        ["txs", "package"] => {
            let all: Vec<String> = serde_json::from_slice(body).map_err(|error| bad(&error))?;
            let all = all.iter().map(|hex| decode(hex)).collect::<Result<Vec<_>, _>>()?;
            let refused = chain.submit_package(&all).err();
            let message = if refused.is_none() { "success" } else { "transaction failed" };
            let results: Value = all
                .iter()
                .map(|tx| (tx.compute_wtxid().to_string(), json!({ "txid": tx.compute_txid() })))
                .collect();
            Ok(Answer::Json(json!({
                "package_msg": message, "tx-results": results, "replaced-transactions": [],
            })))
        }
        _ => Err(missing("endpoint does not exist")),
    }
}

fn blocks(ledger: &Ledger, from: u32) -> Value {
    let heights = (from.saturating_sub(BLOCKS - 1)..=from).rev();
    heights.filter_map(|height| ledger.blocks.best_at(height)).map(|b| summary(ledger, b)).collect()
}

fn summary(ledger: &Ledger, known: &Known) -> Value {
    let (block, header) = (&known.block, &known.block.header);
    json!({
        "id": block.block_hash(),
        "height": known.height,
        "version": header.version.to_consensus(),
        "timestamp": header.time,
        "tx_count": block.txdata.len(),
        "size": block.total_size(),
        "weight": block.weight().to_wu(),
        "merkle_root": header.merkle_root,
        "previousblockhash": (known.height > 0).then_some(header.prev_blockhash),
        "mediantime": ledger.blocks.median_time(&block.block_hash()),
        "nonce": header.nonce,
        "bits": header.bits.to_consensus(),
        "difficulty": header.difficulty_float(),
    })
}

fn block(ledger: &Ledger, hash: BlockHash, what: &[&str]) -> Result<Answer, Fault> {
    let known = ledger.blocks.get(&hash).ok_or_else(|| missing("Block not found"))?;
    Ok(match what {
        [] => Answer::Json(summary(ledger, known)),
        ["header"] => Answer::Text(serialize_hex(&known.block.header)),
        ["raw"] => Answer::Bytes(serialize(&*known.block)),
        ["status"] => {
            let is_best = ledger.blocks.is_best(&hash);
            let next = ledger.blocks.hash_at(known.height + 1).filter(|_| is_best);
            let height = is_best.then_some(known.height);
            Answer::Json(json!({ "in_best_chain": is_best, "height": height, "next_best": next }))
        }
        ["txids"] => {
            Answer::Json(known.block.txdata.iter().map(|tx| json!(tx.compute_txid())).collect())
        }
        _ => return Err(missing("endpoint does not exist")),
    })
}

fn tx(ledger: &Ledger, txid: Txid, what: &[&str]) -> Result<Answer, Fault> {
    let found = index::transaction(ledger, &txid);
    let (tx, height) = found.ok_or_else(|| missing("Transaction not found"))?;
    Ok(match what {
        [] => Answer::Json(transaction(ledger, (tx, height))),
        ["hex"] => Answer::Text(serialize_hex(tx)),
        ["raw"] => Answer::Bytes(serialize(tx)),
        ["status"] => Answer::Json(status(ledger, height)),
        ["merkle-proof"] => {
            let branch = index::merkle_branch(ledger, &txid);
            let (height, pos, merkle) = branch.ok_or_else(|| missing("Transaction not found"))?;
            Answer::Json(json!({ "block_height": height, "merkle": merkle, "pos": pos }))
        }
        ["merkleblock-proof"] => {
            let known = height.and_then(|height| ledger.blocks.best_at(height));
            let block = &known.ok_or_else(|| missing("Transaction not found"))?.block;
            let txids: Vec<Txid> = block.txdata.iter().map(Transaction::compute_txid).collect();
            let proof =
                MerkleBlock::from_header_txids_with_predicate(&block.header, &txids, |one| {
                    *one == txid
                });
            Answer::Text(serialize_hex(&proof))
        }
        ["outspend", index] => Answer::Json(outspend(ledger, OutPoint::new(txid, read(index)?))),
        ["outspends"] => {
            let outputs = (0..).zip(&tx.output);
            Answer::Json(
                outputs.map(|(vout, _)| outspend(ledger, OutPoint::new(txid, vout))).collect(),
            )
        }
        _ => return Err(missing("endpoint does not exist")),
    })
}

fn script(ledger: &Ledger, hash: sha256::Hash, what: &[&str]) -> Result<Answer, Fault> {
    let history = index::history(ledger, hash);
    let confirmed = history.iter().rev().filter(|(_, height)| height.is_some());
    let waiting = history.iter().filter(|(_, height)| height.is_none());
    let listed = |found: Vec<&Found<'_>>| {
        Answer::Json(found.into_iter().map(|found| transaction(ledger, *found)).collect())
    };
    Ok(match what {
        ["txs"] => listed(waiting.chain(confirmed.take(PAGE)).collect()),
        ["txs", "mempool"] => listed(waiting.collect()),
        ["txs", "chain"] => listed(confirmed.take(PAGE).collect()),
        ["txs", "chain", last] => {
            let last: Txid = read(last)?;
            let after = confirmed.skip_while(|(tx, _)| tx.compute_txid() != last).skip(1);
            listed(after.take(PAGE).collect())
        }
        ["utxo"] => Answer::Json(unspent(ledger, &history, hash)),
        _ => return Err(missing("endpoint does not exist")),
    })
}

fn unspent(ledger: &Ledger, history: &[Found<'_>], hash: sha256::Hash) -> Value {
    let outputs = history.iter().flat_map(|(tx, height)| {
        let (txid, height) = (tx.compute_txid(), *height);
        (0..).zip(&tx.output).map(move |(vout, out)| (OutPoint::new(txid, vout), out, height))
    });
    outputs
        .filter(|(outpoint, out, _)| {
            index::hash(&out.script_pubkey) == hash && index::spender(ledger, outpoint).is_none()
        })
        .map(|(outpoint, out, height)| {
            json!({
                "txid": outpoint.txid, "vout": outpoint.vout, "value": out.value.to_sat(),
                "status": status(ledger, height),
            })
        })
        .collect()
}

fn status(ledger: &Ledger, height: Option<u32>) -> Value {
    match height.and_then(|height| ledger.blocks.best_at(height)) {
        Some(known) => json!({
            "confirmed": true, "block_height": known.height,
            "block_hash": known.block.block_hash(), "block_time": known.block.header.time,
        }),
        None => json!({ "confirmed": false }),
    }
}

fn outspend(ledger: &Ledger, outpoint: OutPoint) -> Value {
    match index::spender(ledger, &outpoint) {
        Some(((tx, height), input)) => json!({
            "spent": true, "txid": tx.compute_txid(), "vin": input,
            "status": status(ledger, height),
        }),
        None => json!({ "spent": false }),
    }
}

fn transaction(ledger: &Ledger, (tx, height): Found<'_>) -> Value {
    let out = |out: &bitcoin::TxOut| {
        let address = Address::from_script(&out.script_pubkey, Network::Regtest).ok();
        json!({
            "scriptpubkey": out.script_pubkey.to_hex_string(),
            "scriptpubkey_address": address.map(|address| address.to_string()),
            "value": out.value.to_sat(),
        })
    };
    let inputs = tx.input.iter().map(|input| {
        let spent = index::output(ledger, &input.previous_output);
        json!({
            "txid": input.previous_output.txid,
            "vout": input.previous_output.vout,
            "prevout": spent.as_ref().map(out),
            "scriptsig": input.script_sig.to_hex_string(),
            "witness": input.witness.iter().map(hex::DisplayHex::to_lower_hex_string)
                .collect::<Vec<_>>(),
            "is_coinbase": tx.is_coinbase(),
            "sequence": input.sequence.0,
        })
    });
    json!({
        "txid": tx.compute_txid(),
        "version": tx.version.0,
        "locktime": tx.lock_time.to_consensus_u32(),
        "vin": inputs.collect::<Value>(),
        "vout": tx.output.iter().map(out).collect::<Value>(),
        "size": tx.total_size(),
        "weight": tx.weight().to_wu(),
        "fee": index::fee(ledger, tx),
        "status": status(ledger, height),
    })
}

fn read<T: FromStr<Err: fmt::Display>>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|error| bad(&error))
}

fn bad(why: &dyn fmt::Display) -> Fault {
    (StatusCode::BAD_REQUEST, why.to_string())
}

fn missing(what: &str) -> Fault {
    (StatusCode::NOT_FOUND, what.to_owned())
}
