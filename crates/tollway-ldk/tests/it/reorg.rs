//! Blocks that are left behind for others, under nodes that run and nodes that do not.

use std::sync::Arc;

use l402::{Network, Sat};
use tollway_ldk::chain::Simulated;
use tollway_ldk::{Config, EmbeddedNode};

use crate::line::{Line, invoice, log, pay, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_under_running_nodes_changes_nothing_about_their_channel() {
    let line = Line::start(2).await;
    let channel = line.channel(0).id;
    line.mine(6).await;
    for depth in [1, 3, 5] {
        line.chain.reorg(depth, depth + 1).unwrap();
        line.caught_up().await;
        pay(line.node(0), &invoice(line.node(1), 10_000).await).await.unwrap();
        assert_eq!(line.channel(0).id, channel);
    }
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_under_a_stopped_node_is_found_at_its_start() {
    let mut line = Line::start(2).await;
    let channel = line.channel(0).id;
    line.mine(6).await;
    line.stop(0).await;
    line.chain.reorg(4, 6).unwrap();
    line.reopen(0).await;
    line.caught_up().await;
    line.usable().await;
    assert_eq!(line.channel(0).id, channel);
    pay(line.node(0), &invoice(line.node(1), 10_000).await).await.unwrap();
    line.end().await;
}

/// Money that was in a block that is left behind is on its way again, and then in another block.
#[tokio::test(flavor = "multi_thread")]
async fn money_in_a_block_left_behind_comes_again() {
    let line = Line::start(2).await;
    line.mine(3).await;
    let node = line.node(0);
    let before = node.balance().onchain.confirmed.sat();
    let script = node.new_onchain_address().unwrap().script_pubkey();
    line.chain.pay(&[(script, Sat::from_sat(70_000))]).unwrap();
    line.mine(1).await;
    assert_eq!(node.balance().onchain.confirmed.sat(), before + 70_000);
    line.chain.reorg(1, 2).unwrap();
    line.caught_up().await;
    assert_eq!(node.balance().onchain.confirmed.sat(), before);
    line.mine(1).await;
    assert_eq!(node.balance().onchain.confirmed.sat(), before + 70_000);
    line.end().await;
}

/// The blocks go on which a new node had begun to follow the chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_below_a_nodes_first_block_is_followed() {
    log();
    let (chain, folder) = (Simulated::in_memory(), tempfile::tempdir().unwrap());
    let path = folder.path().join("node");
    let config = Config::new(path, Network::Regtest, Arc::new(chain.clone()));
    let node = EmbeddedNode::open(config).await.unwrap();
    let mut expected = 0;
    for depth in [3, 6, 1] {
        chain.reorg(depth, depth + 1).unwrap();
        // What was in a block left behind is in this one.
        let script = node.new_onchain_address().unwrap().script_pubkey();
        chain.pay(&[(script, Sat::from_sat(50_000))]).unwrap();
        chain.mine(1).unwrap();
        expected += 50_000;
        until(async || node.balance().onchain.confirmed.sat() == expected).await;
        assert_eq!(node.height(), chain.best().height);
    }
    node.stop().await;
}
