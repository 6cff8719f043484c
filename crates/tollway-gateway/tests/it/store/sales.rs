//! What every store tells of what was sold: pages, one bill, sums; and that it still can after an
//! earlier version wrote it down.

use std::time::{Duration, SystemTime};

use l402::{Msat, PaymentHash, TokenId};
use tollway_gateway::store::{
    Bill, By, Event, Horizon, Pick, Place, Span, StoreUrl, TokenStore, Total, Which,
};

use super::{Fixture, postgres, redis, sqlite};

const DAY: u64 = 86_400;
/// Midnight of some day.
const FIRST: u64 = 20_000;

fn at(day: u64, second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs((FIRST + day) * DAY + second)
}

fn hash(number: u32) -> PaymentHash {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    PaymentHash(bytes)
}

fn bill(number: u32, service: &str, issued: SystemTime) -> Bill {
    Bill {
        hash: hash(number),
        token: Some(TokenId(hash(number + 1_000_000).0)),
        service: service.to_owned(),
        price: Some(Msat::from_msat(1_000)),
        issued,
        expires: Some(issued + Duration::from_secs(600)),
        settled: None,
    }
}

async fn issue(store: &dyn TokenStore, bills: &[Bill]) {
    let events: Vec<Event> = bills.iter().cloned().map(Event::Issued).collect();
    store.record(&events).await.unwrap();
}

async fn settle(store: &dyn TokenStore, number: u32, price: Option<Msat>, at: SystemTime) {
    let service = "seen".to_owned();
    store.record(&[Event::Settled { hash: hash(number), service, price, at }]).await.unwrap();
}

/// All pages, by number, as somebody leafs through them.
async fn leaf(store: &dyn TokenStore, mut pick: Pick) -> Vec<u32> {
    let mut numbers = Vec::new();
    loop {
        let page = store.bills(&pick).await.unwrap();
        assert!(page.len() <= pick.limit as usize);
        let number = |bill: &Bill| u32::from_be_bytes(bill.hash.0[..4].try_into().unwrap());
        numbers.extend(page.iter().map(number));
        match page.last() {
            Some(last) if page.len() == pick.limit as usize => pick.after = pick.place(last),
            _ => return numbers,
        }
    }
}

async fn pages_follow_one_another_whatever_is_written_meanwhile(fixture: Fixture) {
    let store = fixture.open().await;
    // Several of the same millisecond, so that a page ends among them.
    let bills: Vec<Bill> = (1..=25).map(|n| bill(n, "a", at(0, u64::from(n / 10)))).collect();
    issue(&*store, &bills).await;
    for limit in [1, 3, 10, 25, 100] {
        let pick = Pick { limit, ..Pick::default() };
        assert_eq!(leaf(&*store, pick).await, (1..=25).rev().collect::<Vec<_>>(), "{limit}");
    }
    let mut pick = Pick { limit: 5, ..Pick::default() };
    let page = store.bills(&pick).await.unwrap();
    issue(&*store, &[bill(99, "a", at(1, 0))]).await;
    pick.after = pick.place(&page[4]);
    pick.limit = 100;
    assert_eq!(leaf(&*store, pick.clone()).await, (1..=20).rev().collect::<Vec<_>>());
    // The last one of a page may be forgotten before the next is asked for.
    store.prune(Horizon { now: at(0, 0), unpaid: at(0, 2), paid: at(0, 0) }).await.unwrap();
    assert_eq!(leaf(&*store, pick).await, [20]);
}

async fn a_pick_is_by_service_and_by_time(fixture: Fixture) {
    let store = fixture.open().await;
    let services = ["a", "b", "a:b", "it's"];
    let bills: Vec<Bill> = (0..40)
        .map(|n: u32| bill(n, services[n as usize % 4], at(0, 0) + Duration::from_millis(n.into())))
        .collect();
    issue(&*store, &bills).await;
    let of = |service: &str| Pick { service: Some(service.into()), limit: 3, ..Pick::default() };
    for (index, service) in services.iter().enumerate() {
        let expected: Vec<u32> = (0..10).rev().map(|n| 4 * n + index as u32).collect();
        assert_eq!(leaf(&*store, of(service)).await, expected, "{service}");
    }
    assert!(leaf(&*store, of("nobody")).await.is_empty());
    let milli = |n| Some(at(0, 0) + Duration::from_millis(n));
    let pick = Pick { from: milli(10), to: milli(13), limit: 2, ..Pick::default() };
    assert_eq!(leaf(&*store, pick.clone()).await, [12, 11, 10], "from is in it, to is not");
    let pick = Pick { service: Some("b".into()), from: milli(5), to: milli(10), ..pick };
    assert_eq!(leaf(&*store, pick.clone()).await, [9, 5]);
    let turned = Pick { from: milli(9), to: milli(3), ..pick };
    assert!(leaf(&*store, turned).await.is_empty());
}

