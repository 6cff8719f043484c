//! A node whose folder is gone, made anew from its words.

use l402::{Network, NodeId};
use tollway_ldk::{Backup, Config, EmbeddedNode};

use crate::line::{CAPACITY, Line, PATIENCE, until};
use crate::servers::{Kind, line};

/// More than all transactions of a closing cost, fees of anchors included.
const COSTS: u64 = 30_000;

async fn comes_back(line: Line) {
    let mut line = line;
    let had = line.node(0).balance().onchain.confirmed.sat();
    let backup = line.node(0).backup().unwrap();
    assert_eq!(backup.network, Network::Regtest);
    let bob: NodeId = line.node(1).node_id();
    assert_eq!(backup.peers.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [bob]);
    let id = line.node(0).node_id();
    let while_it_runs = Backup::of(&line.folder(0)).unwrap();
    assert_eq!(while_it_runs.words.expose(), backup.words.expose());
    assert_eq!(while_it_runs.peers, backup.peers);
    line.stop(0).await;
    assert_eq!(Backup::of(&line.folder(0)).unwrap().words.expose(), backup.words.expose());
    std::fs::remove_dir_all(line.folder(0)).unwrap();

    backup.restore(&line.folder(0)).unwrap();
    let config: Config = line.config(0);
    let alice = EmbeddedNode::open(config).await.unwrap();
    assert_eq!(alice.node_id(), id);
    // The peer has no way to know that it should close but to be spoken to.
    let address = line.node(1).address().unwrap().to_string();
    alice.connect(bob, &address, PATIENCE).await.unwrap();
    until(async || line.node(1).channels().is_empty()).await;
    until(async || alice.height() == line.chain.best().height).await;
    until(async || alice.balance().onchain.confirmed.sat() == had).await;
    let all = had + CAPACITY.sat() / 2;
    line.mine_until(async || {
        line.chain.mine(1).unwrap();
        alice.balance().onchain.confirmed.sat() + COSTS >= all
    })
    .await;
    alice.stop().await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_words_finds_its_money_in_blocks() {
    comes_back(Line::start(2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_words_finds_its_money_by_esplora() {
    let (_server, line) = line(Kind::Esplora).await;
    comes_back(line).await;
}
