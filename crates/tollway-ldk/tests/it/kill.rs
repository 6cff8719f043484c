//! The short form of `cargo run --release -p tollway-ldk --example kill`: nodes in processes of their
//! own are killed in the midst of payments.

#[path = "../../examples/kill/trials/mod.rs"]
mod trials;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use tollway_ldk::{Devnet, DevnetConfig};
use trials::{Counts, Victim};

use crate::line::{invoice, pay};

/// Brings this test binary to run [`child`] and nothing else.
const AS_CHILD: [&str; 3] = ["kill::child", "--exact", "--nocapture"];

/// Not a test by itself: what a killed process runs.
#[test]
fn child() {
    if let Ok(url) = std::env::var(trials::child::VARIABLE) {
        trials::child::run(&url).unwrap();
    }
}

#[test]
fn a_payer_killed_in_the_midst_of_payments_loses_nothing() {
    let counts = run(Victim::Payer, 20);
    assert!(counts.found_paid + counts.found_not_paid > 0, "nothing was in doubt:\n{counts}");
}

#[test]
fn a_receiver_killed_in_the_midst_of_payments_loses_nothing() {
    run(Victim::Receiver, 10);
}

#[test]
fn a_forwarder_killed_in_the_midst_of_payments_loses_nothing() {
    run(Victim::Forwarder, 5);
}

fn run(victim: Victim, kills: usize) -> Counts {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let counts = runtime.block_on(trials::run(victim, kills, seed, &AS_CHILD)).unwrap();
    println!("{counts}");
    assert_eq!(counts.kills, kills);
    assert!(counts.payments > kills, "hardly anything was paid:\n{counts}");
    counts
}

/// Names the variable that makes this binary a private network in the folder that it holds.
const DEVNET: &str = "TOLLWAY_KILL_DEVNET";

fn devnet(folder: &Path) -> DevnetConfig {
    DevnetConfig { folder: Some(folder.to_owned()), nodes: 3, ..DevnetConfig::default() }
}

/// Not a test by itself: a network that pays from one end to the other until it is killed.
#[test]
fn devnet_child() {
    let Ok(folder) = std::env::var(DEVNET) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let devnet = Devnet::start(devnet(Path::new(&folder))).await.unwrap();
        let [alice, .., carol] = devnet.nodes() else { unreachable!("three nodes") };
        loop {
            let tea = invoice(&carol.node, 10_000).await;
            pay(&alice.node, &tea).await.unwrap();
        }
    });
}

/// Chain, nodes and channels die together, first while they are made, later in the midst of payments.
#[test]
fn a_killed_network_comes_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::devnet_child", "--exact", "--nocapture"])
            .env(DEVNET, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        std::thread::sleep(dice.gen_range(Duration::ZERO..Duration::from_millis(600)));
        assert!(child.try_wait().unwrap().is_none(), "seed {seed}: it ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let devnet = Devnet::start(devnet(folder.path())).await.unwrap();
        let [alice, bob, carol] = devnet.nodes() else { unreachable!("three nodes") };
        for (node, channels) in [(alice, 1), (bob, 2), (carol, 1)] {
            assert_eq!(node.node.channels().len(), channels, "seed {seed}: {}", node.name);
        }
        let before = carol.node.received().unwrap().0;
        pay(&alice.node, &invoice(&carol.node, 10_000).await).await.unwrap();
        assert!(carol.node.received().unwrap().0 >= before);
        devnet.stop().await;
    });
}
