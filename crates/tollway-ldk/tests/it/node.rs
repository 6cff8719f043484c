//! What the owner of a node sees and does: information, balances, channels, the list of payments.

use std::time::Duration;

use l402::{Msat, Sat};
use tollway_ldk::{ChannelError, Direction, NewChannel, PaymentState, WithdrawError};

use crate::line::{Line, PATIENCE, invoice, pay, settled, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_opened_closed_and_told_about() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let new = NewChannel {
        peer: bob.node_id(),
        amount: Sat::from_sat(200_000),
        push: Msat::ZERO,
        announced: true,
    };
    let id = alice.open_new_channel(new, PATIENCE).await.unwrap();
    assert!(alice.channel(&id).unwrap().ours);
    line.mine_until(async || alice.channel(&id).unwrap().usable).await;
    line.mine(6).await;
    let channel = alice.channel(&id).unwrap();
    assert_eq!(channel.capacity, Sat::from_sat(200_000));
    assert!(channel.announced && channel.ready, "{channel:?}");
    assert_eq!(channel.funding, bob.channel(&id).unwrap().funding);
    assert!(channel.short_id.unwrap().ends_with("x0") || channel.funding.unwrap().ends_with(":1"));

    until(async || alice.info().synced).await;
    let info = alice.info();
    assert_eq!((info.channels, info.usable_channels, info.peers), (2, 2, 1));
    let peers = alice.peers();
    assert_eq!(peers.len(), 1);
    assert!(peers[0].connected && peers[0].kept && peers[0].id == bob.node_id());

    let channel = alice.channel(&id).unwrap();
    alice.force_close_channel(&channel).unwrap();
    until(async || alice.balance().closing.sat() > 100_000).await;
    assert!(matches!(alice.channel(&id), Err(ChannelError::Refused(_))));
    until(async || !line.chain.mempool().is_empty()).await;
    line.mine(6).await;
    let before = alice.balance().onchain.confirmed;
    line.mine(150).await;
    line.mine_until(async || {
        let balance = alice.balance();
        balance.onchain.confirmed > before && balance.closing == Sat::from_sat(0)
    })
    .await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_leaves_nothing_for_its_closing_is_refused() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let all = alice.balance().onchain.confirmed;
    let new = |sat| NewChannel {
        peer: bob.node_id(),
        amount: Sat::from_sat(sat),
        push: Msat::ZERO,
        announced: false,
    };
    let refused = alice.open_new_channel(new(all.sat() - 10_000), PATIENCE).await.unwrap_err();
    assert!(matches!(refused, ChannelError::Reserve { .. }), "{refused}");
    // With the reserve left it is opened.
    let ChannelError::Reserve { reserve, .. } = refused else { unreachable!() };
    let most = all.sat() - reserve.sat() - 2_000;
    alice.open_new_channel(new(most), PATIENCE).await.unwrap();
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_peer_refuses_is_told_at_once() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let new = NewChannel {
        peer: bob.node_id(),
        // Below what a peer takes for its reserve.
        amount: Sat::from_sat(1_000),
        push: Msat::ZERO,
        announced: false,
    };
    let refused = alice.open_new_channel(new, PATIENCE).await.unwrap_err();
    assert!(matches!(&refused, ChannelError::Refused(why) if !why.is_empty()), "{refused}");
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_are_listed_by_both_sides() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let mut hashes = Vec::new();
    for msat in [10_000, 20_000, 30_000] {
        let tea = invoice(bob, msat).await;
        pay(alice, &tea).await.unwrap();
        settled(bob, &tea).await;
        hashes.push(tea.payment_hash());
    }
    for (node, direction) in [(alice, Direction::Sent), (bob, Direction::Received)] {
        let first = node.payments(None, 2).unwrap();
        let rest = node.payments(first.last(), 2).unwrap();
        let all: Vec<_> = first.iter().chain(&rest).collect();
        assert_eq!((first.len(), rest.len()), (2, 1));
        assert!(node.payments(rest.last(), 2).unwrap().is_empty());
        assert!(hashes.iter().all(|hash| all.iter().any(|record| record.hash == *hash)));
        assert!(all.iter().all(|record| record.direction == direction
            && record.state == PaymentState::Paid
            && record.at.is_some_and(|at| at.elapsed().unwrap() < Duration::from_secs(600))));
        let sum: u64 = all.iter().map(|record| record.amount.unwrap().msat()).sum();
        assert_eq!(sum, 60_000);
    }
    line.end().await;
}

/// Money that a node has on the chain can leave it, but for what its channels need.
#[tokio::test(flavor = "multi_thread")]
async fn money_on_the_chain_can_be_sent_elsewhere() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let address = || bob.new_onchain_address().unwrap().into_unchecked();
    let (had, reserve) = (alice.balance().onchain.confirmed, alice.balance().reserve);
    let bobs = bob.balance().onchain.confirmed.sat();
    for too_much in [None, Some(had), Some(Sat::from_sat(had.sat() - reserve.sat() + 1))] {
        let refused = alice.withdraw(address(), too_much, None).unwrap_err();
        assert!(matches!(refused, WithdrawError::Reserve { .. }), "{refused}");
    }
    let foreign = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4".parse().unwrap();
    let refused = alice.withdraw(foreign, Some(Sat::from_sat(1_000)), None).unwrap_err();
    assert!(matches!(refused, WithdrawError::OtherNetwork(_)), "{refused}");

    let txid = alice.withdraw(address(), Some(Sat::from_sat(123_456)), None).unwrap();
    until(async || line.chain.mempool().iter().any(|tx| tx.compute_txid() == txid)).await;
    line.mine(1).await;
    assert_eq!(bob.balance().onchain.confirmed.sat(), bobs + 123_456);

    // Without channels, all of it.
    alice.close_channel(&line.channel(0), PATIENCE).await.unwrap();
    until(async || alice.channels().is_empty() && !line.chain.mempool().is_empty()).await;
    line.mine(6).await;
    line.mine_until(async || {
        let balance = alice.balance();
        let closed = balance.sweeping.sat() == 0 && balance.closing.sat() == 0;
        // What the channel held has come.
        closed && balance.onchain.confirmed > had
    })
    .await;
    let all = alice.balance().onchain.confirmed.sat();
    let bobs = bob.balance().onchain.confirmed.sat();
    let txid = alice.withdraw(address(), None, None).unwrap();
    until(async || line.chain.mempool().iter().any(|tx| tx.compute_txid() == txid)).await;
    line.mine(1).await;
    until(async || alice.balance().onchain.confirmed.sat() == 0).await;
    let came = bob.balance().onchain.confirmed.sat() - bobs;
    assert!(came + 5_000 >= all, "{came} of {all}");
    line.end().await;
}
