//! A purse that does not behave: whatever cannot be understood about an order is unknown.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use l402::{Invoice, Invoicer as _, Msat, NodeErrorKind, Paid, PayError, PayOrder, Payer, Why};
use testkit::FakeNetwork;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::running::open;

const INFO: &str =
    r#"{"network":"regtest","can_pay":true,"can_invoice":true,"holds":0,"held_msat":0}"#;

/// What the strange purse does with everything but `info`.
#[derive(Clone, Copy)]
enum Says {
    Nothing,
    HangsUp,
    Bytes(&'static str),
    Json(u16, &'static str),
    /// A refusal, far longer than any.
    Huge,
}

/// Answers `info` as it should, and all else as told.
async fn strange(path: PathBuf, says: Says) -> Arc<dyn Payer> {
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(stream, says));
        }
    });
    open(&path).await.unwrap().payer.unwrap()
}

async fn answer(mut stream: UnixStream, says: Says) {
    let mut request = vec![0; 8192];
    let read = stream.read(&mut request).await.unwrap();
    let json = |status: u16, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        )
    };
    let reply = match says {
        _ if request[..read].starts_with(b"GET /v1/info") => json(200, INFO),
        Says::Nothing => std::future::pending().await,
        Says::HangsUp => return,
        Says::Bytes(bytes) => bytes.to_owned(),
        Says::Json(status, body) => json(status, body),
        Says::Huge => {
            let message = "no".repeat(2_500_000);
            json(403, &format!(r#"{{"error":{{"kind":"refused","message":"{message}"}}}}"#))
        }
    };
    // Whoever has read enough may hang up.
    let _ = stream.write_all(reply.as_bytes()).await;
}

async fn invoice() -> Invoice {
    let (_, seller) = FakeNetwork::pair();
    let amount = Msat::from_sat(10).unwrap();
    seller.invoice(amount, "test", Duration::from_secs(600)).await.unwrap()
}

async fn pay(says: Says) -> Result<Paid, PayError> {
    let folder = tempfile::tempdir().unwrap();
    let payer = strange(folder.path().join("purse.sock"), says).await;
    let invoice = invoice().await;
    let patience = Duration::from_secs(1);
    payer.pay(PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience }).await
}

#[tokio::test]
async fn an_order_without_a_readable_answer_has_an_unknown_end() {
    const WRONG: &str = r#"{"ended":"paid","preimage":"4242424242424242424242424242424242424242424242424242424242424242","fee_msat":0}"#;
    const BOTH: &str = r#"{"ended":"unknown","error":{"kind":"timeout","message":""}}"#;
    for (says, kind) in [
        (Says::HangsUp, NodeErrorKind::Unreachable),
        (
            Says::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"),
            NodeErrorKind::Unreachable,
        ),
        (Says::Bytes("SSH-2.0-nonsense\r\n\r\n"), NodeErrorKind::Unreachable),
        (Says::Json(200, "{}"), NodeErrorKind::Protocol),
        (Says::Json(200, r#"{"ended":"refunded"}"#), NodeErrorKind::Protocol),
        (Says::Json(200, r#"{"error":{"kind":"refused","message":""}}"#), NodeErrorKind::Protocol),
        (Says::Json(200, WRONG), NodeErrorKind::Protocol),
        (Says::Json(500, "out of order"), NodeErrorKind::Protocol),
        (Says::Json(502, r#"{"ended":"not_paid","why":"refused"}"#), NodeErrorKind::Protocol),
        (Says::Json(504, BOTH), NodeErrorKind::Protocol),
        (Says::Json(302, ""), NodeErrorKind::Protocol),
        (Says::Huge, NodeErrorKind::Unreachable),
    ] {
        let ended = pay(says).await;
        let Err(PayError::Unknown { source, .. }) = ended else {
            panic!("unknown was expected, not {ended:?}");
        };
        assert_eq!(source.kind, kind, "{source:?}");
    }
}

#[tokio::test]
async fn an_order_refused_in_the_agreed_way_was_not_begun() {
    let refusal = r#"{"error":{"kind":"unauthorized","message":"not you"}}"#;
    let ended = pay(Says::Json(403, refusal)).await;
    let Err(PayError::NotPaid { why: Why::Refused, source: Some(source) }) = ended else {
        panic!("not paid was expected, not {ended:?}");
    };
    assert_eq!(source.kind, NodeErrorKind::Unauthorized);
    assert_eq!(std::error::Error::source(&source).unwrap().to_string(), "not you");
}

#[tokio::test(start_paused = true)]
async fn a_purse_that_says_nothing_is_not_waited_for_for_ever() {
    let ended = pay(Says::Nothing).await;
    let Err(PayError::Unknown { source, .. }) = ended else {
        panic!("unknown was expected, not {ended:?}");
    };
    assert_eq!(source.kind, NodeErrorKind::Timeout);
}

#[tokio::test]
async fn an_invoice_for_something_else_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("purse.sock");
    let other = invoice().await;
    let reply = format!(r#"{{"invoice":"{other}","hash":"{}"}}"#, other.payment_hash());
    strange(path.clone(), Says::Json(200, reply.leak())).await;
    let invoicer = open(&path).await.unwrap().invoicer.unwrap();
    let hour = Duration::from_secs(3600);
    assert!(invoicer.invoice(other.amount(), "", hour).await.is_ok());
    let more = Msat::from_sat(11).unwrap();
    let taken = invoicer.invoice(more, "", hour).await;
    assert_eq!(taken.unwrap_err().kind, NodeErrorKind::Protocol);
}
