//! The transactions that wait for a block, in the order they came, so that parents stand before
//! their children. Holds them; which may enter is decided by the rules.

use std::collections::{BTreeSet, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid};

/// The memory pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    order: Vec<Txid>,
    waiting: HashMap<Txid, Waiting>,
    spends: HashMap<OutPoint, Txid>,
    last_time: u32,
}

/// A transaction in the pool.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) tx: Transaction,
    pub(super) fee: Amount,
    /// When it came, Unix seconds.
    pub(super) time: u32,
    /// The height of the tip when it came.
    pub(super) height: u32,
}

/// Seconds since 1970, as block headers count them.
pub(super) fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

impl Pool {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn get(&self, txid: &Txid) -> Option<&Waiting> {
        self.waiting.get(txid)
    }

    /// Parents before children.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Txid, &Waiting)> {
        self.order.iter().filter_map(|txid| Some((txid, self.waiting.get(txid)?)))
    }

    pub(super) fn spender(&self, outpoint: &OutPoint) -> Option<&Txid> {
        self.spends.get(outpoint)
    }

    pub(super) fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        self.get(&outpoint.txid)?.tx.output.get(outpoint.vout as usize)
    }

    /// The waiting transactions that spend what `tx` spends.
    pub(super) fn conflicts(&self, tx: &Transaction) -> BTreeSet<Txid> {
        let outpoints = tx.input.iter().map(|input| &input.previous_output);
        outpoints.filter_map(|outpoint| self.spender(outpoint)).copied().collect()
    }

    /// These transactions and all that hang on them.
    pub(super) fn with_descendants(&self, roots: &BTreeSet<Txid>) -> BTreeSet<Txid> {
        let mut all = roots.clone();
        // One pass is enough, because parents come first.
        for (txid, waiting) in self.iter() {
            if waiting.tx.input.iter().any(|input| all.contains(&input.previous_output.txid)) {
                all.insert(*txid);
            }
        }
        all
    }

    /// This transaction and all it hangs on.
    pub(super) fn with_ancestors(&self, txid: &Txid) -> BTreeSet<Txid> {
        let mut all = BTreeSet::new();
        let mut next = vec![*txid];
        while let Some(txid) = next.pop() {
            let Some(waiting) = self.get(&txid) else { continue };
            if all.insert(txid) {
                next.extend(waiting.tx.input.iter().map(|input| input.previous_output.txid));
            }
        }
        all
    }

    /// Adds a transaction that the rules allow, and whose conflicts are gone.
    pub(super) fn insert(&mut self, tx: Transaction, fee: Amount, height: u32) -> Txid {
        let txid = tx.compute_txid();
        for input in &tx.input {
            self.spends.insert(input.previous_output, txid);
        }
        // Strictly rising: some followers take a transaction that is not newer than the newest
        // they know for one they have handled.
        self.last_time = now().max(self.last_time + 1);
        self.waiting.insert(txid, Waiting { tx, fee, time: self.last_time, height });
        self.order.push(txid);
        txid
    }

    /// Takes out one transaction, and leaves its children.
    pub(super) fn remove(&mut self, txid: &Txid) {
        let Some(waiting) = self.waiting.remove(txid) else { return };
        for input in &waiting.tx.input {
            self.spends.remove(&input.previous_output);
        }
        self.order.retain(|other| other != txid);
    }

    /// Takes out everything, parents first.
    pub(super) fn drain(&mut self) -> Vec<Transaction> {
        self.spends.clear();
        let mut waiting = std::mem::take(&mut self.waiting);
        let order = std::mem::take(&mut self.order);
        order.iter().filter_map(|txid| Some(waiting.remove(txid)?.tx)).collect()
    }
}
