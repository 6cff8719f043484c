//! Measures the node on a private network in a folder on the disk, and prints one table.
//!
//! ```text
//! cargo run --release -p tollway-ldk --example bench -- [--payments 100000] [FOLDER]
//! ```
//!
//! With `--payments`, so many are made through one channel, and then one after another compared with
//! those of a channel that has seen a thousand, in turns, so that a busy machine slows both.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use l402::{Invoicer, Msat, PayError, PayOrder, Payer};
use tollway_ldk::{Devnet, DevnetConfig, EmbeddedNode};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PRICE: Msat = Msat::from_msat(10_000);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let (payments, folder) = arguments()?;
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    let config = in_folder(&folder);

    let started = Instant::now();
    let devnet = Devnet::start(config.clone()).await?;
    print("empty folder to usable channel", ms(started.elapsed()));
    let (alice, bob) = ends(&devnet);
    print("first payment after that", ms(time(pay(&alice, &bob)).await?));
    print("memory of both nodes and the chain", format!("{} MB", resident_mb()?));

    let mut times = Vec::new();
    for _ in 0..1_000 {
        times.push(time(pay(&alice, &bob)).await?);
    }
    times.sort();
    print("payment p50, one after another", ms(times[500]));
    print("payment p99, one after another", ms(times[990]));
    print("payments per second, 32 in flight", many(&alice, &bob, 2_000, 32).await?);
    print("payments per second, 200 in flight", many(&alice, &bob, 2_000, 200).await?);
    invoices(&bob).await?;

    devnet.stop().await;
    drop((alice, bob));
    let started = Instant::now();
    let devnet = Devnet::start(config).await?;
    let (alice, bob) = ends(&devnet);
    pay(&alice, &bob).await?;
    print("warm restart of both to a payment", ms(started.elapsed()));
    if let Some(payments) = payments {
        let young = Devnet::start(in_folder(&folder.join("young"))).await?;
        long_run(payments, [&alice, &bob], &young).await?;
        young.stop().await;
    }
    devnet.stop().await;
    Ok(())
}

fn arguments() -> Result<(Option<usize>, Option<PathBuf>), Failure> {
    let (mut payments, mut folder) = (None, None);
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        if argument == "--payments" {
            payments = Some(given.next().ok_or("--payments needs a number")?.parse()?);
        } else {
            folder = Some(argument.into());
        }
    }
    Ok((payments, folder))
}

fn in_folder(folder: &Path) -> DevnetConfig {
    DevnetConfig { folder: Some(folder.to_owned()), ..DevnetConfig::default() }
}

/// Whether a payment costs the same however many went before it.
async fn long_run(
    payments: usize,
    [alice, bob]: [&Arc<EmbeddedNode>; 2],
    young: &Devnet,
) -> Result<(), Failure> {
    const STEP: usize = 10_000;
    for done in (0..payments).step_by(STEP) {
        let rate = many(alice, bob, STEP.min(payments - done), 32).await?;
        print(&format!("  {done} more before, per second"), rate);
        print("  memory of both nodes and the chain", format!("{} MB", resident_mb()?));
    }
    let (ann, ben) = ends(young);
    many(&ann, &ben, 1_000, 32).await?;
    let (mut old_times, mut young_times) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        for _ in 0..25 {
            old_times.push(time(pay(alice, bob)).await?);
        }
        for _ in 0..25 {
            young_times.push(time(pay(&ann, &ben)).await?);
        }
    }
    let [old_p50, young_p50] = [&mut old_times, &mut young_times].map(|times| {
        times.sort();
        times[times.len() / 2]
    });
    print("payment p50 after a thousand", ms(young_p50));
    print("payment p50 after all of these", ms(old_p50));
    let ratio = old_p50.as_secs_f64() / young_p50.as_secs_f64();
    print("the second in terms of the first", format!("{ratio:.2}"));
    Ok(())
}

fn ends(devnet: &Devnet) -> (Arc<EmbeddedNode>, Arc<EmbeddedNode>) {
    let [alice, bob] = devnet.nodes() else { unreachable!("two nodes were asked for") };
    (Arc::clone(&alice.node), Arc::clone(&bob.node))
}

async fn pay(from: &EmbeddedNode, to: &EmbeddedNode) -> Result<(), Failure> {
    let invoice = to.invoice(PRICE, "bench", Duration::from_secs(3600)).await?;
    let patience = Duration::from_secs(60);
    from.pay(PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience }).await?;
    Ok(())
}

async fn time(what: impl Future<Output = Result<(), Failure>>) -> Result<Duration, Failure> {
    let started = Instant::now();
    what.await?;
    Ok(started.elapsed())
}

/// Pays `count` invoices there and as many back, `at_once` at a time, so that the channel is as it
/// was; says how fast, and how many failed.
async fn many(
    alice: &Arc<EmbeddedNode>,
    bob: &Arc<EmbeddedNode>,
    count: usize,
    at_once: usize,
) -> Result<String, Failure> {
    let started = Instant::now();
    let mut failed = 0;
    for (from, to) in [(alice, bob), (bob, alice)] {
        let left = Arc::new(std::sync::atomic::AtomicUsize::new(count / 2));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..at_once {
            let (from, to, left) = (Arc::clone(from), Arc::clone(to), Arc::clone(&left));
            tasks.spawn(async move {
                use std::sync::atomic::Ordering::Relaxed;
                let mut failed = 0;
                while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                    if let Err(error) = pay(&from, &to).await {
                        let error = error.downcast::<PayError>()?;
                        eprintln!("{error}");
                        failed += 1;
                    }
                }
                Ok::<_, Failure>(failed)
            });
        }
        while let Some(task) = tasks.join_next().await {
            failed += task??;
        }
    }
    let rate = count as f64 / started.elapsed().as_secs_f64();
    Ok(format!("{rate:.0} ({failed} failed)"))
}

async fn invoices(bob: &EmbeddedNode) -> Result<(), Failure> {
    let started = Instant::now();
    let count = 20_000_u32;
    for _ in 0..count {
        bob.invoice(PRICE, "bench", Duration::from_secs(3600)).await?;
    }
    let rate = f64::from(count) / started.elapsed().as_secs_f64();
    print("invoices per second, one core", format!("{rate:.0}"));
    Ok(())
}

fn resident_mb() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS line")?;
    let kilobytes = line.split_whitespace().nth(1).ok_or("no figure")?.parse::<u64>()?;
    Ok(kilobytes / 1024)
}

fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

fn print(what: &str, figure: String) {
    println!("{what:<40} {figure:>24}");
}
