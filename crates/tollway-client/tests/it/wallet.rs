//! The contract of `Wallet`, held by both wallets.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use l402::{Invoicer, Msat, Paid, PayOrder, Payer, Preimage};
use tollway_client::{MOST_OTHERS, Origin, Purchase, Standing, Wallet, WalletError};

use crate::books::{Fixture, both_wallets};
use crate::buying::soon;
use crate::seller::{NO_LIMITS, offer};

both_wallets!(
    what_is_begun_is_pending_until_it_is_finished,
    what_is_finished_is_found_and_never_forgotten,
    what_is_begun_can_be_forgotten,
    a_payment_that_was_made_is_not_begun_again,
    beginning_and_finishing_twice_changes_nothing,
    what_was_never_begun_cannot_be_finished,
    a_turn_is_for_its_origin_alone,
    a_second_turn_waits_for_the_first,
    a_waiting_turn_can_be_given_up,
    a_quarantined_token_is_kept_and_not_found,
    what_was_bought_for_a_path_is_found_however_much_was_bought_since,
);

fn origin() -> Origin {
    "https://api.example.com".parse().unwrap()
}

fn other() -> Origin {
    "https://api.example.com:8443".parse().unwrap()
}

async fn purchase(fixture: &Fixture) -> (Purchase, Paid) {
    let hour = Duration::from_secs(3600);
    let amount = Msat::from_sat(10).unwrap();
    let invoice = fixture.seller.invoice(amount, "a test", hour).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: hour };
    let paid = fixture.buyer.pay(order).await.unwrap();
    let challenge = offer(&invoice, &["services=a:0"]);
    // Whole milliseconds, as a disk keeps them.
    let begun_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let path = "/a/b".to_owned();
    let (origin, node) = (origin(), Some("lnd://here".to_owned()));
    let purchase = Purchase {
        origin,
        method: Method::POST,
        path,
        target: None,
        query: None,
        challenge,
        node,
        begun_at,
    };
    (purchase, paid)
}

async fn turn(wallet: &Arc<dyn Wallet>) -> tollway_client::Turn {
    wallet.turn(&origin(), &|| {}).await.unwrap()
}

fn later() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_456)
}

async fn what_is_begun_is_pending_until_it_is_finished(fixture: Fixture) {
    let (purchase, paid) = purchase(&fixture).await;
    let turn = turn(&fixture.wallet).await;
    fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
    assert!(fixture.again.find(&origin(), "/a/b").await.unwrap().is_empty());
    assert!(fixture.again.pending(Some(&other())).await.unwrap().is_empty());
    for of in [None, Some(&origin())] {
        let pending = fixture.again.pending(of).await.unwrap();
        let [pending] = &pending[..] else { panic!("{pending:?}") };
        assert_eq!(pending.hash(), purchase.hash());
        assert_eq!(pending.challenge.token, purchase.challenge.token);
        assert_eq!(pending.challenge.invoice, purchase.challenge.invoice);
        assert_eq!(pending.challenge.scheme.name(), "L402");
        assert_eq!((&pending.method, &*pending.path), (&Method::POST, "/a/b"));
        assert_eq!(pending.node.as_deref(), Some("lnd://here"));
        assert_eq!((&pending.origin, pending.begun_at), (&origin(), purchase.begun_at));
    }
    fixture.wallet.finish(&turn, purchase.hash(), &paid, later()).await.unwrap();
    assert!(fixture.again.pending(None).await.unwrap().is_empty());
}

async fn what_is_finished_is_found_and_never_forgotten(fixture: Fixture) {
    let (purchase, paid) = purchase(&fixture).await;
    let turn = turn(&fixture.wallet).await;
    fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
    let paid = Paid { fee: Msat::from_msat(1_234), ..paid };
    let receipt = fixture.wallet.finish(&turn, purchase.hash(), &paid, later()).await.unwrap();
    assert_eq!((receipt.amount, receipt.fee), ("10 sat".parse().unwrap(), paid.fee));
    assert_eq!((receipt.standing, receipt.paid_at), (Standing::Fresh, later()));
    assert_eq!(receipt.description.as_deref(), Some("a test"));

    fixture.wallet.forget(&turn, purchase.hash()).await.unwrap();
    let tokens = fixture.again.find(&origin(), "/a/b").await.unwrap();
    let [token] = &tokens[..] else { panic!("{tokens:?}") };
    assert_eq!(token.credential().1, purchase.challenge.authorization(&paid.preimage));
    assert_eq!(token.receipt(), receipt);
    assert!(fixture.again.find(&other(), "/a/b").await.unwrap().is_empty());
    assert_eq!(fixture.again.receipts().await.unwrap(), [receipt]);
}

async fn what_is_begun_can_be_forgotten(fixture: Fixture) {
    let (purchase, paid) = purchase(&fixture).await;
    let turn = turn(&fixture.wallet).await;
    fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
    fixture.wallet.forget(&turn, purchase.hash()).await.unwrap();
    assert!(fixture.again.pending(None).await.unwrap().is_empty());
    let finished = fixture.wallet.finish(&turn, purchase.hash(), &paid, later()).await;
    assert!(matches!(finished, Err(WalletError::NotBegun(_))), "{finished:?}");
}

async fn a_payment_that_was_made_is_not_begun_again(fixture: Fixture) {
    let (purchase, paid) = purchase(&fixture).await;
    let turn = turn(&fixture.wallet).await;
    fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
    fixture.wallet.finish(&turn, purchase.hash(), &paid, later()).await.unwrap();
    let begun = fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await;
    assert!(matches!(begun, Err(WalletError::AlreadyPaid(hash)) if hash == purchase.hash()));
}

