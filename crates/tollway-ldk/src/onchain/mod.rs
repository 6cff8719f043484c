//! The node's money on the chain: a bdk wallet (BIP 84) from the node's seed, whose changes are kept
//! in the node's own file. It funds channels, receives what is swept from closed ones, and pays the
//! fees of anchors.

mod spend;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use bdk_wallet::bitcoin::bip32::Xpriv;
use bdk_wallet::chain::spk_client::{FullScanRequest, SyncRequest};
use bdk_wallet::chain::{BlockId, Merge};
use bdk_wallet::template::Bip84;
use bdk_wallet::{ChangeSet, KeychainKind, SignOptions, Wallet as Bdk};
use bitcoin::hashes::Hash;
use bitcoin::{
    Address, Block, BlockHash, Network, OutPoint, Psbt, ScriptBuf, Transaction, TxIn, Txid,
    WPubkeyHash,
};
use l402::Sat;
use lightning::chain::{BestBlock, Listen};
use lightning::events::bump_transaction::Utxo;
use lightning::events::bump_transaction::sync::WalletSourceSync;
use lightning::sign::ChangeDestinationSourceSync;

use crate::store::Store;

const SPACE: &str = "wallet";
/// So many blocks without anything of ours are looked at again after a crash, rather than written one
/// by one.
const BLOCKS_UNWRITTEN: usize = 64;

/// The wallet could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalletError {
    /// The node's file failed.
    #[error("the node's file failed")]
    Store(#[from] rusqlite::Error),
    /// What is kept is not of this wallet or damaged.
    #[error("the wallet in the node's file is damaged: {0}")]
    Damaged(String),
    /// There is not enough confirmed money for this transaction and its fee.
    #[error("the node's on-chain wallet has not enough for {wanted} and its fee: {why}")]
    Funds {
        /// What should be paid.
        wanted: Sat,
        /// What the wallet says.
        why: String,
    },
    /// So little would cost more to spend than it is worth, and nobody forwards it.
    #[error("{0} is too little to be sent on the chain")]
    Dust(Sat),
}

/// What is in the wallet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnchainBalance {
    /// In blocks, spendable.
    pub confirmed: Sat,
    /// Seen, and not in a block yet.
    pub unconfirmed: Sat,
}

/// The wallet. Its changes are on the disk when a method returns.
pub(crate) struct Wallet {
    bdk: Mutex<Kept>,
    store: Arc<Store>,
    to_be_found: AtomicBool,
}

struct Kept {
    bdk: Bdk,
    next_change: u64,
    /// Spent by transactions that were built here and not sent yet. A crash forgets them, and that
    /// is right: what was not sent has spent nothing.
    reserved: HashSet<OutPoint>,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wallet")
    }
}

impl Wallet {
    /// Opens the wallet of this seed; a new one follows the chain from `start`.
    pub(crate) fn open(
        seed: &[u8; 32],
        network: Network,
        store: Arc<Store>,
    ) -> Result<Self, WalletError> {
        let damaged = |why: &dyn fmt::Display| WalletError::Damaged(why.to_string());
        let key = Xpriv::new_master(network, seed).map_err(|e| damaged(&e))?;
        let descriptor = |keychain| Bip84(key, keychain);
        let (outside, inside) =
            (descriptor(KeychainKind::External), descriptor(KeychainKind::Internal));
        let (kept, next_change) = kept_changes(&store)?;
        let bdk = match kept {
            None => Bdk::create(outside, inside)
                .network(network)
                .create_wallet_no_persist()
                .map_err(|e| damaged(&e))?,
            Some(changes) => Bdk::load()
                .descriptor(KeychainKind::External, Some(outside))
                .descriptor(KeychainKind::Internal, Some(inside))
                .extract_keys()
                .check_network(network)
                .load_wallet_no_persist(changes)
                .map_err(|e| damaged(&e))?
                .ok_or_else(|| damaged(&"it is empty"))?,
        };
        let bdk = Mutex::new(Kept { bdk, next_change, reserved: HashSet::new() });
        let wallet = Self { bdk, store, to_be_found: AtomicBool::new(false) };
        wallet.keep(&mut wallet.lock())?;
        Ok(wallet)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.bdk.lock().expect("no panic while held")
    }

