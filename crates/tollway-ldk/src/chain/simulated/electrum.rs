//! The simulated chain as an Electrum server, on a plain port: version 1.4 of
//! <https://electrumx.readthedocs.io/en/latest/protocol.html>, with word of new blocks and of scripts.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr;
use std::{fmt, io};

use bitcoin::block::Header;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, Txid};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::ledger::Ledger;
use super::{Simulated, feerate, index};

/// The most headers in one answer.
const HEADERS: usize = 2016;

/// A chain's Electrum port. Closes when dropped.
pub struct ElectrumServer {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl ElectrumServer {
    /// Opens the port; `127.0.0.1:0` takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn bind(chain: Simulated, address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(chain, listener));
        Ok(Self { address, _task: AbortOnDropHandle::new(task) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL, as [`Electrum`](crate::chain::Electrum) takes it.
    pub fn url(&self) -> String {
        format!("tcp://{}", self.address)
    }
}

impl fmt::Debug for ElectrumServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElectrumServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Ends, with all connections, when the server is dropped.
async fn accept(chain: Simulated, listener: TcpListener) {
    let mut served = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let client = Client { chain: chain.clone(), heads: false, scripts: HashMap::new() };
                    served.spawn(client.serve(stream));
                }
                Err(error) => {
                    tracing::warn!(%error, "the chain's Electrum port failed");
                    return;
                }
            },
            Some(_) = served.join_next() => {}
        }
    }
}

/// One connection, and what it wants to be told.
struct Client {
    chain: Simulated,
    heads: bool,
    scripts: HashMap<String, Value>,
}

/// A code and words, as JSON-RPC has them.
type Fault = (i32, String);