async fn beginning_and_finishing_twice_changes_nothing(fixture: Fixture) {
    let (purchase, paid) = purchase(&fixture).await;
    let turn = turn(&fixture.wallet).await;
    for _ in 0..2 {
        fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
    }
    assert_eq!(fixture.wallet.pending(None).await.unwrap().len(), 1);
    let first = fixture.wallet.finish(&turn, purchase.hash(), &paid, later()).await.unwrap();
    let much_later = later() + Duration::from_secs(60);
    let second = fixture.wallet.finish(&turn, purchase.hash(), &paid, much_later).await;
    assert_eq!(second.unwrap(), first);
}

async fn what_was_never_begun_cannot_be_finished(fixture: Fixture) {
    let turn = turn(&fixture.wallet).await;
    let preimage = Preimage::new([1; 32]);
    let hash = preimage.hash();
    let paid = Paid { preimage, fee: Msat::ZERO };
    let finished = fixture.wallet.finish(&turn, hash, &paid, later()).await;
    assert!(matches!(finished, Err(WalletError::NotBegun(named)) if named == hash));
    let judged = fixture.wallet.judge(hash, Standing::Honoured).await;
    assert!(matches!(judged, Err(WalletError::NotBegun(named)) if named == hash));
}

async fn a_turn_is_for_its_origin_alone(fixture: Fixture) {
    let (purchase, paid) = purchase(&fixture).await;
    let (right, wrong) = (
        turn(&fixture.wallet).await,
        fixture.wallet.turn(&other(), &|| panic!("nobody has it")).await.unwrap(),
    );
    let refused = |result| matches!(result, Err(WalletError::WrongTurn { .. }));
    assert!(refused(fixture.wallet.begin(&wrong, &purchase, NO_LIMITS).await));
    fixture.wallet.begin(&right, &purchase, NO_LIMITS).await.unwrap();
    // The same invoice, shown by another origin.
    let theirs = Purchase { origin: other(), ..purchase.clone() };
    assert!(refused(fixture.wallet.begin(&wrong, &theirs, NO_LIMITS).await));
    assert!(refused(fixture.wallet.forget(&wrong, purchase.hash()).await));
    let finished = fixture.wallet.finish(&wrong, purchase.hash(), &paid, later()).await;
    assert!(refused(finished.map(drop)));
    assert_eq!(fixture.wallet.pending(None).await.unwrap().len(), 1);
}

async fn a_second_turn_waits_for_the_first(fixture: Fixture) {
    let first = turn(&fixture.wallet).await;
    let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let again = Arc::clone(&fixture.again);
    let second = tokio::spawn(async move {
        let waits = move || waits.send(()).unwrap();
        again.turn(&origin(), &waits).await.unwrap()
    });
    soon(waiting.recv()).await.unwrap();
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(soon(second).await.unwrap().origin(), &origin());
    assert_eq!(waiting.recv().await, None, "it is said once");
}

async fn a_waiting_turn_can_be_given_up(fixture: Fixture) {
    let first = turn(&fixture.wallet).await;
    let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let again = Arc::clone(&fixture.again);
    let second = tokio::spawn(async move {
        let waits = move || waits.send(()).unwrap();
        again.turn(&origin(), &waits).await.map(drop)
    });
    soon(waiting.recv()).await.unwrap();
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    drop(first);
    drop(soon(turn(&fixture.again)).await);
}

async fn a_quarantined_token_is_kept_and_not_found(fixture: Fixture) {
    let (purchase, paid) = purchase(&fixture).await;
    let turn = turn(&fixture.wallet).await;
    fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
    fixture.wallet.finish(&turn, purchase.hash(), &paid, later()).await.unwrap();
    for standing in [Standing::Honoured, Standing::InVain] {
        fixture.wallet.judge(purchase.hash(), standing).await.unwrap();
        assert_eq!(fixture.again.find(&origin(), "/a/b").await.unwrap()[0].standing, standing);
    }
    fixture.wallet.judge(purchase.hash(), Standing::Quarantined).await.unwrap();
    assert!(fixture.again.find(&origin(), "/a/b").await.unwrap().is_empty());
    let receipts = fixture.again.receipts().await.unwrap();
    assert_eq!((receipts.len(), receipts[0].standing), (1, Standing::Quarantined));
}

async fn what_was_bought_for_a_path_is_found_however_much_was_bought_since(fixture: Fixture) {
    let turn = turn(&fixture.wallet).await;
    let buy = async |path: &str, at: u64| {
        let (purchase, paid) = purchase(&fixture).await;
        let purchase = Purchase { path: path.to_owned(), ..purchase };
        fixture.wallet.begin(&turn, &purchase, NO_LIMITS).await.unwrap();
        let at = later() + Duration::from_secs(at);
        fixture.wallet.finish(&turn, purchase.hash(), &paid, at).await.unwrap();
    };
    buy("/a/b", 0).await;
    let most = u64::try_from(MOST_OTHERS).unwrap();
    for n in 0..most + 3 {
        buy(&format!("/other/{n}"), n).await;
    }
    let found = fixture.again.find(&origin(), "/a/b").await.unwrap();
    let paths: Vec<_> = found.into_iter().map(|token| token.path).collect();
    let newest = (3..most + 3).rev().map(|n| format!("/other/{n}"));
    assert_eq!(paths, newest.chain(["/a/b".to_owned()]).collect::<Vec<_>>());
}
