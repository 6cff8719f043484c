//! The methods of the interface, one table: those that Lightning nodes and wallets call, and those
//! that make blocks and money.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, OutPoint};
use hex::DisplayHex;
use serde_json::{Value, json};

use super::answers::{self, btc};
use super::params::{self, Fault, Params};
use crate::chain::Simulated;
use crate::chain::simulated::blocks::Known;
use crate::chain::simulated::coins::Coin;
use crate::chain::simulated::feerate;
use crate::chain::simulated::ledger::Ledger;

type Answer = Result<Value, Fault>;

/// Methods that look at one moment of the chain.
type Read = fn(&Ledger, &Params<'_>) -> Answer;
type Write = fn(&Simulated, &Params<'_>) -> Answer;

const READS: &[(&str, Read)] = &[
    ("estimatesmartfee", estimate_smart_fee),
    ("getbestblockhash", |ledger, _| Ok(json!(ledger.blocks.tip().hash))),
    ("getblock", get_block),
    ("getblockchaininfo", get_blockchain_info),
    ("getblockcount", |ledger, _| Ok(json!(ledger.blocks.height()))),
    ("getblockhash", get_block_hash),
    ("getblockheader", get_block_header),
    ("getconnectioncount", |_, _| Ok(json!(0))),
    ("getindexinfo", get_index_info),
    ("getmempoolentry", get_mempool_entry),
    ("getmempoolinfo", get_mempool_info),
    ("getnetworkinfo", get_network_info),
    ("getpeerinfo", |_, _| Ok(json!([]))),
    ("getrawmempool", get_raw_mempool),
    ("getrawtransaction", get_raw_transaction),
    ("gettxout", get_tx_out),
    ("gettxspendingprevout", get_tx_spending_prevout),
    ("getzmqnotifications", |_, _| Ok(json!([]))),
    ("testmempoolaccept", test_mempool_accept),
    ("uptime", |_, _| Ok(json!(1))),
];

/// Methods that change the chain. `sendtoaddress` is the faucet under the name that bitcoind's
/// wallet gives it; `reorg` is ours: how many blocks to leave behind, how many to mine instead.
const WRITES: &[(&str, Write)] = &[
    ("generatetoaddress", |chain, params| {
        Ok(json!(chain.mine_to(params.height(0)?, &params.script(1)?)?))
    }),
    ("reorg", |chain, params| Ok(json!(chain.reorg(params.height(0)?, params.height(1)?)?))),
    ("sendrawtransaction", |chain, params| Ok(json!(chain.submit(&params.transaction(0)?)?))),
    ("sendtoaddress", |chain, params| {
        Ok(json!(chain.pay(&[(params.script(0)?, params.amount(1)?)])?))
    }),
    ("submitpackage", submit_package),
];

/// Answers one call.
pub(super) fn answer(chain: &Simulated, method: &str, params: &Params<'_>) -> Answer {
    if let Some((_, read)) = READS.iter().find(|(name, _)| *name == method) {
        return read(&chain.ledger(), params);
    }
    if let Some((_, write)) = WRITES.iter().find(|(name, _)| *name == method) {
        return write(chain, params);
    }
    Err(Fault::new(Fault::METHOD_NOT_FOUND, "Method not found"))
}

fn known<'a>(ledger: &'a Ledger, params: &Params<'_>) -> Result<&'a Known, Fault> {
    ledger.blocks.get(&params.hash(0)?).ok_or_else(|| Fault::not_found("Block not found"))
}

fn get_blockchain_info(ledger: &Ledger, _: &Params<'_>) -> Answer {
    let tip = ledger.blocks.tip();
    let known = ledger.blocks.get(&tip.hash).expect("the tip is known");
    Ok(json!({
        "chain": "regtest",
        "blocks": tip.height,
        "headers": tip.height,
        "bestblockhash": tip.hash,
        "difficulty": known.block.header.difficulty_float(),
        "time": known.block.header.time,
        "mediantime": ledger.blocks.median_time(&tip.hash),
        "verificationprogress": 1.0,
        "initialblockdownload": false,
        "chainwork": known.work.to_be_bytes().to_lower_hex_string(),
        "size_on_disk": 0,
        "pruned": false,
        "warnings": "",
        "softforks": {
            "csv": { "type": "buried", "active": true, "height": 1 },
            "segwit": { "type": "buried", "active": true, "height": 0 },
            "taproot": {
                "type": "bip9", "active": true, "height": 0,
                "bip9": {
                    "status": "active", "start_time": -1, "timeout": i64::MAX, "since": 0,
                    "min_activation_height": 0,
                },
            },
        },
    }))
}

fn get_block_hash(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let hash = ledger.blocks.hash_at(params.height(0)?);
    hash.map(|hash| json!(hash)).ok_or_else(|| Fault::parameter("Block height out of range"))
}

fn get_block_header(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let known = known(ledger, params)?;
    Ok(match params.flag(1).unwrap_or(true) {
        true => answers::header(&ledger.blocks, known),
        false => json!(serialize_hex(&known.block.header)),
    })
}

fn get_block(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let known = known(ledger, params)?;
    let verbosity = params.number(1).or_else(|| params.flag(1).map(u64::from)).unwrap_or(1);
    Ok(match verbosity {
        0 => json!(serialize_hex(&*known.block)),
        verbosity => answers::block(&ledger.blocks, known, verbosity),
    })
}

fn get_raw_mempool(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let pool = &ledger.pool;
    Ok(match params.flag(0).unwrap_or(false) {
        true => pool
            .iter()
            .map(|(txid, waiting)| (txid.to_string(), answers::waiting(pool, txid, waiting)))
            .collect(),
        false => pool.iter().map(|(txid, _)| json!(txid)).collect(),
    })
}

fn get_mempool_entry(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let txid = params.txid(0)?;
    let waiting = ledger.pool.get(&txid);
    let waiting = waiting.ok_or_else(|| Fault::not_found("Transaction not in mempool"))?;
    Ok(answers::waiting(&ledger.pool, &txid, waiting))
}

fn get_mempool_info(ledger: &Ledger, _: &Params<'_>) -> Answer {
    let bytes: usize = ledger.pool.iter().map(|(_, waiting)| waiting.tx.vsize()).sum();
    let minimum = btc(Amount::from_sat(1000));
    Ok(json!({
        "loaded": true,
        "size": ledger.pool.len(),
        "bytes": bytes,
        "usage": bytes,
        "maxmempool": 300_000_000,
        "mempoolminfee": minimum,
        "minrelaytxfee": minimum,
        "incrementalrelayfee": minimum,
        "unbroadcastcount": 0,
        "fullrbf": true,
    }))
}

fn get_raw_transaction(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let txid = params.txid(0)?;
    let verbose = params.flag(1).unwrap_or(false);
    if let Some(waiting) = ledger.pool.get(&txid) {
        let tx = &waiting.tx;
        return Ok(if verbose { answers::transaction(tx) } else { json!(serialize_hex(tx)) });
    }
    let place = ledger.blocks.place_of(&txid);
    let place =
        place.ok_or_else(|| Fault::not_found("No such mempool or blockchain transaction"))?;
    let known = ledger.blocks.best_at(place.height).expect("it holds a mined transaction");
    let tx = &known.block.txdata[place.index];
    Ok(match verbose {
        true => answers::mined_transaction(&ledger.blocks, known, tx),
        false => json!(serialize_hex(tx)),
    })
}

fn get_tx_out(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let outpoint = OutPoint::new(params.txid(0)?, params.height(1)?);
    let with_waiting = params.flag(2).unwrap_or(true);
    if with_waiting && ledger.pool.spender(&outpoint).is_some() {
        return Ok(Value::Null);
    }
    if let Some(coin) = ledger.coins.get(&outpoint) {
        return Ok(answers::coin(ledger, coin));
    }
    let waiting = ledger.pool.output(&outpoint).filter(|_| with_waiting);
    Ok(waiting.map_or(Value::Null, |out| {
        let height = ledger.blocks.height() + 1;
        answers::coin(ledger, &Coin { out: out.clone(), height, coinbase: false })
    }))
}

fn get_tx_spending_prevout(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let spent = params.list(0)?.iter().map(|output| {
        let mut answer = output.clone();
        if let Some(txid) = ledger.pool.spender(&params::outpoint(output)?) {
            answer["spendingtxid"] = json!(txid);
        }
        Ok(answer)
    });
    spent.collect()
}

fn test_mempool_accept(ledger: &Ledger, params: &Params<'_>) -> Answer {
    let tested = params.list(0)?.iter().map(|hex| {
        let tx = params::transaction(hex.as_str().unwrap_or_default())?;
        let mut answer = json!({ "txid": tx.compute_txid(), "wtxid": tx.compute_wtxid() });
        if ledger.pool.get(&tx.compute_txid()).is_some() {
            answer["allowed"] = json!(false);
            answer["reject-reason"] = json!("txn-already-in-mempool");
            return Ok(answer);
        }
        match ledger.consider(&tx) {
            Ok(admission) => {
                let per_kvb = admission.fee.to_sat() * 1000 / tx.vsize() as u64;
                answer["allowed"] = json!(true);
                answer["vsize"] = json!(tx.vsize());
                answer["fees"] = json!({
                    "base": btc(admission.fee),
                    "effective-feerate": btc(Amount::from_sat(per_kvb)),
                    "effective-includes": [tx.compute_wtxid()],
                });
            }
            Err(refusal) => {
                answer["allowed"] = json!(false);
                answer["reject-reason"] = json!(Fault::from(refusal).message);
            }
        }
        Ok(answer)
    });
    tested.collect()
}

fn submit_package(chain: &Simulated, params: &Params<'_>) -> Answer {
    let txs =
        params.list(0)?.iter().map(|hex| params::transaction(hex.as_str().unwrap_or_default()));
    let txs = txs.collect::<Result<Vec<_>, _>>()?;
    let refused = chain.submit_package(&txs).err();
    let message = if refused.is_none() { "success" } else { "transaction failed" };
    let results = txs.iter().map(|tx| {
        let txid = tx.compute_txid();
        let mut result = json!({ "txid": txid });
        match &refused {
            Some((culprit, refusal)) if *culprit == txid => {
                result["error"] = json!(refusal.to_string());
            }
            Some(_) => result["error"] = json!("package-not-validated"),
            None => result["vsize"] = json!(tx.vsize()),
        }
        (tx.compute_wtxid().to_string(), result)
    });
    let results: Value = results.collect();
    Ok(json!({ "package_msg": message, "tx-results": results, "replaced-transactions": [] }))
}

fn estimate_smart_fee(_: &Ledger, params: &Params<'_>) -> Answer {
    let blocks = params.number(0).unwrap_or(1);
    let rate = feerate(u16::try_from(blocks).unwrap_or(u16::MAX));
    let per_kvb = Amount::from_sat(rate.to_sat_per_kwu() * 4);
    Ok(json!({ "feerate": btc(per_kvb), "blocks": blocks }))
}

fn get_network_info(_: &Ledger, _: &Params<'_>) -> Answer {
    let minimum = btc(Amount::from_sat(1000));
    Ok(json!({
        "version": 280_000,
        "subversion": "/Satoshi:28.0.0/",
        "protocolversion": 70016,
        "localservices": "0000000000000409",
        "localrelay": true,
        "timeoffset": 0,
        "networkactive": true,
        "connections": 0,
        "connections_in": 0,
        "connections_out": 0,
        "networks": [],
        "relayfee": minimum,
        "incrementalfee": minimum,
        "localaddresses": [],
        "warnings": "",
    }))
}

fn get_index_info(ledger: &Ledger, _: &Params<'_>) -> Answer {
    let height = ledger.blocks.height();
    Ok(json!({ "txindex": { "synced": true, "best_block_height": height } }))
}
