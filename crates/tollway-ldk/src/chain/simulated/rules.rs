//! What a transaction must meet to be in the next block, and what it must pay to wait for one. The
//! rules and their names are bitcoind's; the scripts are checked by its own consensus code.

use std::collections::{BTreeSet, HashSet};

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize;
use bitcoin::constants::COINBASE_MATURITY;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, Sequence, Transaction, TxOut, Txid, relative};

use super::blocks::Blocks;
use super::coins::{Coin, Coins};
use super::pool::Pool;

/// The least a transaction pays to be relayed, in satoshi per virtual byte.
const MIN_RELAY_SAT_PER_VB: u64 = 1;
/// The largest transaction that is relayed, in weight units.
const MAX_WEIGHT: u64 = 400_000;
/// The most waiting transactions one replacement may push out (BIP 125 rule 5).
const MAX_EVICTED: usize = 100;

/// Why a transaction is not taken. Prints in bitcoind's words, which other programs match on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It has no inputs.
    #[error("bad-txns-vin-empty")]
    NoInputs,
    /// It has no outputs.
    #[error("bad-txns-vout-empty")]
    NoOutputs,
    /// Only a block brings a coinbase.
    #[error("coinbase")]
    Coinbase,
    /// It is too heavy to be relayed.
    #[error("tx-size")]
    TooHeavy,
    /// Its lock time has not come.
    #[error("non-final")]
    NotFinal,
    /// A relative lock of one of its inputs has not ended (BIP 68).
    #[error("non-BIP68-final")]
    RelativeLock,
    /// It names one input twice.
    #[error("bad-txns-inputs-duplicate")]
    DuplicateInput,
    /// An input does not exist, or is spent in a block.
    #[error("bad-txns-inputs-missingorspent")]
    MissingOrSpent {
        /// Which one.
        outpoint: OutPoint,
    },
    /// It spends a coinbase before 100 blocks are on top of it.
    #[error("bad-txns-premature-spend-of-coinbase")]
    Immature,
    /// It gives out more than it takes in, or amounts that do not add up.
    #[error("bad-txns-in-belowout")]
    CreatesMoney,
    /// A script or a signature does not hold.
    #[error("mandatory-script-verify-flag-failed ({script_error}), input {input}")]
    Script {
        /// Which input, counted from 0.
        input: usize,
        /// The consensus library's name for it.
        script_error: String,
    },
    /// It pays less than the relay minimum, and no package pays for it.
    #[error("min relay fee not met, {fee} < {needed}")]
    FeeTooLow {
        /// What it pays, in satoshi.
        fee: u64,
        /// What it would have to pay, in satoshi.
        needed: u64,
    },
    /// It would replace waiting transactions and pays too little for it (BIP 125).
    #[error("insufficient fee, rejecting replacement; new fee {fee} < {needed}")]
    ReplacementFee {
        /// What it pays, in satoshi.
        fee: u64,
        /// What it would have to pay, in satoshi.
        needed: u64,
    },
    /// It would replace too many waiting transactions.
    #[error("too many potential replacements")]
    TooManyReplaced,
    /// It spends an output of a transaction it would replace.
    #[error("bad-txns-spends-conflicting-tx")]
    SpendsReplaced,
    /// It is in a block already.
    #[error("Transaction already in block chain")]
    Mined,
}

/// What the rules look at: the next block's surroundings, without the transactions that would be
/// replaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) blocks: &'a Blocks,
    pub(super) coins: &'a Coins,
    pub(super) pool: &'a Pool,
    pub(super) replaced: &'a BTreeSet<Txid>,
}

impl View<'_> {
    fn next_height(&self) -> u32 {
        self.blocks.height() + 1
    }

    fn coin(&self, outpoint: &OutPoint) -> Result<Coin, Refusal> {
        if let Some(coin) = self.coins.get(outpoint) {
            return Ok(coin.clone());
        }
        let out = self.pool.output(outpoint).ok_or(Refusal::MissingOrSpent { outpoint: *outpoint });
        if self.replaced.contains(&outpoint.txid) {
            return Err(Refusal::SpendsReplaced);
        }
        Ok(Coin { out: out?.clone(), height: self.next_height(), coinbase: false })
    }
}

/// Whether the transaction can be in the next block; gives its fee.
pub(super) fn check(tx: &Transaction, view: View<'_>) -> Result<Amount, Refusal> {
    check_shape(tx)?;
    if !is_final(tx, view) {
        return Err(Refusal::NotFinal);
    }
    let coins = tx
        .input
        .iter()
        .map(|input| view.coin(&input.previous_output))
        .collect::<Result<Vec<_>, _>>()?;
    let next = view.next_height();
    if coins.iter().any(|coin| coin.coinbase && next - coin.height < COINBASE_MATURITY) {
        return Err(Refusal::Immature);
    }
    if tx.version >= Version::TWO {
        let mut locks = tx.input.iter().zip(&coins);
        if locks.any(|(input, coin)| !is_unlocked(input.sequence, coin, view)) {
            return Err(Refusal::RelativeLock);
        }
    }
    let fee = fee(tx, &coins).ok_or(Refusal::CreatesMoney)?;
    check_scripts(tx, &coins)?;
    Ok(fee)
}

