//! A chain source that does not answer: payments do not need it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash, FeeRate, Transaction};
use l402::{Msat, Sat};
use tokio::sync::watch;
use tollway_ldk::ChannelError;
use tollway_ldk::chain::{Blocks, ChainError, ChainSource, Follow, Simulated, Tip};

use crate::line::{CAPACITY, Line, PATIENCE, invoice, pay, settled, until};

/// How the source is today.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Answers,
    /// Takes the question and says nothing.
    Hangs,
    /// Cannot be reached.
    Fails,
}

/// The chain, behind a source with moods.
#[derive(Debug)]
struct Moody {
    chain: Simulated,
    mood: watch::Sender<Mood>,
}

impl Moody {
    fn new(chain: Simulated) -> Arc<Self> {
        Arc::new(Self { chain, mood: watch::Sender::new(Mood::Answers) })
    }

    async fn ask(&self) -> Result<&Simulated, ChainError> {
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Hangs).await.unwrap();
        match mood {
            Mood::Answers => Ok(&self.chain),
            _ => Err(ChainError::Unreachable {
                address: "nowhere".to_owned(),
                source: "gone".into(),
            }),
        }
    }
}

#[async_trait]
impl ChainSource for Moody {
    async fn genesis(&self) -> Result<BlockHash, ChainError> {
        self.ask().await?.genesis().await
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        self.ask().await?.tip().await
    }

    async fn broadcast(&self, txs: &[Transaction]) -> Result<(), ChainError> {
        self.ask().await?.broadcast(txs).await
    }

    async fn feerate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        self.ask().await?.feerate(blocks).await
    }

    async fn changed(&self, seen: BlockHash) {
        self.chain.changed(seen).await;
    }

    fn follow(&self) -> Follow<'_> {
        Follow::Blocks(self)
    }
}

#[async_trait]
impl Blocks for Moody {
    async fn header(&self, hash: BlockHash) -> Result<(Header, u32), ChainError> {
        self.ask().await?.header(hash).await
    }

    async fn block(&self, hash: BlockHash) -> Result<Block, ChainError> {
        self.ask().await?.block(hash).await
    }

    async fn hash_at(&self, height: u32) -> Result<BlockHash, ChainError> {
        self.ask().await?.hash_at(height).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_go_on_while_the_chain_source_is_silent() {
    let chain = Simulated::in_memory();
    let source = Moody::new(chain.clone());
    let line = Line::over(chain, Arc::clone(&source) as _, 2).await;
    for mood in [Mood::Hangs, Mood::Fails] {
        source.mood.send_replace(mood);
        // Blocks that nobody can be told of.
        line.chain.mine(2).unwrap();
        if mood == Mood::Fails {
            // The node says so, and opens no channel that it could not watch.
            until(async || !line.node(0).info().synced).await;
            let peer = line.node(1).node_id();
            let refused = line.node(0).open_channel(peer, Sat::from_sat(100_000), Msat::ZERO);
            assert!(matches!(refused, Err(ChannelError::ChainDown(_))), "{refused:?}");
        }
        for _ in 0..5 {
            let tea = invoice(line.node(1), 10_000).await;
            pay(line.node(0), &tea).await.unwrap();
            settled(line.node(1), &tea).await;
        }
    }
    source.mood.send_replace(Mood::Answers);
    line.caught_up().await;
    until(async || line.node(0).info().synced).await;
    // A node that hangs in a question can still be stopped.
    source.mood.send_replace(Mood::Hangs);
    line.chain.mine(1).unwrap();
    tokio::time::timeout(PATIENCE, line.end()).await.unwrap();
}

/// A transaction that could not be sent is sent when the source is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_waits_for_the_source_to_come_back() {
    let chain = Simulated::in_memory();
    let source = Moody::new(chain.clone());
    let line = Line::over(chain, Arc::clone(&source) as _, 2).await;
    source.mood.send_replace(Mood::Fails);
    line.node(0).close_channel(&line.channel(0), PATIENCE).await.unwrap();
    until(async || line.node(0).channels().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(line.chain.mempool().is_empty());
    source.mood.send_replace(Mood::Answers);
    until(async || !line.chain.mempool().is_empty()).await;
    let money = || line.node(1).balance().onchain.confirmed;
    let before = money();
    line.mine(6).await;
    let half = CAPACITY.sat() / 2 - 1_000;
    line.mine_until(async || money() >= before.checked_add(Sat::from_sat(half)).unwrap()).await;
    line.end().await;
}
