//! How a store does with a million bills: `cargo run --release --example million -- [URL [COUNT]]`, on SQLite
//! in a folder that is gone afterwards unless a URL names another store. Prints one JSON object: how long
//! it takes to write them, to open a store that has them, to read a page at the beginning and deep inside,
//! to add all up, to count one use meanwhile, and to forget them.

use std::time::{Duration, Instant, SystemTime};

use l402::caveat::Counter;
use l402::{Msat, PaymentHash, TokenId};
use serde_json::{Value, json};
use tollway_gateway::store::{
    Bill, By, Event, Horizon, Pick, Place, SharedStore, Span, StoreUrl, Which,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = tempfile::tempdir()?;
    let sqlite = || format!("sqlite:{}", folder.path().join("million.db").display());
    let url = arguments.next().unwrap_or_else(sqlite);
    let count: u32 = arguments.next().map_or(Ok(1_000_000), |count| count.parse())?;
    let url = StoreUrl::parse(&url)?;
    let store = url.open().await?;
    let mut told = json!({ "bills": count });
    told["write_s"] = timed(write(&store, count)).await?.0;
    drop(store);
    let (took, store) = timed(async { Ok(url.open().await?) }).await?;
    told["open_s"] = took;
    for (name, pick) in picks(count) {
        told[name] = timed(async { Ok(store.bills(&pick).await?) }).await?.0;
    }
    let one = Which::Token(TokenId(hash(count / 2).0));
    told["token_s"] = timed(async { Ok(store.bill(one).await?) }).await?.0;
    let totals = async { Ok(store.totals(&Span::default()).await?) };
    let (totals, use_while) = tokio::join!(timed(totals), timed(take(&store)));
    (told["totals_s"], told["use_meanwhile_s"]) = (totals?.0, use_while?.0);
    let far = SystemTime::now() + Duration::from_secs(1);
    let forgotten = async {
        Ok(store.prune(Horizon { now: SystemTime::UNIX_EPOCH, unpaid: far, paid: far }).await?)
    };
    let (prune, use_while) = tokio::join!(timed(forgotten), timed(take(&store)));
    (told["prune_s"], told["use_while_pruned_s"]) = (prune?.0, use_while?.0);
    println!("{told:#}");
    Ok(())
}

async fn timed<T>(work: impl Future<Output = Outcome<T>>) -> Outcome<(Value, T)> {
    let started = Instant::now();
    let done = work.await?;
    Ok((json!((started.elapsed().as_secs_f64() * 1e4).round() / 1e4), done))
}

async fn take(store: &SharedStore) -> Outcome<()> {
    let counter = Counter { key: [1; 32], limit: u64::MAX, until: None };
    store.take(&[counter], SystemTime::now()).await.map(drop)?;
    Ok(())
}

/// As random as payment hashes are.
fn hash(number: u32) -> PaymentHash {
    let mut bytes = [0; 32];
    let mut state = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for word in bytes.chunks_mut(8) {
        state = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word.copy_from_slice(&state.to_be_bytes());
    }
    PaymentHash(bytes)
}

/// One each second, of ten services; a tenth is paid a minute later.
async fn write(store: &SharedStore, count: u32) -> Outcome<()> {
    let start = SystemTime::now() - Duration::from_secs(count.into());
    let mut events = Vec::with_capacity(512);
    for number in 0..count {
        let issued = start + Duration::from_secs(number.into());
        let (hash, service) = (hash(number), format!("service-{}", number % 10));
        let price = Some(Msat::from_msat(10_000));
        events.push(Event::Issued(Bill {
            hash,
            token: Some(TokenId(hash.0)),
            service: service.clone(),
            price,
            issued,
            expires: Some(issued + Duration::from_secs(600)),
            settled: None,
        }));
        if number % 10 == number / 10 % 10 {
            let at = issued + Duration::from_secs(60);
            events.push(Event::Settled { hash, service, price: None, at });
        }
        if events.len() >= 510 || number + 1 == count {
            store.record(&events).await?;
            events.clear();
        }
    }
    Ok(())
}

fn picks(count: u32) -> [(&'static str, Pick); 4] {
    let middle = SystemTime::now() - Duration::from_secs(u64::from(count / 2));
    let deep = Some(Place { at: middle, hash: PaymentHash([0; 32]) });
    let page = Pick { limit: 100, ..Pick::default() };
    let service = Some("service-3".to_owned());
    [
        ("first_page_s", page.clone()),
        ("deep_page_s", Pick { after: deep, ..page.clone() }),
        ("service_page_s", Pick { service: service.clone(), after: deep, ..page.clone() }),
        ("paid_page_s", Pick { by: By::Settled, service, after: deep, ..page }),
    ]
}
