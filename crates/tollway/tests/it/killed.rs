//! `tollway get`, killed at each point of a purchase and run again, pays once.

use crate::gate::{At, Gate};
use crate::market::Market;

/// Which of the two proxies holds.
#[derive(Clone, Copy, Debug)]
enum Before {
    Gateway,
    Purse,
}

/// A point of a purchase, by the exchange that is under way there.
struct Point {
    name: &'static str,
    before: Before,
    request: &'static str,
    nth: usize,
    at: At,
    /// What became of the money by then.
    paid: bool,
}

const POINTS: &[Point] = &[
    point("asking", Before::Gateway, "GET /weather", 0, At::Request, false),
    point("asked for money", Before::Gateway, "GET /weather", 0, At::Answer, false),
    point("half of a 402 read", Before::Gateway, "GET /weather", 0, At::HalfHead, false),
    point("opening the node", Before::Purse, "GET /v1/info", 0, At::Answer, false),
    point("order given, not heard", Before::Purse, "POST /v1/pay", 0, At::Request, false),
    point("paid, not told", Before::Purse, "POST /v1/pay", 0, At::Answer, true),
    point("half of the proof read", Before::Purse, "POST /v1/pay", 0, At::HalfBody, true),
    point("paid and told", Before::Purse, "POST /v1/pay", 0, At::End, true),
    point("proof on its way", Before::Gateway, "GET /weather", 1, At::Request, true),
    point("proof honoured, not told", Before::Gateway, "GET /weather", 1, At::Answer, true),
    point("half of the head read", Before::Gateway, "GET /weather", 1, At::HalfHead, true),
    point("half of the body read", Before::Gateway, "GET /weather", 1, At::HalfBody, true),
];

const fn point(
    name: &'static str,
    before: Before,
    request: &'static str,
    nth: usize,
    at: At,
    paid: bool,
) -> Point {
    Point { name, before, request, nth, at, paid }
}

impl Point {
    fn gate<'a>(&self, market: &'a Market) -> &'a Gate {
        match self.before {
            Before::Gateway => &market.door,
            Before::Purse => &market.purse,
        }
    }

    /// Starts a purchase and kills it there.
    async fn kill(&self, market: &Market) {
        let gate = self.gate(market);
        gate.hold(self.request, self.nth, self.at);
        let mut buying = tokio::process::Command::from(market.get("/weather/berlin", &[]));
        let mut buying = buying.kill_on_drop(true).spawn().unwrap();
        gate.reached().await;
        // SIGKILL, and waits for the death.
        buying.kill().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_and_run_again_it_pays_once() {
    for point in POINTS {
        let market = Market::open().await;
        point.kill(&market).await;
        assert_eq!(market.sold(), usize::from(point.paid), "{}", point.name);
        point.gate(&market).release();

        let said = market.got("/weather/berlin", &[]).await;
        assert_eq!(said.code, 0, "{}: {said:?}", point.name);
        assert!(said.stdout.contains("/weather/berlin"), "{}: {said:?}", point.name);
        assert_eq!(market.sold(), 1, "{}: {said:?}", point.name);
        assert_eq!(market.buyer.orders().len(), 1, "{}: {said:?}", point.name);
    }
}

/// What the first process wrote down is used by all that come after it, whenever they come.
#[tokio::test(flavor = "multi_thread")]
async fn killed_again_and_again_it_still_pays_once() {
    let market = Market::open().await;
    for point in POINTS.iter().filter(|point| point.nth == 0) {
        let gate = point.gate(&market);
        gate.hold(point.request, point.nth, point.at);
        let mut buying = tokio::process::Command::from(market.get("/weather/berlin", &[]));
        let mut buying = buying.kill_on_drop(true).spawn().unwrap();
        // After the payment some points are never reached again.
        tokio::select! {
            () = gate.reached() => buying.kill().await.unwrap(),
            ended = buying.wait() => assert!(ended.unwrap().success(), "{}", point.name),
        }
        gate.release();
        assert!(market.sold() <= 1, "{}", point.name);
    }
    let said = market.got("/weather/berlin", &[]).await;
    assert_eq!((said.code, market.sold()), (0, 1), "{said:?}");
}

/// The order was given and its process is dead: the node may still hear of it.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_arrives_after_its_process_died_is_not_given_again() {
    let market = Market::open().await;
    let late = &POINTS[4];
    assert_eq!(late.name, "order given, not heard");
    late.kill(&market).await;
    market.purse.release();
    let (one, two) =
        tokio::join!(market.got("/weather/berlin", &[]), market.got("/weather/berlin", &[]));
    assert_eq!((one.code, two.code), (0, 0), "{one:?} {two:?}");
    assert_eq!(market.sold(), 1);
}
