//! Blocks, transactions and outputs in the JSON that bitcoind writes.

use std::collections::BTreeSet;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Address, Amount, Network, Script, Transaction, TxIn, Txid};
use hex::DisplayHex;
use serde_json::{Value, json};

use crate::chain::simulated::blocks::{Blocks, Known};
use crate::chain::simulated::coins::Coin;
use crate::chain::simulated::ledger::Ledger;
use crate::chain::simulated::pool::{Pool, Waiting};

/// An amount in bitcoin: the interface wants a JSON number with eight decimals, which a float holds
/// exactly enough up to all the bitcoin there is.
pub(super) fn btc(amount: Amount) -> Value {
    json!(amount.to_btc())
}

/// The header fields of a block, with its place in the chain.
pub(super) fn header(blocks: &Blocks, known: &Known) -> Value {
    let header = &known.block.header;
    let hash = known.block.block_hash();
    let best = blocks.is_best(&hash);
    let confirmations =
        if best { i64::from(blocks.height()) - i64::from(known.height) + 1 } else { -1 };
    let mut answer = json!({
        "hash": hash,
        "confirmations": confirmations,
        "height": known.height,
        "version": header.version.to_consensus(),
        "versionHex": format!("{:08x}", header.version.to_consensus()),
        "merkleroot": header.merkle_root,
        "time": header.time,
        "mediantime": blocks.median_time(&hash),
        "nonce": header.nonce,
        "bits": format!("{:08x}", header.bits.to_consensus()),
        "difficulty": header.difficulty_float(),
        "chainwork": known.work.to_be_bytes().to_lower_hex_string(),
        "nTx": known.block.txdata.len(),
    });
    if known.height > 0 {
        answer["previousblockhash"] = json!(header.prev_blockhash);
    }
    if let Some(next) = blocks.hash_at(known.height + 1).filter(|_| best) {
        answer["nextblockhash"] = json!(next);
    }
    answer
}

/// A block with its transaction ids, or at verbosity 2 and above with its transactions.
pub(super) fn block(blocks: &Blocks, known: &Known, verbosity: u64) -> Value {
    let mut answer = header(blocks, known);
    let block = &known.block;
    let tx = |tx: &Transaction| match verbosity {
        1 => json!(tx.compute_txid()),
        _ => transaction(tx),
    };
    let stripped = block.weight().to_wu().saturating_sub(block.total_size() as u64) / 3;
    answer["size"] = json!(block.total_size());
    answer["strippedsize"] = json!(stripped);
    answer["weight"] = json!(block.weight().to_wu());
    answer["tx"] = block.txdata.iter().map(tx).collect();
    answer
}

/// A transaction, without its place in the chain.
pub(super) fn transaction(tx: &Transaction) -> Value {
    let outputs = tx.output.iter().enumerate().map(|(index, out)| {
        json!({ "value": btc(out.value), "n": index, "scriptPubKey": script(&out.script_pubkey) })
    });
    json!({
        "txid": tx.compute_txid(),
        "hash": tx.compute_wtxid(),
        "version": tx.version.0,
        "size": tx.total_size(),
        "vsize": tx.vsize(),
        "weight": tx.weight().to_wu(),
        "locktime": tx.lock_time.to_consensus_u32(),
        "vin": tx.input.iter().map(|input| self::input(input, tx.is_coinbase())).collect::<Value>(),
        "vout": outputs.collect::<Value>(),
        "hex": serialize_hex(tx),
    })
}

/// A transaction with the block it is in.
pub(super) fn mined_transaction(blocks: &Blocks, known: &Known, tx: &Transaction) -> Value {
    let mut answer = transaction(tx);
    answer["blockhash"] = json!(known.block.block_hash());
    answer["confirmations"] = json!(blocks.height() - known.height + 1);
    answer["time"] = json!(known.block.header.time);
    answer["blocktime"] = json!(known.block.header.time);
    answer
}

