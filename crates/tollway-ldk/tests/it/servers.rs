//! Nodes that follow the chain by asking a server about what is theirs, of either kind: the same
//! stories as with whole blocks.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use l402::{Msat, Sat};
use tollway_ldk::chain::{
    ChainSource, Electrum, ElectrumServer, Esplora, EsploraServer, Simulated,
};
use tollway_ldk::{EmbeddedNode, OpenNodeError};

use crate::line::{CAPACITY, Line, PATIENCE, invoice, pay, settled, until};

const POLL: Duration = Duration::from_millis(20);
/// More than all transactions of a closing cost, fees of anchors included.
const COSTS: u64 = 20_000;

/// A server on the chain, for as long as this lives.
#[allow(dead_code, reason = "held")]
pub(crate) enum Server {
    Esplora(EsploraServer),
    Electrum(ElectrumServer),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Esplora,
    Electrum,
}

async fn serve(chain: &Simulated, kind: Kind) -> (Server, Arc<dyn ChainSource>) {
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    match kind {
        Kind::Esplora => {
            let server = EsploraServer::bind(chain.clone(), any).await.unwrap();
            let source = Esplora::new(&server.url(), POLL).unwrap();
            (Server::Esplora(server), Arc::new(source))
        }
        Kind::Electrum => {
            let server = ElectrumServer::bind(chain.clone(), any).await.unwrap();
            let source = Electrum::connect(&server.url(), POLL).await.unwrap();
            (Server::Electrum(server), Arc::new(source))
        }
    }
}

pub(crate) async fn line(kind: Kind) -> (Server, Line) {
    let chain = Simulated::in_memory();
    let (server, source) = serve(&chain, kind).await;
    (server, Line::over(chain, source, 2).await)
}

fn onchain(node: &EmbeddedNode) -> u64 {
    node.balance().onchain.confirmed.sat()
}

/// Waits until a node has this much on the chain, less costs.
async fn has(line: &Line, node: usize, sat: u64) {
    line.mine_until(async || onchain(line.node(node)) + COSTS >= sat).await;
    assert!(onchain(line.node(node)) <= sat);
}

async fn payments_and_a_restart(kind: Kind) {
    let (_server, mut line) = line(kind).await;
    for msat in [10_000, 2_000_000] {
        let tea = invoice(line.node(1), msat).await;
        pay(line.node(0), &tea).await.unwrap();
        settled(line.node(1), &tea).await;
    }
    let before = onchain(line.node(1));
    line.stop(1).await;
    line.mine(3).await;
    line.reopen(1).await;
    line.usable().await;
    line.caught_up().await;
    assert_eq!(onchain(line.node(1)), before);
    pay(line.node(1), &invoice(line.node(0), 10_000).await).await.unwrap();
    line.end().await;
}

async fn a_closing_by_both(kind: Kind) {
    let (_server, line) = line(kind).await;
    let before = [onchain(line.node(0)), onchain(line.node(1))];
    line.node(0).close_channel(&line.channel(0), PATIENCE).await.unwrap();
    until(async || !line.chain.mempool().is_empty()).await;
    line.mine(6).await;
    for (node, before) in before.into_iter().enumerate() {
        has(&line, node, before + CAPACITY.sat() / 2).await;
    }
    line.end().await;
}

/// Alone, with a child that pays for both, and through a reorganisation after it was in a block.
async fn a_closing_by_one_alone(kind: Kind) {
    let (_server, line) = line(kind).await;
    let before = [onchain(line.node(0)), onchain(line.node(1))];
    line.node(0).force_close_channel(&line.channel(0)).unwrap();
    until(async || line.chain.mempool().len() >= 2).await;
    line.mine(3).await;
    line.chain.reorg(3, 4).unwrap();
    line.caught_up().await;
    until(async || !line.chain.mempool().is_empty()).await;
    line.mine(6).await;
    line.mine(150).await;
    for (node, before) in before.into_iter().enumerate() {
        has(&line, node, before + CAPACITY.sat() / 2).await;
    }
    line.end().await;
}

