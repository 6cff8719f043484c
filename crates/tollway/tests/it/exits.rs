//! The contract with programs: each exit code with a command that ends with it, what is told with it,
//! and the fields of a report.

use std::collections::BTreeSet;

use l402::Why;
use serde_json::Value;
use testkit::Act;

use crate::market::{Market, run};
use crate::run::{say, tollway};

/// A command that ends so.
struct Row {
    code: i32,
    /// The word for programs, where something failed.
    kind: Option<&'static str>,
    moved: &'static str,
    path: &'static str,
    flags: &'static [&'static str],
    /// What the buyer's node does.
    act: Option<fn() -> Act>,
}

const fn row(
    code: i32,
    kind: &'static str,
    path: &'static str,
    flags: &'static [&'static str],
) -> Row {
    Row { code, kind: Some(kind), moved: "no", path, flags, act: None }
}

const PAGE: &str = "/weather/berlin";

const ROWS: &[Row] = &[
    Row { kind: None, ..row(0, "", PAGE, &[]) },
    Row { kind: None, ..row(0, "", "/free/page", &["--no-pay"]) },
    Row { kind: None, ..row(0, "", PAGE, &["--strict"]) },
    row(1, "io", "/free/page", &["-o", "no/such/folder/file"]),
    row(1, "too_long", "/free/page", &["--max-filesize", "1"]),
    row(2, "bad_request", "/free/page", &["-H", "no header"]),
    row(2, "bad_request", "/free/page", &["--http3"]),
    Row { act: Some(|| Act::Refuse(Why::NoRoute)), ..row(3, "not_paid", PAGE, &[]) },
    row(4, "network", PAGE, &["--unix-socket", "nobody-listens-there"]),
    Row { moved: "yes", ..row(5, "http_status", "/status/403", &["-f"]) },
    Row { moved: "yes", ..row(6, "rate_limited", "/status/429", &["-f"]) },
    Row { moved: "unknown", act: Some(|| Act::LoseReply), ..row(7, "unknown", PAGE, &[]) },
    row(8, "offer", PAGE, &["--max-cost", "9"]),
    row(8, "over_budget", PAGE, &["--budget", "9"]),
    row(8, "policy", PAGE, &["--ask-above", "1"]),
    row(9, "payment_required", PAGE, &["--no-pay"]),
    row(9, "authorization_taken", PAGE, &["-u", "a:b"]),
    Row { kind: None, ..row(10, "", PAGE, &["--dry-run"]) },
    row(11, "offer", PAGE, &["--scheme", "Payment"]),
    Row { moved: "yes", ..row(22, "http_status", "/status/500", &["-f"]) },
    Row { moved: "yes", ..row(28, "timeout", "/slow", &["-m", "1"]) },
];

#[tokio::test(flavor = "multi_thread")]
async fn every_way_to_end_has_its_number_and_says_what_became_of_the_money() {
    for row in ROWS {
        let market = Market::open().await;
        if let Some(act) = row.act {
            market.buyer.next(act());
        }
        let flags = [&["--format", "json"], row.flags].concat();
        let said = market.got(row.path, &flags).await;
        let name = format!("{} {:?}: {said:?}", row.path, row.flags);
        assert_eq!(said.code, row.code, "{name}");
        let Some(kind) = row.kind else {
            assert_eq!(said.stderr, "", "{name}");
            continue;
        };
        let error: Value =
            serde_json::from_str(&said.stderr).unwrap_or_else(|e| panic!("{e}: {name}"));
        let error = &error["error"];
        assert_eq!(
            (&error["kind"], &error["money_moved"]),
            (&kind.into(), &row.moved.into()),
            "{name}"
        );
        assert_eq!(error["exit_code"], row.code, "{name}");
        for field in ["retryable", "safe_to_retry"] {
            assert!(error[field].is_boolean(), "{field}: {name}");
        }
        assert!(error["message"].is_string() && error.get("hint").is_some(), "{name}");
        assert_eq!(error["payment_hash"].is_string(), row.moved != "no" || row.code == 3, "{name}");
        let sold = usize::from(row.moved != "no");
        assert_eq!(market.sold(), sold, "{name}");
    }
}

