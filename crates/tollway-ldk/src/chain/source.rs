//! The one seam between a node and the blockchain: what a node must be able to ask, and nothing
//! about who answers. [`Simulated`](super::Simulated) answers from memory, [`Rpc`](super::Rpc) asks
//! a bitcoind.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, FeeRate, Transaction, Txid};

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
    /// The newest block of the chain with the most work.
    async fn tip(&self) -> Result<Tip, ChainError>;

    /// The header and height of a block, also of one that a reorganisation has left behind.
    async fn header(&self, hash: BlockHash) -> Result<(Header, u32), ChainError>;

    /// A whole block, also one that a reorganisation has left behind.
    async fn block(&self, hash: BlockHash) -> Result<Block, ChainError>;

    /// The block at that height of the best chain. [`ChainError::NotFound`] above the tip.
    async fn hash_at(&self, height: u32) -> Result<BlockHash, ChainError>;

    /// Sends transactions that belong together, parents first.
    ///
    /// A transaction that is already known, in a block or waiting for one, is a success. Each is
    /// offered even when one before it is refused; the first refusal is returned.
    async fn broadcast(&self, txs: &[Transaction]) -> Result<(), ChainError>;

    /// What it costs to be in one of the next `blocks` blocks. Never below the relay minimum.
    async fn feerate(&self, blocks: u16) -> Result<FeeRate, ChainError>;

    /// Returns when the tip may differ from `seen`: at once if it does already. May return early,
    /// and keeps waiting through failures of the source.
    async fn changed(&self, seen: BlockHash);
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
