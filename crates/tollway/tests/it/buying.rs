//! `tollway get`, from the outside: what it prints, how it ends, and what it costs.

use l402::{NodeErrorKind, Why};
use testkit::Act;

use crate::market::{Market, run};
use crate::run::tollway;

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_prints_the_body_and_one_line_of_talk() {
    let market = Market::open().await;
    let said = market.got("/weather/berlin", &[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("/weather/berlin"), "{said:?}");
    assert_eq!(said.stderr.lines().count(), 1, "{said:?}");
    assert!(said.stderr.starts_with("paid 10 sat"), "{said:?}");
    assert!(said.stderr.contains("the token is kept"), "{said:?}");

    let again = market.got("/weather/berlin", &[]).await;
    assert_eq!(again.code, 0);
    assert!(again.stderr.contains("nothing paid"), "{again:?}");
    assert_eq!(market.sold(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_needs_no_node_and_says_nothing() {
    let market = Market::open().await;
    let url = market.url("/free/page");
    let said = run(tollway(market.folder.path(), ["get", &url])).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
    assert!(said.stdout.contains("/free/page"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_it_says_how_to_get_one() {
    let market = Market::open().await;
    let url = market.url("/weather/berlin");
    let said = run(tollway(market.folder.path(), ["get", &url])).await;
    assert_eq!((said.code, said.stdout.as_str()), (9, ""), "{said:?}");
    assert!(said.stderr.contains("TOLLWAY_NODE"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_the_price_and_pays_nothing() {
    let market = Market::open().await;
    let said = market.got("/weather/berlin", &["--dry-run"]).await;
    assert_eq!(said.code, 10, "{said:?}");
    assert!(said.stdout.starts_with("would pay 10 sat"), "{said:?}");
    let json = market.got("/weather/berlin", &["--dry-run", "--format", "json"]).await.json();
    assert_eq!((&json["would_pay"], &json["amount_msat"]), (&true.into(), &10_000.into()));
    assert_eq!(market.sold(), 0);
    assert!(market.buyer.orders().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_agreed_to_is_not_paid() {
    let market = Market::open().await;
    let said = market.got("/weather/berlin", &["--max-cost", "9 sat"]).await;
    assert_eq!(said.code, 8, "{said:?}");
    assert!(said.stderr.contains("9 sat"), "{said:?}");
    assert_eq!(market.sold(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_json_object_says_all_of_it() {
    let market = Market::open().await;
    let said = market.got("/weather/berlin", &["--format", "json"]).await;
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
    let json = said.json();
    assert_eq!(json["status"], 200);
    assert_eq!(json["payment"]["by"], "bought");
    assert_eq!(json["payment"]["amount_msat"], 10_000);
    let hash = market.seller.received()[0].0.to_string();
    assert_eq!(json["payment"]["payment_hash"], hash);
    assert!(json["body"].as_str().unwrap().contains("/weather/berlin"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_goes_where_it_is_told() {
    let market = Market::open().await;
    let said = market.got("/weather/berlin", &["-o", "out.txt", "-i"]).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{said:?}");
    let file = std::fs::read_to_string(market.folder.path().join("out.txt")).unwrap();
    assert!(file.starts_with("HTTP/1.1 200 OK\r\n"), "{file}");
    assert!(file.contains("/weather/berlin"), "{file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_sent_and_sent_again_with_the_proof() {
    let market = Market::open().await;
    let said = market.got("/forecast", &["--json", "{\"days\":3}"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let seen = market.origin.received();
    assert_eq!(seen.len(), 1, "only the paid request passes");
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].headers["content-type"], "application/json");
    assert!(!seen[0].headers.contains_key("authorization"));
    assert_eq!(market.sold(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_without_a_known_end_has_its_own_number_and_is_not_made_again() {
    let market = Market::open().await;
    let cue = market.buyer.next(Act::PayLate);
    let said = market.got("/weather/berlin", &["--patience", "1", "--format", "json"]).await;
    assert_eq!(said.code, 7, "{said:?}");
    let error: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    assert_eq!(error["error"]["money_moved"], "unknown");
    let said = market.got("/weather/berlin", &[]).await;
    assert_eq!(said.code, 7, "still on its way: {said:?}");

    cue.proceed();
    let said = market.got("/weather/berlin", &[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("nothing more paid"), "{said:?}");
    assert_eq!((market.sold(), market.buyer.orders().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_that_fails_costs_nothing() {
    let market = Market::open().await;
    market.buyer.next(Act::Refuse(Why::NoRoute));
    let said = market.got("/weather/berlin", &[]).await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("no route"), "{said:?}");
    assert_eq!(market.sold(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_without_a_node_is_a_503_and_no_bill() {
    let market = Market::open().await;
    market.seller.fail_invoices(Some(NodeErrorKind::Unreachable));
    let said = market.got("/weather/berlin", &["--fail"]).await;
    assert_eq!(said.code, 22, "{said:?}");
    assert!(said.stderr.contains("503"), "{said:?}");
    assert!(market.buyer.orders().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_buy_one_token() {
    let market = Market::open().await;
    let (one, two) =
        tokio::join!(market.got("/weather/berlin", &[]), market.got("/weather/paris", &[]));
    assert_eq!((one.code, two.code), (0, 0), "{one:?} {two:?}");
    assert_eq!(market.sold(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_is_told_to_those_who_ask() {
    let market = Market::open().await;
    let said = market.got("/weather/berlin", &["-v"]).await;
    let steps: Vec<_> = said
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("* ")?.split_once(':'))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        steps,
        [
            "asking",
            "answered",
            "challenged",
            "turn",
            "held",
            "begun",
            "paying",
            "paid",
            "proven",
            "sent-again",
            "done"
        ],
        "{said:?}"
    );
}
