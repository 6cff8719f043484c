//! An lnd that loses replies, hangs, lies or is not ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use l402::{
    Invoice, Invoicer as _, Macaroon, Msat, Node, NodeError, NodeErrorKind, OpenError, Outcome,
    Paid, PayError, PayOrder, RootKey, Why,
};
use testkit::FakeNetwork;

use super::rig::open;
use crate::fake::{Fake, Say};

const LOCKED: &str =
    r#"{"code":2,"message":"wallet locked, unlock it to enable full RPC access","details":[]}"#;
const DENIED: &str = r#"{"error":{"code":2,"message":"permission denied","details":[]}}"#;
const EXISTS: &str = r#"{"error":{"code":6,"message":"invoice is already paid","details":[]}}"#;
const NOT_FOUND: &str = r#"{"error":{"code":5,"message":"payment isn't initiated","details":[]}}"#;
const IN_FLIGHT: &str = r#"{"result":{"status":"IN_FLIGHT","payment_preimage":"","fee_msat":"0","failure_reason":"FAILURE_REASON_NONE"}}"#;

fn json(body: &str) -> Say {
    Say::Json(200, body.to_owned())
}

fn info(synced: bool, network: &str) -> Say {
    json(&format!(
        r#"{{"synced_to_chain":{synced},"block_height":7,"chains":[{{"chain":"bitcoin","network":"{network}"}}]}}"#
    ))
}