    /// Writes what has changed since the last call.
    fn keep(&self, kept: &mut Kept) -> rusqlite::Result<()> {
        let Some(changes) = kept.bdk.take_staged() else { return Ok(()) };
        let body = serde_json::to_vec(&changes).expect("a change set has no failing parts");
        self.store.put([SPACE, "", &format!("{:020}", kept.next_change)], &body)?;
        kept.next_change += 1;
        Ok(())
    }

    /// The newest block it has seen.
    pub(crate) fn best_block(&self) -> BestBlock {
        let tip = self.lock().bdk.latest_checkpoint();
        BestBlock::new(tip.hash(), tip.height())
    }

    /// Starts a new wallet at a block: nothing before it can be ours.
    pub(crate) fn start_at(&self, block: BestBlock) -> Result<(), WalletError> {
        let mut kept = self.lock();
        if kept.bdk.latest_checkpoint().height() == 0 && block.height > 0 {
            self.insert(&mut kept, block)?;
        }
        Ok(())
    }

    /// Makes a block known to be in the best chain.
    fn insert(&self, kept: &mut Kept, block: BestBlock) -> Result<(), WalletError> {
        let id = BlockId { height: block.height, hash: block.block_hash };
        let chain = Some(kept.bdk.latest_checkpoint().insert(id));
        let update = bdk_wallet::Update { chain, ..Default::default() };
        kept.bdk.apply_update(update).map_err(|e| WalletError::Damaged(e.to_string()))?;
        Ok(self.keep(kept)?)
    }

    /// Prepares for the block after `fork` to take the place of what is known above it. For that bdk
    /// must know the fork, and a block of the same height to replace. Below the height at which the
    /// wallet began it knows neither; then one that no block is like stands for the latter.
    fn leave_branch(&self, fork: BestBlock) -> Result<(), WalletError> {
        let mut kept = self.lock();
        self.insert(&mut kept, fork)?;
        let next = fork.height + 1;
        if kept.bdk.latest_checkpoint().get(next).is_none() {
            self.insert(&mut kept, BestBlock::new(BlockHash::all_zeros(), next))?;
        }
        Ok(())
    }

    /// A fresh address.
    pub(crate) fn address(&self) -> Result<Address, WalletError> {
        let mut kept = self.lock();
        let address = kept.bdk.reveal_next_address(KeychainKind::External).address;
        self.keep(&mut kept)?;
        Ok(address)
    }

    pub(crate) fn balance(&self) -> OnchainBalance {
        let balance = self.lock().bdk.balance();
        let unconfirmed = balance.trusted_pending + balance.untrusted_pending;
        OnchainBalance {
            confirmed: Sat::from_sat(balance.confirmed.to_sat()),
            unconfirmed: Sat::from_sat(unconfirmed.to_sat()),
        }
    }

    /// Whether all that a transaction spends is the wallet's.
    pub(crate) fn pays(&self, transaction: &Transaction) -> bool {
        let kept = self.lock();
        transaction.input.iter().all(|input| {
            let spent = kept.bdk.tx_graph().get_txout(input.previous_output);
            spent.is_some_and(|spent| kept.bdk.is_mine(spent.script_pubkey.clone()))
        })
    }

    /// A transaction leaves, or has left. If it concerns the wallet, it is remembered until a block or
    /// another transaction takes its place.
    pub(crate) fn sent(&self, transaction: &Transaction) -> Result<(), WalletError> {
        let mut kept = self.lock();
        kept.bdk.apply_unconfirmed_txs([(Arc::new(transaction.clone()), unix_now())]);
        self.keep(&mut kept)?;
        drop(kept);
        self.forget(transaction);
        Ok(())
    }

