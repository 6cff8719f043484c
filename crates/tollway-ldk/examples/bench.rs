//! Measures the node on a private network in a folder on the disk, and prints one table.
//!
//! ```text
//! cargo run --release -p tollway-ldk --example bench [FOLDER]
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use l402::{Invoicer, Msat, PayError, PayOrder, Payer};
use tollway_ldk::{Devnet, DevnetConfig, EmbeddedNode};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const PRICE: Msat = Msat::from_msat(10_000);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let temporary = tempfile::tempdir()?;
    let folder = std::env::args().nth(1).map_or(temporary.path().to_owned(), PathBuf::from);
    let config = DevnetConfig { folder: Some(folder), ..DevnetConfig::default() };

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
    long_run(&alice, &bob).await?;
    print("memory after all that", format!("{} MB", resident_mb()?));
    devnet.stop().await;
    Ok(())
}

/// Whether a payment costs the same however many went before it.
async fn long_run(alice: &Arc<EmbeddedNode>, bob: &Arc<EmbeddedNode>) -> Result<(), Failure> {
    let payments: usize = match std::env::var("PAYMENTS") {
        Ok(payments) => payments.parse()?,
        Err(_) => return Ok(()),
    };
    for done in (0..payments).step_by(10_000) {
        let rate = many(alice, bob, 10_000, 32).await?;
        print(&format!("payments per second, {done} more before"), rate);
    }
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