fn input(input: &TxIn, coinbase: bool) -> Value {
    let mut answer = json!({ "sequence": input.sequence.0 });
    if coinbase {
        answer["coinbase"] = json!(input.script_sig.to_hex_string());
    } else {
        let script = &input.script_sig;
        answer["txid"] = json!(input.previous_output.txid);
        answer["vout"] = json!(input.previous_output.vout);
        answer["scriptSig"] =
            json!({ "asm": script.to_asm_string(), "hex": script.to_hex_string() });
    }
    if !input.witness.is_empty() {
        answer["txinwitness"] =
            input.witness.iter().map(|item| item.to_lower_hex_string()).collect();
    }
    answer
}

fn script(script: &Script) -> Value {
    type Test = fn(&Script) -> bool;
    let kinds: [(Test, &str); 6] = [
        (Script::is_p2wpkh, "witness_v0_keyhash"),
        (Script::is_p2wsh, "witness_v0_scripthash"),
        (Script::is_p2tr, "witness_v1_taproot"),
        (Script::is_op_return, "nulldata"),
        (Script::is_p2pkh, "pubkeyhash"),
        (Script::is_p2sh, "scripthash"),
    ];
    let kind = kinds.iter().find(|(is, _)| is(script)).map_or("nonstandard", |(_, name)| name);
    let mut answer =
        json!({ "asm": script.to_asm_string(), "hex": script.to_hex_string(), "type": kind });
    if let Ok(address) = Address::from_script(script, Network::Regtest) {
        answer["address"] = json!(address.to_string());
    }
    answer
}

/// An unspent output.
pub(super) fn coin(ledger: &Ledger, coin: &Coin) -> Value {
    let tip = ledger.blocks.tip();
    json!({
        "bestblock": tip.hash,
        "confirmations": (tip.height + 1).saturating_sub(coin.height),
        "value": btc(coin.out.value),
        "scriptPubKey": script(&coin.out.script_pubkey),
        "coinbase": coin.coinbase,
    })
}

/// A waiting transaction.
pub(super) fn waiting(pool: &Pool, txid: &Txid, waiting: &Waiting) -> Value {
    let descendants = pool.with_descendants(&BTreeSet::from([*txid]));
    let ancestors = pool.with_ancestors(txid);
    let size = |txids: &BTreeSet<Txid>| -> usize {
        txids.iter().filter_map(|txid| Some(pool.get(txid)?.tx.vsize())).sum()
    };
    let fees = |txids: &BTreeSet<Txid>| -> Amount {
        txids.iter().filter_map(|txid| Some(pool.get(txid)?.fee)).sum()
    };
    let parents: BTreeSet<Txid> =
        waiting.tx.input.iter().map(|input| input.previous_output.txid).collect();
    let depends: Vec<&Txid> = parents.iter().filter(|txid| pool.get(txid).is_some()).collect();
    let outputs = (0..).zip(&waiting.tx.output);
    let spent_by: BTreeSet<&Txid> = outputs
        .filter_map(|(vout, _)| pool.spender(&bitcoin::OutPoint::new(*txid, vout)))
        .collect();
    json!({
        "vsize": waiting.tx.vsize(),
        "weight": waiting.tx.weight().to_wu(),
        "time": waiting.time,
        "height": waiting.height,
        "descendantcount": descendants.len(),
        "descendantsize": size(&descendants),
        "ancestorcount": ancestors.len(),
        "ancestorsize": size(&ancestors),
        "wtxid": waiting.tx.compute_wtxid(),
        "fees": {
            "base": btc(waiting.fee),
            "modified": btc(waiting.fee),
            "ancestor": btc(fees(&ancestors)),
            "descendant": btc(fees(&descendants)),
        },
        "depends": depends,
        "spentby": spent_by,
        "bip125-replaceable": true,
        "unbroadcast": false,
    })
}
