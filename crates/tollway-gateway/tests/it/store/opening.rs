//! Opening a store: again, by a later version, when it is full, when it is not there.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use l402::caveat::Counter;
use tollway_gateway::store::{StoreError, StoreUrl, Take};

use super::{Fixture, postgres, redis, sqlite};

const ONE: [Counter; 1] = [Counter { key: [1; 32], limit: 1, until: None }];

async fn it_remembers(fixture: Fixture) {
    let now = SystemTime::now();
    let first = fixture.open().await;
    assert_eq!(first.take(&ONE, now).await.unwrap(), Take::Taken);
    drop(first);
    let again = fixture.open().await;
    assert_eq!(again.take(&ONE, now).await.unwrap(), Take::Spent);
}

#[tokio::test]
async fn what_was_taken_stays_taken_when_it_is_opened_again() {
    for fixture in [sqlite().await, postgres().await, redis().await].into_iter().flatten() {
        it_remembers(fixture).await;
    }
}

#[tokio::test]
async fn many_that_open_an_empty_store_at_once_all_succeed() {
    for fixture in [sqlite().await, postgres().await, redis().await].into_iter().flatten() {
        let opened = (0..8).map(|_| {
            let url = StoreUrl::parse(fixture.url()).unwrap();
            tokio::spawn(async move { url.open().await.unwrap() })
        });
        for store in opened.collect::<Vec<_>>() {
            store.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused() {
    let fixture = sqlite().await.unwrap();
    fixture.open().await;
    let path = fixture.url().strip_prefix("sqlite:").unwrap();
    rusqlite::Connection::open(path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = StoreUrl::parse(fixture.url()).unwrap().open().await.unwrap_err();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains("later version"), "{error}");
}

#[tokio::test]
async fn tables_of_a_later_version_are_refused() {
    let Some(fixture) = postgres().await else { return };
    fixture.open().await;
    let (client, connection) = {
        let config: tokio_postgres::Config = fixture.url().parse().unwrap();
        config.connect(tokio_postgres::NoTls).await.unwrap()
    };
    let connection = tokio::spawn(connection);
    let sql = "INSERT INTO tollway_schema SELECT 99, 'later', applied_on, checksum FROM tollway_schema \
         WHERE version = 1";
    client.batch_execute(sql).await.unwrap();
    let error = StoreUrl::parse(fixture.url()).unwrap().open().await.unwrap_err();
    connection.abort();
    assert!(error.to_string().contains("later version"), "{error}");
}

#[tokio::test]
async fn a_layout_of_a_later_version_is_refused() {
    let Some(fixture) = redis().await else { return };
    fixture.open().await;
    let client = redis::Client::open(fixture.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let set = redis::cmd("SET").arg("{tollway}:layout").arg("99").to_owned();
    let _: () = set.query_async(&mut connection).await.unwrap();
    let error = StoreUrl::parse(fixture.url()).unwrap().open().await.unwrap_err();
    assert!(error.to_string().contains("later version"), "{error}");
}

#[tokio::test]
async fn a_full_file_takes_nothing_and_loses_nothing() {
    let fixture = sqlite().await.unwrap();
    let url = format!("{}?max_size=1MB", fixture.url());
    let store = StoreUrl::parse(&url).unwrap().open().await.unwrap();
    let now = SystemTime::now();
    let numbered = |number: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        Counter { key, limit: 1, until: None }
    };
    let (mut taken, mut full) = (0, None);
    // Many in one transaction, as under load.
    while full.is_none() && taken < 100_000 {
        let counters: Vec<_> = (taken..taken + 500).map(numbered).collect();
        match store.take(&counters, now).await {
            Ok(take) => assert_eq!(take, Take::Taken),
            Err(error) => full = Some(error),
        }
        taken += if full.is_none() { 500 } else { 0 };
    }
    let error = full.expect("a megabyte is full some time");
    assert!(matches!(error, StoreError::Failed { .. }), "{error}");
    // All before are counted; of the last, none.
    drop(store);
    let store = fixture.open().await;
    for number in [0, taken - 1] {
        assert_eq!(store.take(&[numbered(number)], now).await.unwrap(), Take::Spent);
    }
    for number in [taken, taken + 499] {
        assert_eq!(store.take(&[numbered(number)], now).await.unwrap(), Take::Taken);
    }
}

/// Run by the next test in a process of its own: counts until it is killed.
#[tokio::test]
#[ignore = "the next test runs it"]
async fn counts_until_it_is_killed() {
    let url = StoreUrl::parse(&std::env::var("STORE").unwrap()).unwrap();
    let store = url.open().await.unwrap();
    for _ in 0..100_000 {
        assert_eq!(store.take(&[MANY], SystemTime::now()).await.unwrap(), Take::Taken);
        println!("taken");
    }
}

const MANY: Counter = Counter { key: [2; 32], limit: 1_000_000, until: None };

#[tokio::test]
async fn what_a_killed_process_was_told_is_taken_stays_taken() {
    let fixture = sqlite().await.unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::opening::counts_until_it_is_killed", "--ignored", "--nocapture"])
        .env("STORE", fixture.url())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map(Result::unwrap).filter(|line| line.contains("taken")).take(20).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(told, 20);
    let store = fixture.open().await;
    let now = SystemTime::now();
    let up_to = |limit: u64| [Counter { limit, ..MANY }];
    assert_eq!(store.take(&up_to(20), now).await.unwrap(), Take::Spent);
    // And not one more than it may have been doing besides.
    assert_eq!(store.take(&up_to(100_000), now).await.unwrap(), Take::Taken);
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_or_write_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = sqlite().await.unwrap();
    let _store = fixture.open().await;
    let path = fixture.url().strip_prefix("sqlite:").unwrap();
    for name in [path.to_owned(), format!("{path}-wal"), format!("{path}-shm")] {
        let mode = std::fs::metadata(&name).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_store_that_is_not_there_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for url in [
        format!("sqlite:{place}/file/below/a/file.db"),
        format!("postgres:///t?host={place}&user=x"),
        format!("redis+unix://{place}/redis.sock"),
    ] {
        let error = StoreUrl::parse(&url).unwrap().open().await.unwrap_err();
        assert!(matches!(error, StoreError::Failed { .. }), "{url}: {error}");
    }
}