async fn payments_are_in_the_order_in_which_they_came(fixture: Fixture) {
    let store = fixture.open().await;
    let bills: Vec<Bill> =
        (0..10).map(|n: u32| bill(n, ["a", "b"][n as usize % 2], at(0, n.into()))).collect();
    issue(&*store, &bills).await;
    for (number, second) in [(7, 100), (2, 200), (3, 300), (9, 300)] {
        settle(&*store, number, None, at(0, second)).await;
    }
    let pick = Pick { by: By::Settled, limit: 2, ..Pick::default() };
    assert_eq!(leaf(&*store, pick.clone()).await, [9, 3, 2, 7]);
    let of_b = Pick { service: Some("b".into()), ..pick.clone() };
    assert_eq!(leaf(&*store, of_b).await, [9, 3, 7]);
    let between = Pick { from: Some(at(0, 200)), to: Some(at(0, 300)), ..pick.clone() };
    assert_eq!(leaf(&*store, between).await, [2]);
    let after = Some(Place { at: at(0, 300), hash: hash(9) });
    assert_eq!(leaf(&*store, Pick { after, ..pick }).await, [3, 2, 7]);
}

async fn one_bill_is_found_by_its_payment_and_by_its_token(fixture: Fixture) {
    let store = fixture.open().await;
    let (one, other) = (bill(1, "a", at(0, 0)), Bill { token: None, ..bill(2, "b", at(0, 1)) });
    issue(&*store, &[one.clone(), other.clone()]).await;
    let find = async |which| store.bill(which).await.unwrap();
    assert_eq!(find(Which::Payment(other.hash)).await, Some(other));
    assert_eq!(find(Which::Token(one.token.unwrap())).await, Some(one));
    assert_eq!(find(Which::Token(TokenId([9; 32]))).await, None);
    assert_eq!(find(Which::Payment(hash(3))).await, None);
    let all = Horizon { now: at(9, 0), unpaid: at(9, 0), paid: at(9, 0) };
    store.prune(all).await.unwrap();
    assert_eq!(find(Which::Token(TokenId(hash(1_000_001).0))).await, None);
}

async fn sums_are_by_service_and_by_day_of_utc(fixture: Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.totals(&Span::default()).await.unwrap(), []);
    let late = at(0, DAY - 1) + Duration::from_millis(999);
    let bills = [
        bill(1, "a", at(0, 0)),
        bill(2, "a", late),
        bill(3, "a", at(1, 0)),
        bill(4, "b", at(1, 5)),
    ];
    issue(&*store, &bills).await;
    settle(&*store, 1, None, late).await;
    settle(&*store, 2, None, at(1, 0)).await;
    settle(&*store, 4, None, at(3, 0)).await;
    settle(&*store, 8, None, at(3, 1)).await; // Whose bill was not written down.
    settle(&*store, 9, Some(Msat::from_msat(7)), at(3, 2)).await;
    let total = |service: &str, day, challenges, payments, unpriced, msat| Total {
        service: service.to_owned(),
        day: (FIRST + day) as i64,
        challenges,
        payments,
        unpriced,
        revenue: Msat::from_msat(msat),
    };
    let all = [
        total("a", 0, 2, 1, 0, 1_000),
        total("a", 1, 1, 1, 0, 1_000),
        total("b", 1, 1, 0, 0, 0),
        total("b", 3, 0, 1, 0, 1_000),
        total("seen", 3, 2, 2, 1, 7),
    ];
    assert_eq!(store.totals(&Span::default()).await.unwrap(), all);
    let span = Span { from: Some(at(1, 0)), to: Some(at(3, 0)), service: None };
    assert_eq!(store.totals(&span).await.unwrap(), all[1..3]);
    let span = Span { service: Some("a".into()), ..Span::default() };
    assert_eq!(store.totals(&span).await.unwrap(), all[..2]);
}

/// More than is added up, and forgotten, in one go.
async fn many_are_added_up_and_forgotten(fixture: Fixture) {
    let store = fixture.open().await;
    let bills: Vec<Bill> = (0..5_000).map(|n| bill(n, "a", at(n.into(), 0))).collect();
    for some in bills[..3_000].chunks(500) {
        issue(&*store, some).await;
    }
    let paid = |n: u32| Event::Settled {
        hash: hash(n),
        service: "a".into(),
        price: None,
        at: at(0, u64::from(n)),
    };
    store.record(&(0..2_500).map(paid).collect::<Vec<_>>()).await.unwrap();
    let totals = store.totals(&Span::default()).await.unwrap();
    assert_eq!(totals.iter().map(|total| total.challenges).sum::<u64>(), 3_000);
    assert_eq!((totals[0].payments, totals[0].revenue), (2_500, Msat::from_msat(2_500_000)));
    let far = at(9_999, 0);
    store.prune(Horizon { now: far, unpaid: far, paid: far }).await.unwrap();
    assert_eq!(store.totals(&Span::default()).await.unwrap(), []);
    assert!(leaf(&*store, Pick { limit: 9, ..Pick::default() }).await.is_empty());
}

