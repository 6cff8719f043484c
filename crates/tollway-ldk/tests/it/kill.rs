//! The short form of `cargo run --release -p tollway-ldk --example kill`: nodes in processes of their
//! own are killed in the midst of payments.

#[path = "../../examples/kill/trials/mod.rs"]
mod trials;

use std::time::{SystemTime, UNIX_EPOCH};

use trials::{Counts, Victim};

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