fn failed(reason: &str) -> Say {
    json(&format!(r#"{{"result":{{"status":"FAILED","failure_reason":"{reason}"}}}}"#))
}

fn succeeded(preimage: &str) -> Say {
    json(&format!(
        r#"{{"result":{{"status":"SUCCEEDED","payment_preimage":"{preimage}","fee_msat":"21"}}}}"#
    ))
}

/// A ready lnd on regtest, which says these things to an order and to the question how it ended.
async fn lnd(send: Say, track: Say) -> Fake {
    Fake::tls(move |asked| {
        let (send, track) = (send.clone(), track.clone());
        async move {
            match asked.path.as_str() {
                "/v1/state" => json(r#"{"state":"SERVER_ACTIVE"}"#),
                "/v1/getinfo" => info(true, "regtest"),
                "/v2/router/send" => send,
                path if path.starts_with("/v2/router/track/") => track,
                other => panic!("{other}"),
            }
        }
    })
    .await
}

fn url(fake: &Fake) -> String {
    let macaroon = Macaroon::mint(&RootKey::new([7; 32]), b"baked elsewhere").to_bytes();
    let macaroon = fake.keep("macaroon", macaroon);
    format!("lnd://{}?cert={}&macaroon={macaroon}", fake.address, fake.cert().display())
}

async fn opened(fake: &Fake) -> Node {
    open(&url(fake)).await.unwrap()
}

/// Such an lnd, and the driver that has opened it.
async fn ready(send: Say, track: Say) -> (Fake, Node) {
    let fake = lnd(send, track).await;
    let node = opened(&fake).await;
    (fake, node)
}

async fn invoice() -> (Invoice, String) {
    let (buyer, seller) = FakeNetwork::pair();
    let hour = Duration::from_secs(3600);
    let invoice = seller.invoice(Msat::from_msat(1_000), "", hour).await.unwrap();
    let order = PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: hour };
    let paid = buyer.payer().pay(order).await.unwrap();
    (invoice, paid.preimage.expose_hex())
}

async fn pay(node: &Node, invoice: &Invoice) -> Result<Paid, PayError> {
    let patience = Duration::from_secs(20);
    let order = PayOrder { invoice, max_fee: Msat::from_msat(55), patience };
    node.payer.as_ref().unwrap().pay(order).await
}

async fn outcome(node: &Node, invoice: &Invoice) -> Result<Outcome, NodeError> {
    node.payer.as_ref().unwrap().outcome(invoice.payment_hash()).await
}

fn unknown(ended: Result<Paid, PayError>) -> NodeErrorKind {
    match ended {
        Err(PayError::Unknown { source, .. }) => source.kind,
        other => panic!("unknown was expected, not {other:?}"),
    }
}

fn not_paid(ended: Result<Paid, PayError>) -> (Why, String) {
    match ended {
        Err(PayError::NotPaid { why, source }) => {
            let cause = source.as_ref().and_then(std::error::Error::source);
            (why, cause.map(ToString::to_string).unwrap_or_default())
        }
        other => panic!("not paid was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn an_order_says_its_limits_and_its_macaroon() {
    let (invoice, preimage) = invoice().await;
    let fake = lnd(succeeded(&preimage), Say::HangUp).await;
    let node = opened(&fake).await;
    assert_eq!(pay(&node, &invoice).await.unwrap().fee, Msat::from_msat(21));
    let asked = fake.asked().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/v2/router/send"));
    let said: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let expected = serde_json::json!({
        "payment_request": invoice.as_str(),
        "fee_limit_msat": "55",
        "timeout_seconds": 18,
        "no_inflight_updates": true,
    });
    assert_eq!(said, expected);
    let macaroon = &asked.headers["grpc-metadata-macaroon"];
    assert!(macaroon.starts_with("0201046c736174"), "{macaroon}");
    assert!(!format!("{node:?}").contains(&macaroon[20..60]));
}

#[tokio::test]
async fn a_lost_reply_is_found_at_once_where_the_node_can_be_asked() {
    let (invoice, preimage) = invoice().await;
    for lost in [Say::HangUp, json("{}"), Say::Bytes("HTTP/1.1 200 OK\r\n".into())] {
        let (_fake, node) = ready(lost, succeeded(&preimage)).await;
        assert_eq!(pay(&node, &invoice).await.unwrap().preimage.expose_hex(), preimage);
    }
}

#[tokio::test]
async fn an_order_without_a_readable_answer_has_an_unknown_end() {
    let (invoice, _) = invoice().await;
    for (says, kind) in [
        (Say::HangUp, NodeErrorKind::Unreachable),
        (
            Say::Bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".into()),
            NodeErrorKind::Unreachable,
        ),
        (Say::Bytes("SSH-2.0-nonsense\r\n\r\n".into()), NodeErrorKind::Unreachable),
        (json("{}"), NodeErrorKind::Refused),
        (json(""), NodeErrorKind::Protocol),
        (json(r#"{"result":{"status":"REFUNDED"}}"#), NodeErrorKind::Protocol),
        (
            json(r#"{"result":{"status":"SUCCEEDED","payment_preimage":"00"}}"#),
            NodeErrorKind::Protocol,
        ),
        (Say::Json(502, "<html>bad gateway</html>".into()), NodeErrorKind::Protocol),
    ] {
        let (_fake, node) = ready(says.clone(), Say::HangUp).await;
        let ended = pay(&node, &invoice).await;
        let Err(PayError::Unknown { source, .. }) = ended else { panic!("{says:?}: {ended:?}") };
        if says_something(&says) {
            assert_eq!(source.kind, kind, "{says:?}: {source:?}");
        }
    }
}

/// A refusal that cannot be checked against the books is told by the second failure.
fn says_something(says: &Say) -> bool {
    !matches!(says, Say::Json(200, body) if body == "{}")
}

#[tokio::test]
async fn a_lost_order_may_still_arrive_for_a_while() {
    let (invoice, _) = invoice().await;
    let fake = lnd(Say::HangUp, Say::Json(404, NOT_FOUND.into())).await;
    let node = opened(&fake).await;
    assert_eq!(outcome(&node, &invoice).await.unwrap(), Outcome::NotPaid);
    assert_eq!(unknown(pay(&node, &invoice).await), NodeErrorKind::Unreachable);
    assert_eq!(outcome(&node, &invoice).await.unwrap(), Outcome::Pending);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert_eq!(outcome(&node, &invoice).await.unwrap(), Outcome::NotPaid);
}

#[tokio::test]
async fn a_wrong_preimage_is_not_paid_for_and_not_unpaid_either() {
    let (invoice, _) = invoice().await;
    let wrong = succeeded(&"42".repeat(32));
    let (_fake, node) = ready(wrong.clone(), wrong).await;
    assert_eq!(unknown(pay(&node, &invoice).await), NodeErrorKind::Protocol);
    assert_eq!(outcome(&node, &invoice).await.unwrap_err().kind, NodeErrorKind::Protocol);
}

#[tokio::test]
async fn a_payment_that_lnd_knows_already_is_followed() {
    let (invoice, preimage) = invoice().await;
    let exists = Say::Json(409, EXISTS.into());
    let (_fake, node) = ready(exists.clone(), succeeded(&preimage)).await;
    assert_eq!(pay(&node, &invoice).await.unwrap().preimage.expose_hex(), preimage);
    let no_route = failed("FAILURE_REASON_NO_ROUTE");
    let (_fake, node) = ready(exists, no_route).await;
    assert_eq!(not_paid(pay(&node, &invoice).await).0, Why::NoRoute);
}

#[tokio::test]
async fn what_is_in_flight_is_pending_though_the_stream_goes_on() {
    let (invoice, _) = invoice().await;
    let (_fake, node) = ready(Say::Nothing, Say::Stream(IN_FLIGHT.into())).await;
    assert_eq!(outcome(&node, &invoice).await.unwrap(), Outcome::Pending);
}

#[tokio::test]
async fn every_reason_of_lnds_is_told() {
    let (invoice, _) = invoice().await;
    for (reason, why) in [
        ("FAILURE_REASON_TIMEOUT", Why::NoRoute),
        ("FAILURE_REASON_NO_ROUTE", Why::NoRoute),
        ("FAILURE_REASON_ERROR", Why::Refused),
        ("FAILURE_REASON_INCORRECT_PAYMENT_DETAILS", Why::PayeeRefused),
        ("FAILURE_REASON_INSUFFICIENT_BALANCE", Why::Balance),
        ("FAILURE_REASON_CANCELED", Why::Refused),
    ] {
        let (_fake, node) = ready(failed(reason), Say::HangUp).await;
        assert_eq!(not_paid(pay(&node, &invoice).await).0, why, "{reason}");
    }
}

#[tokio::test]
async fn a_refused_order_was_not_begun_and_says_what_to_do() {
    let (invoice, _) = invoice().await;
    for (said, why, remedy) in [
        (LOCKED, Why::Unreachable, "`lncli unlock`"),
        (DENIED, Why::Refused, "uri:/routerrpc.Router/SendPaymentV2"),
        (r#"{"code":2,"message":"self-payments not allowed"}"#, Why::Refused, "self-payments"),
    ] {
        let (send, track) = (Say::Json(500, said.into()), Say::Json(404, NOT_FOUND.into()));
        let (_fake, node) = ready(send, track).await;
        let (told, story) = not_paid(pay(&node, &invoice).await);
        assert_eq!(told, why);
        assert!(story.contains(remedy), "{story}");
    }
}

/// What opening such a node says.
async fn refused(fake: Fake) -> (NodeErrorKind, String) {
    let Err(OpenError::Node(error)) = open(&url(&fake)).await else { panic!("it is not ready") };
    let cause = std::error::Error::source(&error).unwrap().to_string();
    (error.kind, cause)
}

#[tokio::test]
async fn what_is_no_ready_lnd_is_named() {
    let state = |state: &'static str| async move {
        refused(Fake::tls(move |_| async move { json(&format!(r#"{{"state":"{state}"}}"#)) }).await)
            .await
    };
    let (kind, story) = state("LOCKED").await;
    assert_eq!((kind, story.contains("`lncli unlock`")), (NodeErrorKind::Unreachable, true));
    let (kind, story) = state("NON_EXISTING").await;
    assert_eq!((kind, story.contains("`lncli create`")), (NodeErrorKind::Unreachable, true));
    let (kind, story) = state("RPC_ACTIVE").await;
    assert_eq!((kind, story.contains("still starting")), (NodeErrorKind::Unreachable, true));

    let html = || async { Say::Json(404, "<html>not here</html>".to_owned()) };
    let (kind, story) = refused(Fake::tls(move |_| html()).await).await;
    assert_eq!((kind, story.contains("not lnd's")), (NodeErrorKind::Protocol, true));

    let simnet = |asked: crate::fake::Asked| async move {
        if asked.path == "/v1/state" {
            json(r#"{"state":"SERVER_ACTIVE"}"#)
        } else {
            info(true, "simnet")
        }
    };
    let (kind, story) = refused(Fake::tls(simnet).await).await;
    assert_eq!((kind, story.contains("`simnet`")), (NodeErrorKind::Refused, true));
}

#[tokio::test]
async fn a_node_behind_the_chain_is_waited_for_and_then_named() {
    for (behind, opens) in [(3, true), (usize::MAX, false)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let fake = Fake::tls(move |request| {
            let synced = request.path == "/v1/getinfo" && asked.fetch_add(1, Relaxed) >= behind;
            async move {
                if request.path == "/v1/state" {
                    json(r#"{"state":"SERVER_ACTIVE"}"#)
                } else {
                    info(synced, "regtest")
                }
            }
        })
        .await;
        if opens {
            assert!(open(&url(&fake)).await.is_ok());
        } else {
            let (kind, story) = refused(fake).await;
            assert_eq!(kind, NodeErrorKind::Unreachable);
            assert!(story.contains("up to block 7 only"), "{story}");
        }
    }
}

#[tokio::test]
async fn an_invoice_for_something_else_is_not_taken() {
    let (other, _) = invoice().await;
    let reply = format!(r#"{{"payment_request":"{other}"}}"#);
    let fake = Fake::tls(move |asked| {
        let reply = reply.clone();
        async move {
            match asked.path.as_str() {
                "/v1/state" => json(r#"{"state":"SERVER_ACTIVE"}"#),
                "/v1/getinfo" => info(true, "regtest"),
                _ => json(&reply),
            }
        }
    })
    .await;
    let invoicer = opened(&fake).await.invoicer.unwrap();
    let hour = Duration::from_secs(3600);
    assert!(invoicer.invoice(other.amount(), "", hour).await.is_ok());
    let more = Msat::from_msat(1_001);
    let taken = invoicer.invoice(more, "", hour).await;
    assert_eq!(taken.unwrap_err().kind, NodeErrorKind::Protocol);
}
