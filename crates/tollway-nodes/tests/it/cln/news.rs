//! Payments that Core Lightning tells of by itself (`lightning-waitanyinvoice(7)`): the newest found
//! without a list of all, asked for again from where it had come to, and no condition for anything.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use l402::{Invoicer, NodeErrorKind, PaymentHash};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::lightningd::{Answer, Commands, at_socket, by_rest, rest_url, rune, socket_url};
use crate::fake::{Fake, Say};
use crate::running::{open_url, until};

/// A node's payments with their counts. By its list of invoices none was ever paid, so that whoever
/// knows of one was told.
#[derive(Clone, Default)]
struct Books {
    paid: Arc<Mutex<Vec<(u64, PaymentHash)>>>,
    another: Arc<Notify>,
    /// What was asked of `waitanyinvoice`: after which payment, and with how much patience.
    asked: Arc<Mutex<Vec<(u64, u64)>>>,
    looked_up: Arc<Mutex<u32>>,
    revoked: Arc<AtomicBool>,
}

impl Books {
    /// Payments from long ago with these counts; others were deleted.
    fn of(counts: impl IntoIterator<Item = u64>) -> Self {
        let books = Self::default();
        *books.paid.lock().unwrap() = counts.into_iter().map(|at| (at, old(at))).collect();
        books
    }

    fn add(&self, count: u64, hash: PaymentHash) {
        self.paid.lock().unwrap().push((count, hash));
        self.another.notify_waiters();
    }

    fn after(&self, count: u64) -> Option<(u64, PaymentHash)> {
        self.paid.lock().unwrap().iter().find(|(at, _)| *at > count).copied()
    }

    /// After which payments it was waited for another.
    fn waited_after(&self) -> Vec<u64> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(_, patience)| *patience > 0).map(|(after, _)| *after).collect()
    }

    async fn wait_any_invoice(&self, parameters: &Value) -> Answer {
        let number = |name: &str| parameters[name].as_u64().unwrap();
        let (after, patience) = (number("lastpay_index"), number("timeout"));
        self.asked.lock().unwrap().push((after, patience));
        let deadline = Instant::now() + Duration::from_secs(patience);
        loop {
            let another = self.another.notified();
            if self.revoked.load(Relaxed) {
                return Err((1501, "Not authorized: Not derived from master".to_owned()));
            }
            if let Some((count, hash)) = self.after(after) {
                return Ok(json!({ "payment_hash": hash, "status": "paid", "pay_index": count }));
            }
            if timeout_at(deadline, another).await.is_err() {
                return Err((904, "Timed out".to_owned()));
            }
        }
    }
}

impl Commands for Books {
    async fn carry_out(&self, method: &str, parameters: &Value) -> Answer {
        match method {
            "getinfo" => Ok(json!({ "network": "regtest" })),
            "listinvoices" => {
                *self.looked_up.lock().unwrap() += 1;
                Ok(json!({ "invoices": [] }))
            }
            "waitanyinvoice" => self.wait_any_invoice(parameters).await,
            other => panic!("{other}"),
        }
    }
}

fn old(count: u64) -> PaymentHash {
    PaymentHash([u8::try_from(count % 100).unwrap(); 32])
}

const ONE: PaymentHash = PaymentHash([201; 32]);
const TWO: PaymentHash = PaymentHash([202; 32]);
const THREE: PaymentHash = PaymentHash([203; 32]);

async fn invoicer(url: &str) -> Arc<dyn Invoicer> {
    open_url(url).await.unwrap().invoicer.unwrap()
}

/// Asks until the node is waited for, which the first question begins.
async fn listening(invoicer: &Arc<dyn Invoicer>, books: &Books) {
    until(async || {
        assert!(!invoicer.is_settled(ONE).await.unwrap());
        !books.waited_after().is_empty()
    })
    .await;
}

