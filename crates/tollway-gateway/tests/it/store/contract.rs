//! What every store must do, stated once; the last lines name the stores.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, StatusCode};
use l402::caveat::Counter;
use l402::{Msat, PaymentHash, TokenId};
use tokio::task::JoinSet;
use tollway_gateway::store::{
    Answer, Bill, Claim, Event, Horizon, OneTime, Pick, Take, TokenStore,
};

use super::Fixture;

const HOUR: Duration = Duration::from_secs(3600);

fn counter(key: u8, limit: u64) -> Counter {
    Counter { key: [key; 32], limit, until: Some(now() + HOUR) }
}

/// Whole milliseconds: no store keeps more.
fn now() -> SystemTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millis().try_into().unwrap())
}

async fn take(store: &dyn TokenStore, counters: &[Counter]) -> Take {
    store.take(counters, now()).await.unwrap()
}

async fn as_often_as_its_limit_says(fixture: Fixture) {
    let store = fixture.open().await;
    for _ in 0..3 {
        assert_eq!(take(&*store, &[counter(1, 3)]).await, Take::Taken);
    }
    for _ in 0..2 {
        assert_eq!(take(&*store, &[counter(1, 3)]).await, Take::Spent);
    }
    assert_eq!(take(&*store, &[counter(2, 1)]).await, Take::Taken, "another counter");
    // A holder may have narrowed the limit since.
    assert_eq!(take(&*store, &[counter(1, 2)]).await, Take::Spent);
    assert_eq!(take(&*store, &[counter(1, 4)]).await, Take::Taken);
    assert_eq!(take(&*store, &[counter(3, u64::MAX)]).await, Take::Taken);
}

async fn from_all_counters_or_from_none(fixture: Fixture) {
    let store = fixture.open().await;
    let (wide, narrow) = (counter(1, 5), counter(2, 2));
    for _ in 0..2 {
        assert_eq!(take(&*store, &[wide, narrow]).await, Take::Taken);
    }
    assert_eq!(take(&*store, &[narrow, wide]).await, Take::Spent);
    for _ in 0..3 {
        assert_eq!(take(&*store, &[wide]).await, Take::Taken, "nothing was taken from it");
    }
    assert_eq!(take(&*store, &[wide]).await, Take::Spent);
    assert_eq!(take(&*store, &[]).await, Take::Taken, "nothing from nothing");
}

async fn of_many_at_once_no_more_than_the_limit(fixture: Fixture) {
    let stores = [fixture.open().await, fixture.open().await];
    // In memory each opening is a store of its own.
    let shared = fixture.url() != "memory:";
    let mut takers = JoinSet::new();
    for number in 0..100 {
        let store = stores[if shared { number % 2 } else { 0 }].clone();
        takers.spawn(async move {
            // In either order, so that two could wait for each other.
            let mut counters = [counter(1, 40), counter(2, 30)];
            counters.rotate_left(number % 3 % 2);
            store.take(&counters, now()).await.unwrap() == Take::Taken
        });
    }
    let taken = takers.join_all().await.into_iter().filter(|taken| *taken).count();
    assert_eq!(taken, 30);
    assert_eq!(take(&*stores[0], &[counter(1, 31)]).await, Take::Taken);
    assert_eq!(take(&*stores[0], &[counter(1, 31)]).await, Take::Spent);
}

async fn a_use_given_back_can_be_taken_again(fixture: Fixture) {
    let store = fixture.open().await;
    let both = [counter(1, 1), counter(2, 1)];
    assert_eq!(take(&*store, &both).await, Take::Taken);
    store.give_back(&both).await.unwrap();
    assert_eq!(take(&*store, &both).await, Take::Taken);
    assert_eq!(take(&*store, &both).await, Take::Spent);
    // What was never taken cannot be given back.
    store.give_back(&[counter(3, 1)]).await.unwrap();
    assert_eq!(take(&*store, &[counter(3, 1)]).await, Take::Taken);
    assert_eq!(take(&*store, &[counter(3, 1)]).await, Take::Spent);
}

