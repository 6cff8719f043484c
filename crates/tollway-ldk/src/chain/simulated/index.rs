//! What servers for wallets are asked about a chain: the history of a script, who spent an output, the
//! proof that a transaction is in its block. Found by looking through the blocks, of which a private
//! network has few.

use bitcoin::hashes::{Hash, sha256, sha256d};
use bitcoin::{OutPoint, Script, Transaction, TxOut, Txid};

use super::ledger::Ledger;

/// A transaction, and the height of its block if it is in one.
pub(super) type Found<'a> = (&'a Transaction, Option<u32>);

/// The transactions that pay to or spend from scripts with this hash: those in blocks, oldest first,
/// then those that wait.
pub(super) fn history(ledger: &Ledger, script: sha256::Hash) -> Vec<Found<'_>> {
    let is_it = |out: &TxOut| hash(&out.script_pubkey) == script;
    let touches = |tx: &Transaction| {
        tx.output.iter().any(is_it)
            || tx
                .input
                .iter()
                .any(|input| output(ledger, &input.previous_output).is_some_and(|out| is_it(&out)))
    };
    all(ledger).filter(|(tx, _)| touches(tx)).collect()
}

/// What Electrum and Esplora know a script by.
pub(super) fn hash(script: &Script) -> sha256::Hash {
    sha256::Hash::hash(script.as_bytes())
}

fn all(ledger: &Ledger) -> impl Iterator<Item = Found<'_>> {
    let blocks = (0..=ledger.blocks.height()).filter_map(|height| {
        let known = ledger.blocks.best_at(height)?;
        Some(known.block.txdata.iter().map(move |tx| (tx, Some(height))))
    });
    blocks.flatten().chain(ledger.pool.iter().map(|(_, waiting)| (&waiting.tx, None)))
}

/// A transaction that waits or is in the best chain.
pub(super) fn transaction<'a>(ledger: &'a Ledger, txid: &Txid) -> Option<Found<'a>> {
    if let Some(waiting) = ledger.pool.get(txid) {
        return Some((&waiting.tx, None));
    }
    let place = ledger.blocks.place_of(txid)?;
    let known = ledger.blocks.best_at(place.height)?;
    Some((known.block.txdata.get(place.index)?, Some(place.height)))
}

/// What an outpoint stands for.
pub(super) fn output(ledger: &Ledger, outpoint: &OutPoint) -> Option<TxOut> {
    let (tx, _) = transaction(ledger, &outpoint.txid)?;
    tx.output.get(outpoint.vout as usize).cloned()
}

/// Which transaction spends an output, and with which of its inputs.
pub(super) fn spender<'a>(ledger: &'a Ledger, spent: &OutPoint) -> Option<(Found<'a>, usize)> {
    all(ledger).find_map(|found| {
        let input = found.0.input.iter().position(|input| input.previous_output == *spent)?;
        Some((found, input))
    })
}

/// What a transaction pays to miners; a coinbase pays nothing.
pub(super) fn fee(ledger: &Ledger, tx: &Transaction) -> u64 {
    if tx.is_coinbase() {
        return 0;
    }
    let spent = tx.input.iter().filter_map(|input| output(ledger, &input.previous_output));
    let spent: u64 = spent.map(|out| out.value.to_sat()).sum();
    let given: u64 = tx.output.iter().map(|out| out.value.to_sat()).sum();
    spent.saturating_sub(given)
}

/// The hashes that lead from a transaction to its block's merkle root, and its place in the block.
pub(super) fn merkle_branch(ledger: &Ledger, txid: &Txid) -> Option<(u32, usize, Vec<Txid>)> {
    let place = ledger.blocks.place_of(txid)?;
    let block = &ledger.blocks.best_at(place.height)?.block;
    let mut row: Vec<[u8; 32]> =
        block.txdata.iter().map(|tx| tx.compute_txid().to_byte_array()).collect();
    let (mut at, mut branch) = (place.index, Vec::new());
    while row.len() > 1 {
        if row.len() % 2 == 1 {
            row.extend(row.last().copied());
        }
        branch.push(Txid::from_byte_array(row[at ^ 1]));
        let pairs = row.chunks_exact(2);
        row = pairs.map(|pair| sha256d::Hash::hash(&pair.concat()).to_byte_array()).collect();
        at /= 2;
    }
    Some((place.height, place.index, branch))
}
