//! Brings LDK's listeners to the tip of the chain, through reorganisations.

use bitcoin::Block;
use lightning::chain::{BestBlock, Listen};

use crate::chain::{Blocks, ChainError};

/// Brings one listener from where it is, `at`, to the tip. Blocks that the best chain has left
/// behind are disconnected first, down to the last one in common. After an error `at` says how far
/// the listener has come.
pub(crate) async fn catch_up(
    chain: &dyn Blocks,
    at: &mut BestBlock,
    listener: &(dyn Listen + Send + Sync),
) -> Result<(), ChainError> {
    loop {
        let fork = last_in_common(chain, *at).await?;
        if fork.block_hash != at.block_hash {
            listener.blocks_disconnected(fork);
            *at = fork;
        }
        match next(chain, *at).await? {
            Next::Block(block) => {
                listener.block_connected(&block, at.height + 1);
                *at = BestBlock::new(block.block_hash(), at.height + 1);
            }
            Next::Reorganised => {}
            Next::Tip => return Ok(()),
        }
    }
}

enum Next {
    Block(Box<Block>),
    /// The next block does not build on ours: look for the fork again.
    Reorganised,
    Tip,
}

async fn next(chain: &dyn Blocks, at: BestBlock) -> Result<Next, ChainError> {
    let hash = match chain.hash_at(at.height + 1).await {
        Ok(hash) => hash,
        Err(ChainError::NotFound { .. }) => {
            let still_ours = chain.hash_at(at.height).await? == at.block_hash;
            return Ok(if still_ours { Next::Tip } else { Next::Reorganised });
        }
        Err(error) => return Err(error),
    };
    let block = chain.block(hash).await?;
    Ok(if block.header.prev_blockhash == at.block_hash {
        Next::Block(Box::new(block))
    } else {
        Next::Reorganised
    })
}

/// The newest block at or below `at` that is in the best chain.
async fn last_in_common(chain: &dyn Blocks, at: BestBlock) -> Result<BestBlock, ChainError> {
    let mut at = at;
    loop {
        match chain.hash_at(at.height).await {
            Ok(hash) if hash == at.block_hash => return Ok(at),
            Ok(_) | Err(ChainError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        let (header, height) = chain.header(at.block_hash).await?;
        at = BestBlock::new(header.prev_blockhash, height - 1);
    }
}