/// What the manual says, and nothing else.
#[test]
fn the_manual_lists_the_numbers_that_there_are() {
    let help = say(&["--help"]).stdout;
    let listed = help.split_once("Exit codes:").expect("the help has the list").1;
    let numbers = listed.split(|c: char| !c.is_ascii_digit()).filter_map(|text| text.parse().ok());
    // The others in it are statuses of HTTP.
    let numbers: BTreeSet<i32> = numbers.filter(|number| *number < 100).collect();
    let shown: BTreeSet<i32> = ROWS.iter().map(|row| row.code).collect();
    assert_eq!(numbers, shown);
}

type IsIt = fn(&Value) -> bool;

/// Each field, and what it must be.
const FIELDS: &[(&str, IsIt)] = &[
    ("/url", Value::is_string),
    ("/final_url", Value::is_string),
    ("/method", Value::is_string),
    ("/status", Value::is_u64),
    ("/headers", Value::is_object),
    ("/output_path", Value::is_string),
    ("/bytes", Value::is_u64),
    ("/content_type", Value::is_string),
    ("/duration_ms", Value::is_u64),
    ("/payment/paid", Value::is_boolean),
    ("/payment/reused", Value::is_boolean),
    ("/payment/scheme", Value::is_string),
    ("/payment/amount_msat", Value::is_u64),
    ("/payment/fee_msat", Value::is_u64),
    ("/payment/payment_hash", Value::is_string),
    ("/payment/invoice", Value::is_string),
    ("/payment/credential_id", Value::is_string),
    ("/payment/node", Value::is_string),
    ("/payment/budget_remaining_msat", Value::is_u64),
    ("/exit_code", Value::is_u64),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_all_of_a_payment_and_the_proof_only_when_asked() {
    let market = Market::open().await;
    let line = ["budget", "set", "daily", "--most", "25", "--per", "day"];
    assert_eq!(run(tollway(market.folder.path(), line)).await.code, 0);
    let flags = ["--format", "json", "-o", "page", "-H", "accept: text/plain"];
    let report = market.got(PAGE, &flags).await.json();
    for (pointer, is_it) in FIELDS {
        let value = report.pointer(pointer).unwrap_or(&Value::Null);
        assert!(is_it(value) || *pointer == "/content_type", "{pointer}: {value} in {report}");
    }
    let paid = &report["payment"];
    assert_eq!(paid["budget_remaining_msat"], 15_000);
    let invoice = l402::Invoice::parse(paid["invoice"].as_str().unwrap()).unwrap();
    assert_eq!(paid["payment_hash"], invoice.payment_hash().to_string());
    assert_eq!(paid["node"], market.node());
    assert!(paid.get("preimage").is_none(), "{report}");

    let shown = [&flags[..], &["--show-preimage", "--receipt", "receipt.json"]].concat();
    let report = market.got(PAGE, &shown).await.json();
    let preimage: l402::Preimage = report["payment"]["preimage"].as_str().unwrap().parse().unwrap();
    assert!(preimage.opens(invoice.payment_hash()));
    assert_eq!(
        (&report["payment"]["paid"], &report["payment"]["reused"]),
        (&false.into(), &true.into())
    );

    let many =
        ["--budget", "100", "--format", "ndjson", "--buy-again", "--receipt", "receipt.json"];
    let said = market.got("/free/page", &many).await.json();
    assert_eq!(said["payment"]["budget_remaining_msat"], 15_000, "the least of all that limits it");
    assert!(!market.folder.path().join("receipt.json").exists(), "nothing was paid");
}

/// A payment that brought nothing is in the report of its transfer, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_of_a_failure_says_what_was_paid() {
    let market = Market::open().await;
    let url = market.url("/free/page");
    let flags = ["--format", "ndjson", "-f", "--receipt", "receipt.json", &url];
    let said = market.got("/status/503", &flags).await;
    assert_eq!(said.code, 22, "{said:?}");
    let lines: Vec<Value> =
        said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let hash = market.seller.received()[0].0.to_string();
    assert_eq!(lines.len(), 2, "{said:?}");
    assert_eq!(
        (&lines[0]["payment"]["payment_hash"], &lines[0]["payment"]["paid"]),
        (&hash.clone().into(), &true.into())
    );
    assert_eq!(lines[0]["error"]["payment_hash"], hash);
    assert_eq!(lines[1]["payment"]["paid"], false);
    let receipt = std::fs::read_to_string(market.folder.path().join("receipt.json")).unwrap();
    assert!(receipt.contains(&hash) && !receipt.contains("preimage"), "{receipt}");
}