for_each_store!(
    pages_follow_one_another_whatever_is_written_meanwhile,
    a_pick_is_by_service_and_by_time,
    payments_are_in_the_order_in_which_they_came,
    one_bill_is_found_by_its_payment_and_by_its_token,
    sums_are_by_service_and_by_day_of_utc,
    many_are_added_up_and_forgotten,
);

/// A bill as the first version wrote it down, paid.
const OLD: [&str; 2] = [
    "(x'aa00000000000000000000000000000000000000000000000000000000000000', \
      x'bb00000000000000000000000000000000000000000000000000000000000000', \
      'api', 5000, 1700000000000, 1700000001000)",
    "('\\xaa00000000000000000000000000000000000000000000000000000000000000', \
      '\\xbb00000000000000000000000000000000000000000000000000000000000000', \
      'api', 5000, 1700000000000, 1700000001000)",
];

/// It is found in every way in which a newer one would be.
async fn is_found(url: &str) {
    let store = StoreUrl::parse(url).unwrap().open().await.unwrap();
    let mut token = [0; 32];
    token[0] = 0xbb;
    let found = store.bill(Which::Token(TokenId(token))).await.unwrap().unwrap();
    assert_eq!((found.price, found.expires), (Some(Msat::from_msat(5_000)), None));
    for by in [By::Issued, By::Settled] {
        let pick = Pick { by, service: Some("api".into()), limit: 9, ..Pick::default() };
        assert_eq!(store.bills(&pick).await.unwrap(), std::slice::from_ref(&found), "{by:?}");
    }
    let [total] = &store.totals(&Span::default()).await.unwrap()[..] else { panic!() };
    assert_eq!((total.challenges, total.payments), (1, 1));
    let far = SystemTime::now();
    store.prune(Horizon { now: far, unpaid: far, paid: far }).await.unwrap();
    assert_eq!(store.totals(&Span::default()).await.unwrap(), []);
}

#[tokio::test]
async fn what_the_first_version_wrote_into_a_file_is_found() {
    let fixture = sqlite().await.unwrap();
    let path = fixture.url().strip_prefix("sqlite:").unwrap();
    let database = rusqlite::Connection::open(path).unwrap();
    database.execute_batch(include_str!("../../../src/store/schema/sqlite_1.sql")).unwrap();
    database.pragma_update(None, "user_version", 1).unwrap();
    database.execute(&format!("INSERT INTO bills VALUES {}", OLD[0]), []).unwrap();
    drop(database);
    is_found(fixture.url()).await;
}

#[tokio::test]
async fn what_the_first_version_wrote_into_tables_is_found() {
    let Some(fixture) = postgres().await else { return };
    let config: tokio_postgres::Config = fixture.url().parse().unwrap();
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    // The fixture has made today's tables; here are those of the first version.
    let back = "DROP TABLE tollway_bills, tollway_uses, tollway_claims, tollway_revoked; \
                DELETE FROM tollway_schema WHERE version > 1;";
    client.batch_execute(back).await.unwrap();
    let first = include_str!("../../../src/store/schema/postgres_1.sql");
    client.batch_execute(first).await.unwrap();
    let old = format!("INSERT INTO tollway_bills VALUES {}", OLD[1]);
    client.batch_execute(&old).await.unwrap();
    connection.abort();
    is_found(fixture.url()).await;
}

#[tokio::test]
async fn what_the_first_version_wrote_into_keys_is_found() {
    let Some(fixture) = redis().await else { return };
    let (hash, token) = (format!("aa{}", "00".repeat(31)), format!("bb{}", "00".repeat(31)));
    let client = ::redis::Client::open(fixture.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("{{tollway}}:bill:{hash}");
    let words: [&[&str]; 4] = [
        &["SET", "{tollway}:layout", "1"],
        &["HSET", &key, "token", &token, "service", "api", "msat", "5000"],
        &["HSET", &key, "issued", "1700000000000", "settled", "1700000001000"],
        &["ZADD", "{tollway}:bills", "1700000000000", &hash],
    ];
    for words in
        words.into_iter().chain([&["ZADD", "{tollway}:bills:paid", "1700000001000", &hash][..]])
    {
        let command = ::redis::cmd(words[0]).arg(&words[1..]).to_owned();
        let _: ::redis::Value = command.query_async(&mut connection).await.unwrap();
    }
    is_found(fixture.url()).await;
}