impl Client {
    /// Until the other side has gone.
    async fn serve(mut self, mut stream: TcpStream) {
        let (reader, mut writer) = stream.split();
        let mut lines = BufReader::new(reader).lines();
        let (mut tips, mut waiting) = (self.chain.tips(), self.chain.waiting());
        loop {
            let messages = tokio::select! {
                line = lines.next_line() => match line {
                    Ok(Some(line)) => vec![self.answer_line(&line)],
                    Ok(None) | Err(_) => return,
                },
                Ok(()) = tips.changed() => self.news(true),
                Ok(()) = waiting.changed() => self.news(false),
            };
            for message in messages {
                if writer.write_all(format!("{message}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    }

    fn answer_line(&mut self, line: &str) -> Value {
        match serde_json::from_str(line) {
            Ok(Value::Array(calls)) => calls.iter().map(|call| self.answer(call)).collect(),
            Ok(call) => self.answer(&call),
            Err(error) => json!({
                "jsonrpc": "2.0", "id": null,
                "error": { "code": -32700, "message": error.to_string() },
            }),
        }
    }

    fn answer(&mut self, call: &Value) -> Value {
        let method = call["method"].as_str().unwrap_or_default();
        let empty = Vec::new();
        let params = call["params"].as_array().unwrap_or(&empty);
        match self.result(method, params) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Err((code, message)) => json!({
                "jsonrpc": "2.0", "id": call["id"],
                "error": { "code": code, "message": message },
            }),
        }
    }

    fn result(&mut self, method: &str, params: &[Value]) -> Result<Value, Fault> {
        let script = || read::<sha256::Hash>(params, 0).map(reversed);
        if method == "blockchain.transaction.broadcast" {
            let tx = deserialize_hex(text(params, 0)?).map_err(|error| bad(&error))?;
            let sent = self.chain.submit(&tx);
            return sent.map(|txid| json!(txid)).map_err(|refusal| (1, refused(&refusal)));
        }
        let chain = self.chain.clone();
        let ledger = chain.ledger();
        match method {
            "server.version" => Ok(json!(["tollway", "1.4"])),
            "server.ping" => Ok(Value::Null),
            "server.features" => Ok(features(&ledger)),
            "blockchain.headers.subscribe" => {
                self.heads = true;
                Ok(head(&ledger))
            }
            "blockchain.scripthash.subscribe" => {
                let status = status(&ledger, script()?);
                self.scripts.insert(text(params, 0)?.to_owned(), status.clone());
                Ok(status)
            }
            "blockchain.scripthash.unsubscribe" => {
                Ok(json!(self.scripts.remove(text(params, 0)?).is_some()))
            }
            "blockchain.scripthash.get_history" => Ok(history(&ledger, script()?)),
            "blockchain.scripthash.listunspent" => Ok(unspent(&ledger, script()?)),
            "blockchain.scripthash.get_balance" => Ok(balance(&ledger, script()?)),
            _ => about_chain(&ledger, method, params),
        }
    }

    /// What has changed of what was asked for.
    fn news(&mut self, block: bool) -> Vec<Value> {
        let chain = self.chain.clone();
        let ledger = chain.ledger();
        let told = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "method": method, "params": params });
        let mut news = Vec::new();
        if block && self.heads {
            news.push(told("blockchain.headers.subscribe", json!([head(&ledger)])));
        }
        for (hash, known) in &mut self.scripts {
            let Ok(script) = hash.parse().map(reversed) else { continue };
            let now = status(&ledger, script);
            if *known != now {
                news.push(told("blockchain.scripthash.subscribe", json!([hash, now])));
                *known = now;
            }
        }
        news
    }
}

fn about_chain(ledger: &Ledger, method: &str, params: &[Value]) -> Result<Value, Fault> {
    let header_at = |height: u32| {
        let known = ledger.blocks.best_at(height);
        known.map(|known| known.block.header).ok_or((1, format!("no block {height}")))
    };
    match method {
        "blockchain.block.header" => {
            Ok(json!(serialize_hex::<Header>(&header_at(number(params, 0)?)?)))
        }
        "blockchain.block.headers" => {
            let (start, count): (u32, u32) = (number(params, 0)?, number(params, 1)?);
            let count = usize::try_from(count).unwrap_or(HEADERS).min(HEADERS);
            let headers: Vec<String> = (start..)
                .map_while(|height| header_at(height).ok())
                .take(count)
                .map(|header| serialize_hex(&header))
                .collect();
            Ok(json!({ "count": headers.len(), "hex": headers.concat(), "max": HEADERS }))
        }
        "blockchain.transaction.get" => {
            let found = index::transaction(ledger, &read(params, 0)?);
            let (tx, _) = found.ok_or((2, "no such transaction".to_owned()))?;
            Ok(json!(serialize_hex(tx)))
        }
        "blockchain.transaction.get_merkle" => {
            let branch = index::merkle_branch(ledger, &read(params, 0)?);
            let (height, pos, merkle) = branch.ok_or((1, "not in a block".to_owned()))?;
            Ok(json!({ "block_height": height, "pos": pos, "merkle": merkle }))
        }
        "blockchain.estimatefee" => {
            let blocks = u16::try_from(number(params, 0)?).unwrap_or(u16::MAX);
            Ok(json!(Amount::from_sat(feerate(blocks).to_sat_per_kwu() * 4).to_btc()))
        }
        "blockchain.relayfee" => Ok(json!(0.00001)),
        "mempool.get_fee_histogram" => Ok(json!([])),
        _ => Err((-32601, format!("unknown method {method}"))),
    }
}

fn features(ledger: &Ledger) -> Value {
    json!({
        "genesis_hash": ledger.blocks.hash_at(0), "hash_function": "sha256",
        "server_version": "tollway", "protocol_min": "1.4", "protocol_max": "1.4",
        "pruning": null, "hosts": {},
    })
}

fn head(ledger: &Ledger) -> Value {
    let tip = ledger.blocks.tip();
    let known = ledger.blocks.get(&tip.hash).expect("the tip is known");
    json!({ "height": tip.height, "hex": serialize_hex(&known.block.header) })
}

/// The protocol writes the hashes of scripts backwards.
fn reversed(hash: sha256::Hash) -> sha256::Hash {
    let mut bytes = hash.to_byte_array();
    bytes.reverse();
    sha256::Hash::from_byte_array(bytes)
}

/// Heights as the protocol has them: 0 for what waits, -1 for what waits for what waits.
fn heights(ledger: &Ledger, script: sha256::Hash) -> Vec<(Txid, i64, Option<u64>)> {
    let found = index::history(ledger, script).into_iter();
    found
        .map(|(tx, height)| {
            let hangs = || {
                tx.input.iter().any(|input| ledger.pool.get(&input.previous_output.txid).is_some())
            };
            let waits = || if hangs() { -1 } else { 0 };
            let fee = height.is_none().then(|| index::fee(ledger, tx));
            (tx.compute_txid(), height.map_or_else(waits, i64::from), fee)
        })
        .collect()
}

fn history(ledger: &Ledger, script: sha256::Hash) -> Value {
    let entries = heights(ledger, script).into_iter();
    entries
        .map(|(txid, height, fee)| match fee {
            None => json!({ "tx_hash": txid, "height": height }),
            Some(fee) => json!({ "tx_hash": txid, "height": height, "fee": fee }),
        })
        .collect()
}

/// The hash of a script's history; nothing for one that was never used.
fn status(ledger: &Ledger, script: sha256::Hash) -> Value {
    let entries = heights(ledger, script).into_iter();
    let text: String = entries.map(|(txid, height, _)| format!("{txid}:{height}:")).collect();
    match text.is_empty() {
        true => Value::Null,
        false => json!(sha256::Hash::hash(text.as_bytes())),
    }
}

/// Output, value and height of what a script could spend.
fn coins(ledger: &Ledger, script: sha256::Hash) -> Vec<(Txid, u32, u64, u32)> {
    let found = index::history(ledger, script);
    let outputs = found.iter().flat_map(|(tx, height)| {
        let (txid, height) = (tx.compute_txid(), height.unwrap_or_default());
        (0..).zip(&tx.output).map(move |(vout, out)| (txid, vout, out, height))
    });
    let ours = outputs.filter(|(txid, vout, out, _)| {
        let outpoint = bitcoin::OutPoint::new(*txid, *vout);
        index::hash(&out.script_pubkey) == script && index::spender(ledger, &outpoint).is_none()
    });
    ours.map(|(txid, vout, out, height)| (txid, vout, out.value.to_sat(), height)).collect()
}

fn unspent(ledger: &Ledger, script: sha256::Hash) -> Value {
    let coins = coins(ledger, script).into_iter();
    coins
        .map(|(txid, vout, value, height)| {
            json!({ "tx_hash": txid, "tx_pos": vout, "value": value, "height": height })
        })
        .collect()
}

fn balance(ledger: &Ledger, script: sha256::Hash) -> Value {
    let coins = coins(ledger, script);
    let sum = |confirmed: bool| -> u64 {
        let some = coins.iter().filter(|(.., height)| (*height > 0) == confirmed);
        some.map(|(_, _, value, _)| value).sum()
    };
    json!({ "confirmed": sum(true), "unconfirmed": sum(false) })
}

/// As servers pass on what bitcoind says.
fn refused(refusal: &super::Refusal) -> String {
    let message = match refusal {
        super::Refusal::Mined => "Transaction outputs already in utxo set".to_owned(),
        other => other.to_string(),
    };
    format!("the transaction was rejected by network rules.\n\n{message}")
}

fn text(params: &[Value], index: usize) -> Result<&str, Fault> {
    let text = params.get(index).and_then(Value::as_str);
    text.ok_or_else(|| bad(&format!("parameter {} must be a string", index + 1)))
}

fn number(params: &[Value], index: usize) -> Result<u32, Fault> {
    let number = params.get(index).and_then(Value::as_u64);
    let number = number.and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| bad(&format!("parameter {} must be a number of blocks", index + 1)))
}

fn read<T: FromStr<Err: fmt::Display>>(params: &[Value], index: usize) -> Result<T, Fault> {
    text(params, index)?.parse().map_err(|error| bad(&error))
}

fn bad(why: &dyn fmt::Display) -> Fault {
    (-32602, why.to_string())
}
