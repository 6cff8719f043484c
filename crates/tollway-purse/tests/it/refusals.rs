//! What the purse refuses, in which words, and that nothing was paid by it.

use http::StatusCode;
use l402::{Msat, Node, NodeErrorKind};
use serde_json::json;
use testkit::FakeNetwork;

use crate::running::{Running, invoice, pay_request};

#[tokio::test]
async fn a_request_that_is_not_understood_is_refused_by_name() {
    let (buyer, seller) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    let invoice = invoice(&seller).await;
    let with = |field: &str, value| {
        let mut request = pay_request(&invoice, 1);
        request[field] = value;
        request.to_string()
    };
    for (body, named) in [
        (String::from("pay, please"), "expected value"),
        (String::from("{}"), "missing field `invoice`"),
        (with("max_total_msat", json!(1)), "unknown field `max_total_msat`"),
        (with("max_fee_msat", json!(-1)), "invalid value"),
        (with("max_fee_msat", json!("1")), "invalid type"),
        (with("max_fee_msat", json!(Msat::SUPPLY.msat())), "`max_fee_msat`"),
        (with("invoice", json!("lnbc1")), "`invoice`"),
    ] {
        let (status, refusal) = purse.post_text("/v1/pay", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{refusal}");
        assert_eq!(refusal["error"]["kind"], "refused");
        assert!(refusal["error"]["message"].as_str().unwrap().contains(named), "{refusal}");
    }
    assert_eq!(buyer.orders(), []);
    assert_eq!(purse.held().await, (0, 0));
}

#[tokio::test]
async fn paths_methods_and_hashes_are_refused_as_json() {
    let (buyer, _) = FakeNetwork::pair();
    let purse = Running::start(buyer.both()).await;
    for (path, status) in [
        ("/", StatusCode::NOT_FOUND),
        ("/v2/pay", StatusCode::NOT_FOUND),
        ("/v1/pay", StatusCode::METHOD_NOT_ALLOWED),
        ("/v1/outcome/42", StatusCode::BAD_REQUEST),
        ("/v1/settled/zz", StatusCode::BAD_REQUEST),
        ("/v1/outcome/%ff", StatusCode::NOT_FOUND),
    ] {
        let (got, refusal) = purse.get(path).await;
        assert_eq!((got, &refusal["error"]["kind"]), (status, &json!("refused")), "{path}");
    }
    let (status, refusal) = purse.post_text("/v1/pay", "x".repeat(20_000)).await;
    assert_eq!(
        (status, &refusal["error"]["kind"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("refused"))
    );
}

#[tokio::test]
async fn a_purse_does_only_what_its_node_can() {
    let (buyer, seller) = FakeNetwork::pair();
    let paying = Running::start(Node { payer: Some(buyer.payer()), ..Node::default() }).await;
    let earning =
        Running::start(Node { invoicer: Some(seller.invoicer()), ..Node::default() }).await;
    let info = |can_pay, can_invoice| {
        json!({
            "network": "regtest",
            "can_pay": can_pay,
            "can_invoice": can_invoice,
            "holds": 0,
            "held_msat": 0,
        })
    };
    assert_eq!(paying.get("/v1/info").await, (StatusCode::OK, info(true, false)));
    assert_eq!(earning.get("/v1/info").await, (StatusCode::OK, info(false, true)));
    let request = json!({ "amount_msat": 1000, "memo": "", "expiry_s": 60 });
    let (status, refusal) = paying.post("/v1/invoice", &request).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(refusal["error"]["kind"], "unauthorized");
    let request = pay_request(&invoice(&seller).await, 1);
    assert_eq!(earning.post("/v1/pay", &request).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_node_that_fails_is_no_ones_fault_but_ours() {
    let (_, seller) = FakeNetwork::pair();
    let purse = Running::start(seller.both()).await;
    let request = json!({ "amount_msat": 1000, "memo": "", "expiry_s": 60 });
    for (kind, status, word) in [
        (NodeErrorKind::Unreachable, StatusCode::SERVICE_UNAVAILABLE, "unreachable"),
        (NodeErrorKind::Storage, StatusCode::BAD_GATEWAY, "storage"),
        (NodeErrorKind::Refused, StatusCode::UNPROCESSABLE_ENTITY, "refused"),
    ] {
        seller.fail_invoices(Some(kind));
        let (got, refusal) = purse.post("/v1/invoice", &request).await;
        assert_eq!((got, &refusal["error"]["kind"]), (status, &json!(word)));
    }
}
