//! A question, a refusal or a stop must not be made untrue by an order that was sent before it and
//! is read after it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use l402::{
    Invoice, Network, Node, NodeError, Outcome, Paid, PayError, PayOrder, Payer, PaymentHash, Why,
};
use serde_json::{Value, json};
use testkit::{Act, FakeNetwork};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::running::{Running, invoice, pay_request, post};

/// An order in the hands of a slow client: the connection is there, the request is not.
struct SlowOrder {
    stream: UnixStream,
    request: String,
}

impl SlowOrder {
    async fn connect(socket: &Path, invoice: &Invoice) -> Self {
        let body = pay_request(invoice, 60_000).to_string();
        let head = "POST /v1/pay HTTP/1.1\r\nhost: purse\r\nconnection: close\r\ncontent-length:";
        let request = format!("{head} {}\r\n\r\n{body}", body.len());
        Self { stream: UnixStream::connect(socket).await.unwrap(), request }
    }

    /// Sends all but the last byte.
    async fn begin(&mut self) {
        let most = self.request.len() - 1;
        self.stream.write_all(&self.request.as_bytes()[..most]).await.unwrap();
        self.request.drain(..most);
    }

    /// Sends the rest, and says what came of it.
    async fn finish(mut self) -> (u16, Value) {
        self.stream.write_all(self.request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
    }
}

async fn outcome(purse: &Running, invoice: &Invoice) -> Value {
    purse.get(&format!("/v1/outcome/{}", invoice.payment_hash())).await.1["outcome"].clone()
}

#[tokio::test]
async fn an_order_that_a_question_overtook_is_not_carried_out() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let unsent = SlowOrder::connect(purse.path(), &invoice).await;
    let mut half_sent = SlowOrder::connect(purse.path(), &invoice).await;
    half_sent.begin().await;
    assert_eq!(outcome(&purse, &invoice).await, "not_paid");
    for order in [unsent, half_sent] {
        let (status, ended) = order.finish().await;
        assert_eq!((status, &ended["ended"]), (200, &json!("not_paid")), "{ended}");
        assert_eq!(ended["error"]["kind"], "refused");
    }
    assert_eq!(buyer.orders(), []);
    assert_eq!(purse.pay(&invoice, 60_000).await["ended"], "paid", "a new order is taken");
    assert_eq!(seller.received().len(), 1);
}

#[tokio::test]
async fn an_order_that_was_overtaken_learns_of_a_payment_made_meanwhile() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let paid_late = SlowOrder::connect(purse.path(), &invoice).await;
    let pending_late = SlowOrder::connect(purse.path(), &invoice).await;
    assert_eq!(outcome(&purse, &invoice).await, "not_paid");
    let cue = buyer.next(Act::PayLate);
    assert_eq!(purse.pay(&invoice, 0).await["ended"], "unknown");
    assert_eq!(pending_late.finish().await.1["ended"], "unknown");
    cue.proceed();
    assert_eq!(paid_late.finish().await.1["ended"], "paid");
    assert_eq!(seller.received().len(), 1);
}

#[tokio::test]
async fn an_order_that_a_refused_one_overtook_is_not_carried_out() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let order = SlowOrder::connect(purse.path(), &invoice).await;
    buyer.next(Act::Refuse(Why::NoRoute));
    assert_eq!(purse.pay(&invoice, 60_000).await["why"], "no_route");
    assert_eq!(order.finish().await.1["ended"], "not_paid");
    assert_eq!(buyer.orders().len(), 1, "the node has seen the other one only");
}

#[tokio::test]
async fn a_slow_client_holds_up_nobody_and_not_the_stop() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start_with_grace(buyer.both(), Duration::ZERO).await;
    let (slow, quick) = (invoice(&seller).await, invoice(&seller).await);
    let mut order = SlowOrder::connect(purse.path(), &slow).await;
    order.begin().await;
    assert_eq!(purse.pay(&quick, 60_000).await["ended"], "paid");
    assert_eq!(purse.stop().await.unwrap().unresolved, []);
    let (status, refusal) = order.finish().await;
    assert_eq!((status, &refusal["error"]["kind"]), (503, &json!("unreachable")));
    assert_eq!(buyer.orders(), [quick.payment_hash()]);
}

#[tokio::test]
async fn orders_and_questions_need_a_connection_of_their_own() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let question =
        format!("GET /v1/outcome/{} HTTP/1.1\r\nhost: x\r\n\r\n", invoice.payment_hash());
    let order = SlowOrder::connect(purse.path(), &invoice).await.request;
    for second in [question, order] {
        let mut stream = UnixStream::connect(purse.path()).await.unwrap();
        let first = "GET /v1/info HTTP/1.1\r\nhost: x\r\n\r\n";
        stream.write_all(format!("{first}{second}").as_bytes()).await.unwrap();
        let mut answers = String::new();
        let closed = timeout(Duration::from_secs(20), stream.read_to_string(&mut answers));
        closed.await.expect("nothing more can be done here, so it is closed").unwrap();
        assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
        assert!(answers.contains("HTTP/1.1 409"), "{answers}");
        assert!(answers.contains("open a connection for it"), "{answers}");
    }
    assert_eq!(buyer.orders(), []);
}

/// A node that does as told, and says of every payment that it never heard of it.
#[derive(Debug, Default)]
struct Told {
    ends: Mutex<VecDeque<Arc<Notify>>>,
    begun: Notify,
}

#[async_trait]
impl Payer for Told {
    fn network(&self) -> Network {
        Network::Regtest
    }

    async fn pay(&self, _: PayOrder<'_>) -> Result<Paid, PayError> {
        let end = self.ends.lock().unwrap().pop_front().unwrap();
        self.begun.notify_one();
        end.notified().await;
        Err(PayError::NotPaid { why: Why::NoRoute, source: None })
    }

    async fn outcome(&self, _: PaymentHash) -> Result<Outcome, NodeError> {
        Ok(Outcome::NotPaid)
    }
}

#[tokio::test]
async fn not_paid_is_not_said_while_an_order_is_at_work() {
    let (_, seller) = FakeNetwork::pair();
    let node = Arc::new(Told::default());
    let ends = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    node.ends.lock().unwrap().extend(ends.iter().cloned());
    let payer = Arc::clone(&node) as Arc<dyn Payer>;
    let purse = Running::start(Node { payer: Some(payer), ..Node::default() }).await;
    let invoice = invoice(&seller).await;
    let mut orders = Vec::new();
    for _ in &ends {
        let (socket, request) = (purse.path().to_owned(), pay_request(&invoice, 60_000));
        orders.push(tokio::spawn(async move { post(&socket, "/v1/pay", &request).await.1 }));
        node.begun.notified().await;
    }
    assert_eq!(outcome(&purse, &invoice).await, "pending", "the node may not know of it yet");
    for (end, (order, ended)) in ends.iter().zip(orders.into_iter().zip(["unknown", "not_paid"])) {
        end.notify_one();
        assert_eq!(order.await.unwrap()["ended"], ended);
    }
    assert_eq!(outcome(&purse, &invoice).await, "not_paid");
    assert_eq!(purse.held().await, (0, 0));
}