fn check_shape(tx: &Transaction) -> Result<(), Refusal> {
    if tx.is_coinbase() {
        return Err(Refusal::Coinbase);
    }
    if tx.input.is_empty() {
        return Err(Refusal::NoInputs);
    }
    if tx.output.is_empty() {
        return Err(Refusal::NoOutputs);
    }
    if tx.weight().to_wu() > MAX_WEIGHT {
        return Err(Refusal::TooHeavy);
    }
    let mut seen = HashSet::new();
    if !tx.input.iter().all(|input| seen.insert(input.previous_output)) {
        return Err(Refusal::DuplicateInput);
    }
    Ok(())
}

fn is_final(tx: &Transaction, view: View<'_>) -> bool {
    let due = match tx.lock_time {
        LockTime::Blocks(height) => height.to_consensus_u32() < view.next_height(),
        LockTime::Seconds(time) => {
            time.to_consensus_u32() < view.blocks.median_time_at(view.blocks.height())
        }
    };
    due || !tx.is_lock_time_enabled()
}

fn is_unlocked(sequence: Sequence, coin: &Coin, view: View<'_>) -> bool {
    match sequence.to_relative_lock_time() {
        None => true,
        Some(relative::LockTime::Blocks(blocks)) => {
            coin.height + u32::from(blocks.value()) <= view.next_height()
        }
        Some(relative::LockTime::Time(time)) => {
            let from = view.blocks.median_time_at(coin.height.saturating_sub(1));
            let now = view.blocks.median_time_at(view.blocks.height());
            from + u32::from(time.value()) * 512 <= now
        }
    }
}

fn fee(tx: &Transaction, coins: &[Coin]) -> Option<Amount> {
    let sum = |mut amounts: Box<dyn Iterator<Item = Amount> + '_>| {
        amounts.try_fold(Amount::ZERO, Amount::checked_add).filter(|sum| *sum <= Amount::MAX_MONEY)
    };
    let taken = sum(Box::new(coins.iter().map(|coin| coin.out.value)))?;
    let given = sum(Box::new(tx.output.iter().map(|out| out.value)))?;
    taken.checked_sub(given)
}

fn check_scripts(tx: &Transaction, coins: &[Coin]) -> Result<(), Refusal> {
    let raw = serialize(tx);
    let spent: Vec<bitcoinconsensus::Utxo> = coins.iter().map(|coin| utxo(&coin.out)).collect();
    for (input, coin) in coins.iter().enumerate() {
        let script = coin.out.script_pubkey.as_bytes();
        let amount = coin.out.value.to_sat();
        bitcoinconsensus::verify(script, amount, &raw, Some(&spent), input)
            .map_err(|error| Refusal::Script { input, script_error: format!("{error:?}") })?;
    }
    Ok(())
}

/// The consensus library's form of an output: it points into `out`, which must outlive it.
fn utxo(out: &TxOut) -> bitcoinconsensus::Utxo {
    let script = out.script_pubkey.as_bytes();
    bitcoinconsensus::Utxo {
        script_pubkey: script.as_ptr(),
        script_pubkey_len: u32::try_from(script.len()).expect("a block is smaller than 4 GiB"),
        value: i64::try_from(out.value.to_sat()).expect("amounts are at most 21 million bitcoin"),
    }
}

/// What something of this size must pay at least to be relayed.
fn relay_fee(vsize: usize) -> Amount {
    Amount::from_sat(MIN_RELAY_SAT_PER_VB * vsize as u64)
}

/// Whether a transaction, or a package of them, pays the relay minimum.
pub(super) fn check_fee(fee: Amount, vsize: usize) -> Result<(), Refusal> {
    let needed = relay_fee(vsize);
    if fee < needed {
        return Err(Refusal::FeeTooLow { fee: fee.to_sat(), needed: needed.to_sat() });
    }
    Ok(())
}

/// Whether a transaction pays enough to push out those it conflicts with and all that hang on
/// them: more per byte than each conflict, and in all what they pay and its own relay (BIP 125).
pub(super) fn check_replacement(
    tx: &Transaction,
    fee: Amount,
    conflicts: &BTreeSet<Txid>,
    view: View<'_>,
) -> Result<(), Refusal> {
    if view.replaced.len() > MAX_EVICTED {
        return Err(Refusal::TooManyReplaced);
    }
    let vsize = tx.vsize() as u64;
    let fees: Amount = view.replaced.iter().filter_map(|txid| Some(view.pool.get(txid)?.fee)).sum();
    let mut needed = (fees + relay_fee(tx.vsize())).to_sat();
    for conflict in conflicts.iter().filter_map(|txid| view.pool.get(txid)) {
        let same_rate = conflict.fee.to_sat() * vsize / conflict.tx.vsize() as u64;
        needed = needed.max(same_rate + 1);
    }
    if fee.to_sat() < needed {
        return Err(Refusal::ReplacementFee { fee: fee.to_sat(), needed });
    }
    Ok(())
}