async fn a_counter_past_its_time_counts_from_nothing(fixture: Fixture) {
    let store = fixture.open().await;
    let (start, end) = (now(), now() + HOUR);
    let one = |until| [Counter { until, ..counter(1, 1) }];
    let take = async |counters: [Counter; 1], at| store.take(&counters, at).await.unwrap();
    assert_eq!(take(one(Some(end)), start).await, Take::Taken);
    assert_eq!(take(one(Some(end)), end - Duration::from_millis(1)).await, Take::Spent);
    // Its time is that of its first use, whatever those after it say.
    assert_eq!(take(one(Some(end + HOUR)), end).await, Take::Taken);
    assert_eq!(take(one(None), end).await, Take::Spent);
    assert_eq!(take(one(Some(end + 9 * HOUR)), end + HOUR).await, Take::Taken);
    // One without an end never begins again.
    let ever = [Counter { until: None, ..counter(2, 1) }];
    let ages = start + 1_000_000 * HOUR;
    assert_eq!(store.take(&ever, start).await.unwrap(), Take::Taken);
    assert_eq!(store.take(&ever, ages).await.unwrap(), Take::Spent);
    let horizon = Horizon { now: ages, unpaid: ages, paid: ages };
    store.prune(horizon).await.unwrap();
    assert_eq!(store.take(&ever, ages).await.unwrap(), Take::Spent);
}

fn one_time(request: Option<u8>) -> OneTime {
    let request = request.map(|byte| [byte; 32]);
    OneTime { hash: PaymentHash([9; 32]), request, until: now() + HOUR }
}

async fn a_payment_is_claimed_once(fixture: Fixture) {
    let store = fixture.open().await;
    let payment = one_time(None);
    let mut claims = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        claims.spawn(async move { store.claim(&payment, now()).await.unwrap() });
    }
    let claims = claims.join_all().await;
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::First).count(), 1);
    assert_eq!(claims.iter().filter(|claim| **claim == Claim::Spent).count(), 19);
    // Nor by a request with a key of its own.
    assert_eq!(store.claim(&one_time(Some(1)), now()).await.unwrap(), Claim::Spent);
    store.release(payment.hash).await.unwrap();
    assert_eq!(store.claim(&payment, now()).await.unwrap(), Claim::First);
    assert_eq!(store.claim(&payment, payment.until).await.unwrap(), Claim::First, "forgotten");
}

async fn the_same_request_gets_the_same_answer(fixture: Fixture) {
    let store = fixture.open().await;
    let (payment, other) = (one_time(Some(1)), one_time(Some(2)));
    assert_eq!(store.claim(&payment, now()).await.unwrap(), Claim::First);
    assert_eq!(store.claim(&payment, now()).await.unwrap(), Claim::Running);
    let mut headers = HeaderMap::new();
    headers.insert("x-number", HeaderValue::from_static("7"));
    let body = Bytes::from_static(b"\0\xffbody");
    let answer = Answer::Whole { status: StatusCode::CREATED, headers, body };
    store.answer(payment.hash, &answer).await.unwrap();
    assert_eq!(store.claim(&payment, now()).await.unwrap(), Claim::Answered(answer));
    assert_eq!(store.claim(&other, now()).await.unwrap(), Claim::Spent);
    assert_eq!(store.claim(&one_time(None), now()).await.unwrap(), Claim::Spent);
    store.answer(payment.hash, &Answer::NotKept).await.unwrap();
    let again = store.claim(&payment, now()).await.unwrap();
    assert_eq!(again, Claim::Answered(Answer::NotKept));
    // An answer that comes when the claim is gone makes none.
    store.release(payment.hash).await.unwrap();
    store.answer(payment.hash, &Answer::NotKept).await.unwrap();
    assert_eq!(store.claim(&payment, now()).await.unwrap(), Claim::First);
}

async fn a_revoked_token_stays_revoked_until_it_has_expired(fixture: Fixture) {
    let store = fixture.open().await;
    assert_eq!(store.revoked().await.unwrap(), []);
    let (ever, while_valid) = (TokenId([1; 32]), TokenId([2; 32]));
    store.revoke(ever, None).await.unwrap();
    store.revoke(while_valid, Some(now() + HOUR)).await.unwrap();
    store.revoke(ever, None).await.unwrap();
    let mut revoked = store.revoked().await.unwrap();
    revoked.sort_by_key(|token| token.0);
    assert_eq!(revoked, [ever, while_valid]);
    let later = now() + 2 * HOUR;
    store.prune(Horizon { now: later, unpaid: later, paid: later }).await.unwrap();
    assert_eq!(store.revoked().await.unwrap(), [ever]);
}