    /// Transactions were refused by the chain: what they would have spent is there.
    pub(crate) fn not_sent(&self, transactions: &[Txid]) -> Result<(), WalletError> {
        let mut kept = self.lock();
        kept.bdk.apply_evicted_txs(transactions.iter().map(|txid| (*txid, unix_now())));
        Ok(self.keep(&mut kept)?)
    }

    /// What was sent and is in no block yet, parents before children.
    pub(crate) fn waiting(&self) -> Vec<Transaction> {
        let kept = self.lock();
        let unconfirmed = kept.bdk.transactions().filter(|tx| tx.chain_position.is_unconfirmed());
        let mut left: Vec<_> = unconfirmed.map(|tx| tx.tx_node.tx.as_ref().clone()).collect();
        let mut sorted = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let txids: HashSet<_> = left.iter().map(Transaction::compute_txid).collect();
            let is_child = |tx: &Transaction| {
                tx.input.iter().any(|input| txids.contains(&input.previous_output.txid))
            };
            let (children, parents) = left.into_iter().partition(is_child);
            left = children;
            sorted.extend::<Vec<_>>(parents);
        }
        sorted
    }

    /// What a server is asked about the wallet: every address given out, and every transaction that is
    /// in no block. Those that are ours alone are not taken for gone when the server has never heard of
    /// them: they may still be waiting to be sent, and are then refused or taken.
    pub(crate) fn request(&self) -> SyncRequest<(KeychainKind, u32)> {
        let kept = self.lock();
        let scripts = kept.bdk.spk_index().revealed_spks(..).collect::<Vec<_>>();
        let mut request = SyncRequest::builder()
            .chain_tip(kept.bdk.latest_checkpoint())
            .spks_with_indexes(scripts);
        let unconfirmed = kept.bdk.transactions().filter(|tx| tx.chain_position.is_unconfirmed());
        for transaction in unconfirmed {
            let spends_ours = |input: &TxIn| {
                let spent = kept.bdk.tx_graph().get_txout(input.previous_output);
                spent.is_some_and(|spent| kept.bdk.is_mine(spent.script_pubkey.clone()))
            };
            let txid = transaction.tx_node.txid;
            request = request.txids([txid]);
            if transaction.tx_node.tx.input.iter().any(spends_ours) {
                continue;
            }
            let ours = transaction.tx_node.tx.output.iter().map(|out| out.script_pubkey.clone());
            let ours = ours.filter(|script| kept.bdk.is_mine(script.clone()));
            request = request.expected_spk_txids(ours.map(|script| (script, txid)));
        }
        request.build()
    }

    /// Whether the addresses that it has given out are not known: its seed is from before.
    pub(crate) fn is_to_be_found(&self) -> bool {
        self.to_be_found.load(Ordering::Acquire)
    }

    /// They are to be asked for: the wallet is made from its words.
    pub(crate) fn find(&self) {
        self.to_be_found.store(true, Ordering::Release);
    }

    /// They are known now.
    pub(crate) fn found(&self) {
        self.to_be_found.store(false, Ordering::Release);
    }

    /// What is asked about a wallet whose addresses are not known: whether any was used.
    pub(crate) fn scan_request(&self) -> FullScanRequest<KeychainKind> {
        self.lock().bdk.start_full_scan().build()
    }

    /// Takes what a server has answered.
    pub(crate) fn apply(&self, update: impl Into<bdk_wallet::Update>) -> Result<(), WalletError> {
        let mut kept = self.lock();
        kept.bdk.apply_update(update).map_err(|e| WalletError::Damaged(e.to_string()))?;
        Ok(self.keep(&mut kept)?)
    }

    fn change_script(&self) -> Result<ScriptBuf, WalletError> {
        let mut kept = self.lock();
        let script = kept.bdk.reveal_next_address(KeychainKind::Internal).script_pubkey();
        self.keep(&mut kept)?;
        Ok(script)
    }
}

