//! A purse that is asked to stop: what is at work ends, what cannot end is reported.

use std::time::Duration;

use l402::Msat;
use testkit::{Act, FakeNetwork};
use tokio::net::UnixStream;
use tollway_purse::Unresolved;

use crate::running::{Running, invoice};

#[tokio::test]
async fn payments_at_work_end_first() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let path = purse.path().to_owned();
    let cue = buyer.next(Act::PayLate);
    let stop = async {
        cue.arrived().await;
        cue.proceed();
    };
    let (paid, ()) = tokio::join!(purse.pay(&invoice, 60_000), stop);
    assert_eq!(paid["ended"], "paid");
    assert_eq!(purse.stop().await.unwrap().unresolved, []);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_request_that_waits_is_answered_before_the_end() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let cue = buyer.next(Act::PayLate);
    let path = purse.path().to_owned();
    let request = crate::running::pay_request(&invoice, 60_000);
    let waiting =
        tokio::spawn(async move { crate::running::post(&path, "/v1/pay", &request).await });
    cue.arrived().await;
    let path = purse.path().to_owned();
    let stopped = purse.stop();
    while UnixStream::connect(&path).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!stopped.is_finished(), "a payment is still at work");
    cue.proceed();
    assert_eq!(waiting.await.unwrap().1["ended"], "paid");
    assert_eq!(stopped.await.unwrap().unresolved, []);
}

#[tokio::test]
async fn what_has_no_end_is_reported() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start_with_grace(buyer.both(), Duration::ZERO).await;
    let (hanging, lost) = (invoice(&seller).await, invoice(&seller).await);
    buyer.next(Act::Hang);
    assert_eq!(purse.pay(&hanging, 0).await["ended"], "unknown");
    buyer.next(Act::LoseReply);
    assert_eq!(purse.pay(&lost, 60_000).await["ended"], "unknown");
    assert_eq!(purse.held().await, (1, 11_000), "the lost one was found paid");
    let expected = Unresolved { hash: hanging.payment_hash(), amount: Msat::from_sat(11).unwrap() };
    assert_eq!(purse.stop().await.unwrap().unresolved, [expected]);
}