fn bill(number: u8, issued: SystemTime) -> Bill {
    Bill {
        hash: PaymentHash([number; 32]),
        token: Some(TokenId([number; 32])),
        service: format!("service-{number}"),
        price: Some(Msat::from_msat(1000 + u64::from(number))),
        issued,
        expires: Some(issued + Duration::from_secs(600)),
        settled: None,
    }
}

/// The bills before a moment, the latest first.
async fn before(store: &dyn TokenStore, end: SystemTime, limit: u32) -> Vec<Bill> {
    store.bills(&Pick { to: Some(end), limit, ..Pick::default() }).await.unwrap()
}

async fn what_was_sold_can_be_read_the_latest_first(fixture: Fixture) {
    let store = fixture.open().await;
    let start = now();
    let minute = |number: u8| start + Duration::from_secs(60 * u64::from(number));
    let bills: Vec<Bill> = (1..=5).map(|number| bill(number, minute(number))).collect();
    let issued: Vec<Event> = bills.iter().cloned().map(Event::Issued).collect();
    store.record(&issued).await.unwrap();
    let paid = |hash, at| Event::Settled { hash, service: "service-2".into(), price: None, at };
    let two = bills[1].hash;
    store.record(&[paid(two, minute(10)), paid(two, minute(11))]).await.unwrap();
    store.record(&issued[..2]).await.unwrap(); // Told twice.
    let first = before(&*store, minute(100), 2).await;
    assert_eq!(first, [bills[4].clone(), bills[3].clone()]);
    let rest = before(&*store, first[1].issued, 100).await;
    let two = Bill { settled: Some(minute(10)), ..bills[1].clone() };
    assert_eq!(rest, [bills[2].clone(), two, bills[0].clone()]);
}

async fn a_payment_seen_before_its_bill_is_one_sale(fixture: Fixture) {
    let store = fixture.open().await;
    let issued = bill(1, now());
    let (hash, service, at) = (issued.hash, issued.service.clone(), issued.issued);
    store.record(&[Event::Settled { hash, service, price: None, at }]).await.unwrap();
    let seen = before(&*store, now() + HOUR, 9).await;
    let alone =
        Bill { token: None, price: None, expires: None, settled: Some(at), ..issued.clone() };
    assert_eq!(seen, [alone]);
    store.record(&[Event::Issued(issued.clone())]).await.unwrap();
    let whole = Bill { settled: Some(at), ..issued };
    assert_eq!(before(&*store, now() + HOUR, 9).await, [whole]);
}

async fn bills_go_by_their_age(fixture: Fixture) {
    let store = fixture.open().await;
    let start = now();
    let at = |hours: u32| start + hours * HOUR;
    let bills = [bill(1, at(1)), bill(2, at(1)), bill(3, at(3)), bill(4, at(1))];
    let issued: Vec<Event> = bills.iter().cloned().map(Event::Issued).collect();
    store.record(&issued).await.unwrap();
    for (number, hours) in [(2, 2), (4, 9)] {
        let hash = PaymentHash([number; 32]);
        let paid = Event::Settled { hash, service: String::new(), price: None, at: at(hours) };
        store.record(&[paid]).await.unwrap();
    }
    let left = async || {
        let mut left = before(&*store, at(99), 99).await;
        left.sort_by_key(|bill| bill.hash);
        left.into_iter().map(|bill| bill.hash.0[0]).collect::<Vec<_>>()
    };
    store.prune(Horizon { now: start, unpaid: at(1), paid: at(2) }).await.unwrap();
    assert_eq!(left().await, [1, 2, 3, 4]);
    store.prune(Horizon { now: start, unpaid: at(2), paid: at(2) }).await.unwrap();
    assert_eq!(left().await, [2, 3, 4], "paid ones are kept for longer");
    store.prune(Horizon { now: start, unpaid: at(4), paid: at(3) }).await.unwrap();
    assert_eq!(left().await, [4]);
}

for_each_store!(
    as_often_as_its_limit_says,
    from_all_counters_or_from_none,
    of_many_at_once_no_more_than_the_limit,
    a_use_given_back_can_be_taken_again,
    a_counter_past_its_time_counts_from_nothing,
    a_payment_is_claimed_once,
    the_same_request_gets_the_same_answer,
    a_revoked_token_stays_revoked_until_it_has_expired,
    what_was_sold_can_be_read_the_latest_first,
    a_payment_seen_before_its_bill_is_one_sale,
    bills_go_by_their_age,
);
