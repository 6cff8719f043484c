//! The outputs that can be spent, and how to go back when a block is taken off the chain.

use std::collections::HashMap;

use bitcoin::{Block, OutPoint, TxOut};

use super::blocks::BadBlock;

/// An unspent output.
#[derive(Clone, Debug)]
pub(super) struct Coin {
    pub(super) out: TxOut,
    /// The height of the block it is in, or will be in at the earliest.
    pub(super) height: u32,
    pub(super) coinbase: bool,
}

/// All unspent outputs of the best chain, with what each of its blocks spent.
#[derive(Debug, Default)]
pub(super) struct Coins {
    unspent: HashMap<OutPoint, Coin>,
    spent: Vec<Vec<(OutPoint, Coin)>>,
}

impl Coins {
    pub(super) fn get(&self, outpoint: &OutPoint) -> Option<&Coin> {
        self.unspent.get(outpoint)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&OutPoint, &Coin)> {
        self.unspent.iter()
    }

    /// Spends and makes what the block at `height` does. Changes nothing when it cannot.
    pub(super) fn connect(&mut self, block: &Block, height: u32) -> Result<(), BadBlock> {
        self.spent.push(Vec::new());
        for (index, tx) in block.txdata.iter().enumerate() {
            let spends = if index == 0 { &[][..] } else { &tx.input[..] };
            for input in spends {
                let Some(coin) = self.unspent.remove(&input.previous_output) else {
                    self.disconnect(block);
                    return Err(BadBlock::Spends);
                };
                let spent = self.spent.last_mut().expect("pushed above");
                spent.push((input.previous_output, coin));
            }
            let txid = tx.compute_txid();
            for (vout, out) in (0..).zip(&tx.output) {
                if !out.script_pubkey.is_op_return() {
                    let coin = Coin { out: out.clone(), height, coinbase: index == 0 };
                    self.unspent.insert(OutPoint::new(txid, vout), coin);
                }
            }
        }
        Ok(())
    }

    /// Undoes the newest block.
    pub(super) fn disconnect(&mut self, block: &Block) {
        self.unspent.extend(self.spent.pop().unwrap_or_default());
        // After the spent ones are back: an output made and spent in the same block goes, too.
        for tx in &block.txdata {
            let txid = tx.compute_txid();
            for (vout, _) in (0..).zip(&tx.output) {
                self.unspent.remove(&OutPoint::new(txid, vout));
            }
        }
    }
}
