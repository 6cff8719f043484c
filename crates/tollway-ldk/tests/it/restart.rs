//! What is kept in a folder, and who may open it.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use l402::{Invoicer, Msat, Network, Outcome, Payer};
use tokio::task::JoinSet;
use tollway_ldk::chain::{OpenChainError, Simulated};
use tollway_ldk::{
    Config, Devnet, DevnetConfig, DevnetError, EmbeddedNode, OpenNodeError, StoreError,
};

use crate::line::{Line, PATIENCE, ended, invoice, log, pay, reopen, settled, until};

fn kept(folder: &Path) -> DevnetConfig {
    DevnetConfig { folder: Some(folder.to_owned()), nodes: 3, ..DevnetConfig::default() }
}

/// Brings a network up where another may still be about to leave.
async fn start(folder: &Path) -> Devnet {
    log();
    loop {
        match Devnet::start(kept(folder)).await {
            Ok(devnet) => return devnet,
            Err(
                DevnetError::Chain(OpenChainError::InUse { .. })
                | DevnetError::Node {
                    source: OpenNodeError::Store(StoreError::InUse { .. }), ..
                },
            ) => tokio::time::sleep(Duration::from_millis(2)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Ids, channels and money of each node.
type Face = (l402::NodeId, Vec<String>, Msat);

fn faces(devnet: &Devnet) -> Vec<Face> {
    let face = |node: &EmbeddedNode| {
        let mut channels: Vec<_> = node.channels().into_iter().map(|channel| channel.id).collect();
        channels.sort();
        (node.node_id(), channels, node.balance().outbound)
    };
    devnet.nodes().iter().map(|node| face(&node.node)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_network_is_the_same_after_a_stop_and_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let devnet = start(folder.path()).await;
    let fresh = faces(&devnet);
    let tea = invoice(&devnet.nodes()[2].node, 10_000).await;
    let paid = pay(&devnet.nodes()[0].node, &tea).await.unwrap();
    // Until nothing is on its way in any channel.
    let outbound = |face: &Face| face.2.msat();
    until(async || {
        let after = faces(&devnet);
        after.iter().map(outbound).sum::<u64>() == fresh.iter().map(outbound).sum::<u64>()
            && outbound(&after[1]) == outbound(&fresh[1]) + paid.fee.msat()
    })
    .await;
    let before = faces(&devnet);
    devnet.stop().await;
    let devnet = start(folder.path()).await;
    assert_eq!(faces(&devnet), before);
    drop(devnet);
    let devnet = start(folder.path()).await;
    assert_eq!(faces(&devnet), before);
    let outcome = devnet.nodes()[0].node.outcome(tea.payment_hash()).await.unwrap();
    assert_eq!(outcome, Outcome::Paid(paid));
    let cake = invoice(&devnet.nodes()[2].node, 10_000).await;
    pay(&devnet.nodes()[0].node, &cake).await.unwrap();
    devnet.stop().await;
}

/// The process may die at any moment of bringing a network up; the next one finishes the work.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_left_half_made_is_made_whole() {
    const STEPS: u32 = 16;
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    start(folder.path()).await.stop().await;
    let whole = begun.elapsed();
    for step in 0..STEPS {
        let folder = tempfile::tempdir().unwrap();
        let moment = whole * step / STEPS;
        let half = tokio::time::timeout(moment, Devnet::start(kept(folder.path())));
        drop(half.await);
        let devnet = tokio::time::timeout(PATIENCE, start(folder.path())).await;
        let devnet =
            devnet.unwrap_or_else(|_| panic!("left after {moment:?}, it does not come up"));
        for node in devnet.nodes() {
            assert!(node.node.channels().iter().all(|channel| channel.usable));
        }
        let tea = invoice(&devnet.nodes()[2].node, 10_000).await;
        pay(&devnet.nodes()[0].node, &tea).await.unwrap();
        devnet.stop().await;
    }
}

/// Both sides crash together, again and again, with payments on their way.
#[tokio::test(flavor = "multi_thread")]
async fn payments_on_their_way_in_a_crash_of_both_sides_end_alike() {
    let mut line = Line::start(2).await;
    for round in 0..6 {
        let mut invoices = Vec::new();
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let tea = invoice(line.node(1), 10_000).await;
            invoices.push(tea.clone());
            let alice = Arc::clone(line.node(0));
            tasks.spawn(async move { drop(pay(&alice, &tea).await) });
        }
        tokio::time::sleep(Duration::from_millis(7 * round)).await;
        tasks.shutdown().await;
        line.crash(0);
        line.crash(1);
        line.reopen(0).await;
        line.reopen(1).await;
        line.usable().await;
        for tea in &invoices {
            match ended(line.node(0), tea).await {
                Outcome::Paid(_) => settled(line.node(1), tea).await,
                _ => assert!(!line.node(1).is_settled(tea.payment_hash()).await.unwrap()),
            }
        }
    }
    line.end().await;
}

/// LDK may be written with a payment that the log beside it does not have yet: what the log knows is
/// taken first.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_only_ldk_remembers_is_not_forgotten() {
    let mut line = Line::start(2).await;
    // Until one is caught in between.
    let tea = loop {
        let tea = invoice(line.node(1), 10_000).await;
        let paying = tokio::spawn({
            let (alice, tea) = (Arc::clone(line.node(0)), tea.clone());
            async move { drop(pay(&alice, &tea).await) }
        });
        let outbound = line.channel(0).outbound;
        until(async || line.channel(0).outbound < outbound || paying.is_finished()).await;
        paying.abort();
        let _ = paying.await;
        line.crash(1);
        line.stop(0).await;
        let file = rusqlite::Connection::open(line.folder(0).join("node.sqlite")).unwrap();
        let sql = "DELETE FROM sent WHERE hash = ? AND preimage IS NULL";
        let forgotten = file.execute(sql, [&tea.payment_hash().0]).unwrap();
        drop(file);
        line.reopen(0).await;
        let outcome = line.node(0).outcome(tea.payment_hash()).await.unwrap();
        match (forgotten, outcome) {
            (1, Outcome::Pending) => break tea,
            (0, Outcome::Paid(_)) => {}
            other => panic!("{other:?}"),
        }
        line.reopen(1).await;
        line.usable().await;
    };
    line.reopen(1).await;
    match ended(line.node(0), &tea).await {
        Outcome::Paid(_) => settled(line.node(1), &tea).await,
        _ => assert!(!line.node(1).is_settled(tea.payment_hash()).await.unwrap()),
    }
    line.end().await;
}

fn config(folder: &Path, network: Network, chain: &Simulated) -> Config {
    let listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    Config { listen, ..Config::new(folder, network, Arc::new(chain.clone())) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_refused_and_free_after_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Simulated::in_memory();
    let config = || config(folder.path(), Network::Regtest, &chain);
    let first = EmbeddedNode::open(config()).await.unwrap();
    let second = EmbeddedNode::open(config()).await.unwrap_err();
    assert!(matches!(second, OpenNodeError::Store(StoreError::InUse { .. })), "{second:?}");
    let said = second.to_string();
    assert!(
        said.contains(&folder.path().display().to_string()) && said.contains("running already")
    );
    first.stop().await;
    drop(first);
    EmbeddedNode::open(config()).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_its_network_and_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Simulated::in_memory();
    let config = |network| config(folder.path(), network, &chain);
    let node = EmbeddedNode::open(config(Network::Regtest)).await.unwrap();
    let id = node.node_id();
    drop(node);
    let refused = loop {
        match EmbeddedNode::open(config(Network::Mainnet)).await.unwrap_err() {
            OpenNodeError::Store(StoreError::InUse { .. }) => tokio::task::yield_now().await,
            error => break error,
        }
    };
    assert!(matches!(&refused, OpenNodeError::OtherNetwork { theirs, .. } if theirs == "regtest"));
    let again = reopen(|| config(Network::Regtest)).await;
    assert_eq!(again.node_id(), id);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_the_seed_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("node");
    let node =
        EmbeddedNode::open(config(&path, Network::Regtest, &Simulated::in_memory())).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "the file, its log and the lock: {files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    node.stop().await;
}

/// Updates of monitors are put together now and then: the file does not grow with every payment by
/// what a payment writes.
#[tokio::test(flavor = "multi_thread")]
async fn what_payments_write_is_put_together() {
    let line = Line::start(2).await;
    let rows = || {
        let file = line.folder(0).join("node.sqlite");
        let file = rusqlite::Connection::open(file).unwrap();
        let sql = "SELECT COUNT(*), SUM(LENGTH(body)), (SELECT SUM(LENGTH(body)) FROM monitor)
                   FROM monitor_update";
        let row = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get::<_, Option<u64>>(1)?.unwrap_or_default(), row.get(2)?))
        };
        file.query_row(sql, [], row).unwrap()
    };
    let (mut put_together, mut last) = (0, 0_u64);
    for _ in 0..40 {
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let (alice, bob) = (line.node(0).clone(), line.node(1).clone());
            tasks.spawn(async move {
                let tea = invoice(&bob, 10_000).await;
                pay(&alice, &tea).await.unwrap();
            });
        }
        tasks.join_all().await;
        let (rows, updates, whole): (u64, u64, u64) = rows();
        put_together += u32::from(rows < last);
        last = rows;
        let most = whole.max(256 * 1024) + 64 * 1024;
        assert!(updates < most, "{rows} updates of {updates} bytes beside {whole}");
    }
    assert!(put_together > 0, "{last} rows");
    line.end().await;
}