#[tokio::test]
async fn the_newest_of_a_million_payments_is_found_and_what_comes_after_it_is_told() {
    for newest in [1, 2, 16, 17, 987_654] {
        let books = Books::of((1..newest).filter(|at| at % 4_001 == 1).chain([newest]));
        let fake = by_rest(books.clone()).await;
        let invoicer = invoicer(&rest_url(&fake, &rune("=1"))).await;
        listening(&invoicer, &books).await;
        let searched = books.asked.lock().unwrap().iter().filter(|asked| asked.1 == 0).count();
        assert!(searched <= 30, "{searched} questions");
        assert_eq!(books.waited_after(), [newest], "nothing old is told again");
        for (count, hash) in [(newest + 1, ONE), (newest + 5, TWO)] {
            books.add(count, hash);
            until(async || invoicer.is_settled(hash).await.unwrap()).await;
        }
        let before = *books.looked_up.lock().unwrap();
        assert!(invoicer.is_settled(ONE).await.unwrap() && invoicer.is_settled(TWO).await.unwrap());
        assert_eq!(*books.looked_up.lock().unwrap(), before, "no round trip");
        assert!(!invoicer.is_settled(old(newest)).await.unwrap(), "it is looked up");
        assert_eq!(books.waited_after(), [newest, newest + 1, newest + 5]);
    }
}

#[tokio::test]
async fn a_node_that_was_never_paid_tells_of_its_first_payment() {
    let books = Books::default();
    let fake = by_rest(books.clone()).await;
    let invoicer = invoicer(&rest_url(&fake, &rune("=1"))).await;
    listening(&invoicer, &books).await;
    books.add(1, ONE);
    until(async || invoicer.is_settled(ONE).await.unwrap()).await;
}

#[tokio::test]
async fn after_a_restart_the_node_is_asked_from_where_it_had_come_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning-rpc");
    let books = Books::of([3]);
    let node = at_socket(books.clone(), path.clone());
    let invoicer = invoicer(&socket_url(&path)).await;
    listening(&invoicer, &books).await;
    books.add(4, ONE);
    until(async || invoicer.is_settled(ONE).await.unwrap()).await;
    until(async || books.waited_after() == [3, 4]).await;

    node.abort();
    assert!(node.await.unwrap_err().is_cancelled());
    std::fs::remove_file(&path).unwrap();
    let gone = invoicer.is_settled(TWO).await.unwrap_err();
    assert_eq!(gone.kind, NodeErrorKind::Unreachable, "what it did not tell is looked up");
    assert!(invoicer.is_settled(ONE).await.unwrap(), "and what it told is known without it");

    books.add(5, TWO);
    books.add(6, THREE);
    at_socket(books.clone(), path);
    for hash in [TWO, THREE] {
        until(async || invoicer.is_settled(hash).await.unwrap()).await;
    }
    assert_eq!(books.waited_after()[..4], [3, 4, 4, 5], "nothing twice and nothing left out");
    let asked = books.asked.lock().unwrap();
    let last_sought = asked.iter().rposition(|(_, patience)| *patience == 0).unwrap();
    let first_waited = asked.iter().position(|(_, patience)| *patience > 0).unwrap();
    assert!(last_sought < first_waited, "where to begin is sought once");
}

#[tokio::test]
async fn a_rune_that_does_not_do_any_more_leaves_what_was_told_and_each_is_looked_up() {
    let books = Books::of([7]);
    let fake = by_rest(books.clone()).await;
    let invoicer = invoicer(&rest_url(&fake, &rune("=1"))).await;
    listening(&invoicer, &books).await;
    books.revoked.store(true, Relaxed);
    books.add(8, ONE);
    // It was asked before the rune was revoked, and is refused now.
    let asked = || books.asked.lock().unwrap().len();
    let before = asked();
    for _ in 0..5 {
        let looked_up = *books.looked_up.lock().unwrap();
        assert!(!invoicer.is_settled(ONE).await.unwrap());
        assert!(*books.looked_up.lock().unwrap() > looked_up);
    }
    assert_eq!(asked(), before, "what was refused is not asked for again and again");
}

#[tokio::test]
async fn a_rune_that_may_not_listen_or_whose_calls_are_counted_is_not_listened_with() {
    for restrictions in
        ["=1&method=getinfo|method=invoice|method=listinvoices", "=1&rate=60", "=1&per=1sec"]
    {
        let fake = Fake::tls(|asked| async move {
            let said = match asked.path.as_str() {
                "/v1/getinfo" => json!({ "network": "regtest" }),
                "/v1/listinvoices" => json!({ "invoices": [] }),
                other => panic!("{other}"),
            };
            Say::Json(201, said.to_string())
        })
        .await;
        let invoicer = invoicer(&rest_url(&fake, &rune(restrictions))).await;
        for _ in 0..5 {
            assert!(!invoicer.is_settled(ONE).await.unwrap());
        }
        assert!(fake.asked().iter().all(|asked| asked.path != "/v1/waitanyinvoice"));
    }
}
