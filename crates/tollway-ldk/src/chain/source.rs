//! The one seam between a node and the blockchain: what a node must be able to ask, and nothing
//! about who answers. [`Simulated`](super::Simulated) answers from memory, [`Rpc`](super::Rpc) asks
//! a bitcoind, [`Esplora`](super::Esplora) and [`Electrum`](super::Electrum) ask servers of those
//! kinds.
//!
//! There are two ways to follow a chain. By its [`Blocks`], a node sees everything and asks about
//! nothing of its own. By [`Transactions`], it asks a server about its own transactions and addresses:
//! that costs a thousandth of the traffic, and the server learns which they are.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use async_trait::async_trait;
use bdk_wallet::KeychainKind;
use bdk_wallet::chain::spk_client::{FullScanRequest, FullScanResponse, SyncRequest, SyncResponse};
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, FeeRate, Transaction, Txid};
use lightning::chain::{Confirm, Filter};

/// The newest block of the best chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its hash.
    pub hash: BlockHash,
    /// Its height; the genesis block has height 0.
    pub height: u32,
}

/// Answers what a node asks about the chain, and takes its transactions.
///
/// Every answer is from one moment; two answers may be from two moments, with a new block or a
/// reorganisation between them. Callers compare hashes.
#[async_trait]
pub trait ChainSource: fmt::Debug + Send + Sync {
    /// The first block, which says which network this is.
    async fn genesis(&self) -> Result<BlockHash, ChainError>;

    /// The newest block of the chain with the most work.
    async fn tip(&self) -> Result<Tip, ChainError>;

    /// Sends transactions that belong together, parents first.
    ///
    /// A transaction that is already known, in a block or waiting for one, is a success. Each is
    /// offered even when one before it is refused; the first refusal is returned.
    async fn broadcast(&self, txs: &[Transaction]) -> Result<(), ChainError>;

    /// What it costs to be in one of the next `blocks` blocks. Never below the relay minimum.
    async fn feerate(&self, blocks: u16) -> Result<FeeRate, ChainError>;

    /// Returns when the tip may differ from `seen`: at once if it does already. May return early, as
    /// when the source fails: whoever asks next is told how.
    async fn changed(&self, seen: BlockHash);

    /// How this source is followed; the same way each time. What is given back for
    /// [`Follow::Transactions`] belongs to one node.
    fn follow(&self) -> Follow<'_>;
}

/// The way a source is followed.
pub enum Follow<'a> {
    /// Block by block.
    Blocks(&'a dyn Blocks),
    /// By asking about what is one's own.
    Transactions(Box<dyn Transactions>),
}

/// A source that gives whole blocks.
#[async_trait]
pub trait Blocks: Send + Sync {
    /// The header and height of a block, also of one that a reorganisation has left behind.
    async fn header(&self, hash: BlockHash) -> Result<(Header, u32), ChainError>;

    /// A whole block, also one that a reorganisation has left behind.
    async fn block(&self, hash: BlockHash) -> Result<Block, ChainError>;

    /// The block at that height of the best chain. [`ChainError::NotFound`] above the tip.
    async fn hash_at(&self, height: u32) -> Result<BlockHash, ChainError>;
}

/// A part of LDK that is told what became of its transactions.
pub type Part = Arc<dyn Confirm + Send + Sync>;

/// A source that is asked about transactions, outputs and addresses, on behalf of one node.
#[async_trait]
pub trait Transactions: Send + Sync {
    /// Where LDK says what it wants to hear about.
    fn filter(&self) -> Arc<dyn Filter + Send + Sync>;

    /// Tells every part what has happened to what was asked for at the filter, and the tip.
    async fn sync(&self, parts: Vec<Part>) -> Result<(), ChainError>;

    /// Asks about the wallet's addresses and transactions.
    async fn wallet(
        &self,
        request: SyncRequest<(KeychainKind, u32)>,
    ) -> Result<SyncResponse, ChainError>;

    /// Looks for addresses that a wallet from before may have used: until twenty in a row are empty.
    async fn scan(
        &self,
        request: FullScanRequest<KeychainKind>,
    ) -> Result<FullScanResponse<KeychainKind>, ChainError>;
}

/// The chain could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// Try again later.
    #[error("the chain source at {address} did not answer; is it running?")]
    Unreachable {
        /// Host and port, never the password.
        address: String,
        /// The cause.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Fix the user name or the password.
    #[error("the chain source at {address} refused the user name or the password")]
    Unauthorized {
        /// Host and port.
        address: String,
    },
    /// The file with the password or the cookie cannot be read.
    #[error("the login for the chain source at {address} is not in {}; is it running?", path.display())]
    NoLogin {
        /// Host and port.
        address: String,
        /// Which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It does not know the block.
    #[error("the chain source has no block {block}")]
    NotFound {
        /// A hash, or a height.
        block: String,
    },
    /// It will not take this transaction.
    #[error("transaction {txid} was refused: {why}")]
    Refused {
        /// Which one.
        txid: Txid,
        /// The refusal in the words of the chain source, as `bad-txns-inputs-missingorspent`.
        why: String,
    },
    /// It answered what we cannot read, or with an error we did not ask for.
    #[error("the chain source answered `{method}` with {answer}")]
    Protocol {
        /// What was asked.
        method: &'static str,
        /// What came back, shortened.
        answer: String,
    },
}

/// Whether a server refuses a transaction only because it has it: in bitcoind's words, which
/// every server passes on.
pub(super) fn is_known(refusal: &str) -> bool {
    let known = [
        "txn-already-in-mempool",
        "txn-already-known",
        "already in block chain",
        "already in utxo set",
    ];
    let refusal = refusal.to_ascii_lowercase();
    known.iter().any(|words| refusal.contains(words))
}