/// The other side closes while we are away: we find our money when we are back.
async fn a_closing_while_away(kind: Kind) {
    let (_server, mut line) = line(kind).await;
    let before = onchain(line.node(1));
    line.stop(1).await;
    line.node(0).force_close_channel(&line.channel(0)).unwrap();
    until(async || line.chain.mempool().len() >= 2).await;
    line.mine(6).await;
    line.reopen(1).await;
    line.caught_up().await;
    has(&line, 1, before + CAPACITY.sat() / 2).await;
    line.end().await;
}

/// A channel stays through reorganisations, and money that a block brought goes with it.
async fn reorganisations(kind: Kind) {
    let (_server, line) = line(kind).await;
    let channel = line.channel(0).id;
    line.mine(6).await;
    for depth in [1, 3, 5] {
        line.chain.reorg(depth, depth + 1).unwrap();
        line.caught_up().await;
        pay(line.node(0), &invoice(line.node(1), 10_000).await).await.unwrap();
        assert_eq!(line.channel(0).id, channel);
    }
    let before = onchain(line.node(0));
    let address = line.node(0).new_onchain_address().unwrap();
    line.chain.pay(&[(address.script_pubkey(), Sat::from_sat(70_000))]).unwrap();
    line.mine(1).await;
    until(async || onchain(line.node(0)) == before + 70_000).await;
    line.chain.reorg(1, 2).unwrap();
    line.caught_up().await;
    until(async || onchain(line.node(0)) == before).await;
    line.mine(1).await;
    until(async || onchain(line.node(0)) == before + 70_000).await;
    line.end().await;
}

macro_rules! with_each_server {
    ($($story:ident),*) => {
        mod esplora {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(super::Kind::Esplora).await;
            })*
        }
        mod electrum {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                super::$story(super::Kind::Electrum).await;
            })*
        }
    };
}

with_each_server!(
    payments_and_a_restart,
    a_closing_by_both,
    a_closing_by_one_alone,
    a_closing_while_away,
    reorganisations
);

/// The client library loses answers when two threads wait for one connection, and then both wait for
/// ever: so there is never more than one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_questions_at_once_are_all_answered() {
    let chain = Simulated::in_memory();
    let (_server, source) = serve(&chain, Kind::Electrum).await;
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let source = Arc::clone(&source);
        asking.spawn(async move {
            for _ in 0..200 {
                source.tip().await.unwrap();
            }
        });
    }
    let all = async { while asking.join_next().await.is_some_and(|asked| asked.is_ok()) {} };
    tokio::time::timeout(PATIENCE, all).await.expect("every question is answered");
}

/// The server goes and another comes in its place: nothing is lost, and payments did not wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_is_waited_for() {
    let (server, line) = line(Kind::Esplora).await;
    let Server::Esplora(server) = server else { unreachable!() };
    let address = server.address();
    drop(server);
    line.chain.mine(1).unwrap();
    until(async || !line.node(0).info().synced).await;
    let tea = invoice(line.node(1), 10_000).await;
    pay(line.node(0), &tea).await.unwrap();
    let refused =
        line.node(0).open_channel(line.node(1).node_id(), Sat::from_sat(100_000), Msat::ZERO);
    assert!(refused.is_err());
    // The port is free when its last connection is gone.
    let _back = loop {
        match EsploraServer::bind(line.chain.clone(), address).await {
            Ok(server) => break server,
            Err(_) => tokio::time::sleep(POLL).await,
        }
    };
    line.caught_up().await;
    until(async || line.node(0).info().synced).await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_source_of_another_network_is_refused() {
    let (_server, line) = line(Kind::Esplora).await;
    let folder = tempfile::tempdir().unwrap();
    let mut config = line.config(0);
    config.folder = folder.path().to_owned();
    config.network = l402::Network::Signet;
    let refused = EmbeddedNode::open(config).await.unwrap_err();
    assert!(matches!(refused, OpenNodeError::OtherChain { .. }), "{refused}");
    line.end().await;
}