/// What was kept, as one change set, and the number of the next change. The changes of many runs
/// are put together so that their number stays small.
fn kept_changes(store: &Store) -> Result<(Option<ChangeSet>, u64), WalletError> {
    let mut keys = store.list(SPACE, "")?;
    keys.sort();
    let mut all: Option<ChangeSet> = None;
    for key in &keys {
        let Some(body) = store.get([SPACE, "", key])? else { continue };
        let changes: ChangeSet =
            serde_json::from_slice(&body).map_err(|e| WalletError::Damaged(e.to_string()))?;
        match &mut all {
            None => all = Some(changes),
            Some(all) => all.merge(changes),
        }
    }
    let last = keys.last().and_then(|key| key.parse::<u64>().ok());
    if let (Some(all), Some(last), true) = (&all, last, keys.len() > 64) {
        let body = serde_json::to_vec(all).expect("a change set has no failing parts");
        store.put([SPACE, "", &format!("{last:020}")], &body)?;
        for key in &keys[..keys.len() - 1] {
            store.remove([SPACE, "", key])?;
        }
    }
    Ok((all, last.map_or(0, |last| last + 1)))
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Listen for Wallet {
    fn filtered_block_connected(
        &self,
        _header: &bitcoin::block::Header,
        _transactions: &lightning::chain::transaction::TransactionData<'_>,
        _height: u32,
    ) {
        debug_assert!(false, "the wallet is given whole blocks");
    }

    fn block_connected(&self, block: &Block, height: u32) {
        let mut kept = self.lock();
        if let Err(error) = kept.bdk.apply_block(block, height) {
            tracing::error!(height, %error, "the on-chain wallet cannot connect a block");
        }
        let is_worth_it = |changes: &ChangeSet| {
            let nothing_of_ours = changes.tx_graph.is_empty() && changes.indexer.is_empty();
            !nothing_of_ours || changes.local_chain.blocks.len() >= BLOCKS_UNWRITTEN
        };
        if kept.bdk.staged().is_some_and(is_worth_it)
            && let Err(error) = self.keep(&mut kept)
        {
            tracing::error!(%error, "the on-chain wallet cannot be written");
        }
    }

    fn blocks_disconnected(&self, fork_point: BestBlock) {
        if let Err(error) = self.leave_branch(fork_point) {
            tracing::error!(%error, "the on-chain wallet cannot leave a branch of the chain");
        }
    }
}

impl WalletSourceSync for Wallet {
    fn list_confirmed_utxos(&self) -> Result<Vec<Utxo>, ()> {
        let kept = self.lock();
        let confirmed = kept.bdk.list_unspent().filter(|utxo| {
            utxo.chain_position.is_confirmed() && !kept.reserved.contains(&utxo.outpoint)
        });
        let utxo = |local: bdk_wallet::LocalOutput| {
            let program = local.txout.script_pubkey.as_bytes().get(2..)?;
            let hash = WPubkeyHash::from_slice(program).ok()?;
            Some(Utxo::new_v0_p2wpkh(local.outpoint, local.txout.value, &hash))
        };
        Ok(confirmed.filter_map(utxo).collect())
    }

    fn get_change_script(&self) -> Result<ScriptBuf, ()> {
        self.change_script().map_err(drop)
    }

    fn sign_psbt(&self, mut psbt: Psbt) -> Result<Transaction, ()> {
        // Some inputs belong to the channel, and LDK signs those itself afterwards.
        let options = SignOptions { trust_witness_utxo: true, ..SignOptions::default() };
        self.lock().bdk.sign(&mut psbt, options).map_err(drop)?;
        Ok(psbt.extract_tx_unchecked_fee_rate())
    }
}

impl ChangeDestinationSourceSync for Wallet {
    fn get_change_destination_script(&self) -> Result<ScriptBuf, ()> {
        self.change_script().map_err(drop)
    }
}

#[cfg(test)]
mod tests;
