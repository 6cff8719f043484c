//! What a buyer keeps and decides: tokens, receipts, budgets, settings, another wallet's payment, and
//! the flags that are about money.

use std::time::Duration;

use l402::{Invoice, Msat, PayOrder};
use testkit::Act;

use crate::market::{Market, run};
use crate::run::{Said, tollway};

async fn say(market: &Market, line: &[&str]) -> Said {
    run(tollway(market.folder.path(), line)).await
}

fn error(said: &Said) -> serde_json::Value {
    let error: serde_json::Value = serde_json::from_str(&said.stderr).unwrap();
    error["error"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_is_listed_shown_and_set_aside() {
    let market = Market::open().await;
    assert!(say(&market, &["tokens"]).await.stdout.contains("nothing was bought"));
    market.got("/weather/berlin", &["--receipt", "receipt.json"]).await;
    let hash = market.seller.received()[0].0.to_string();
    let receipt = std::fs::read_to_string(market.folder.path().join("receipt.json")).unwrap();
    assert!(receipt.contains(&hash) && receipt.contains("\"amount_msat\":10000"), "{receipt}");

    let list = say(&market, &["tokens", "--format", "json"]).await.json();
    assert_eq!(
        (&list[0]["payment_hash"], &list[0]["standing"]),
        (&hash.clone().into(), &"honoured".into())
    );
    let shown = say(&market, &["tokens", "show", &hash[..8]]).await;
    assert!(
        shown.stdout.contains("/weather/berlin") && !shown.stdout.contains("L402 "),
        "{shown:?}"
    );
    let secret = say(&market, &["tokens", "show", &hash[..8], "--show-secrets"]).await;
    assert!(secret.stdout.contains("L402 "), "{secret:?}");
    let csv = say(&market, &["receipts", "export", "--csv"]).await;
    assert!(
        csv.stdout.starts_with("paid_at,origin,") && csv.stdout.contains(",10000,0,"),
        "{csv:?}"
    );
    assert_eq!(
        say(&market, &["receipts", "--since", "2999-01-01", "--format", "json"]).await.json(),
        serde_json::json!([])
    );

    assert_eq!(say(&market, &["tokens", "forget", "ffffffffffff"]).await.code, 2);
    assert_eq!(say(&market, &["tokens", "forget", &hash]).await.code, 0);
    market.got("/weather/berlin", &[]).await;
    assert_eq!(market.sold(), 2, "it was set aside, so another one was bought");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_holds_for_every_process_until_it_is_reset() {
    let market = Market::open().await;
    assert_eq!(
        say(&market, &["budget", "set", "daily", "--most", "25", "--per", "day"]).await.code,
        0
    );
    assert_eq!(market.got("/weather/berlin", &[]).await.code, 0);
    let hash = market.seller.received()[0].0.to_string();
    say(&market, &["tokens", "forget", &hash]).await;
    let refused = market.got("/weather/berlin", &["--format", "json"]).await;
    assert_eq!((refused.code, market.sold()), (8, 1), "{refused:?}");
    let shown = say(&market, &["budget", "--format", "json"]).await.json();
    assert_eq!(
        (&shown["budgets"][0]["spent_msat"], &shown["budgets"][0]["left_msat"]),
        (&10_000.into(), &15_000.into())
    );
    assert_eq!(say(&market, &["budget", "reset"]).await.code, 0);
    assert_eq!(market.got("/weather/berlin", &[]).await.code, 0);
    assert_eq!(say(&market, &["budget", "drop", "weekly"]).await.code, 2);
    assert_eq!(say(&market, &["budget", "drop", "daily"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_name_the_node_and_what_may_be_paid() {
    let market = Market::open().await;
    let (node, url) = (market.node(), market.url("/weather/berlin"));
    assert_eq!(say(&market, &["config", "set", "node", &node]).await.code, 0);
    assert_eq!(say(&market, &["config", "set", "policy.max_cost", "9 sat"]).await.code, 0);
    let refused = say(&market, &["get", "--max-cost", "100", &url]).await;
    assert_eq!(refused.code, 8, "a flag does not widen the policy: {refused:?}");
    let wrong = say(&market, &["config", "set", "policy.max_costs", "9 sat"]).await;
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("max_costs"), "{wrong:?}");
    say(&market, &["config", "set", "policy.max_cost", ""]).await;
    say(&market, &["config", "set", "policy.ask_above", "5 sat"]).await;
    let refused = say(&market, &["get", &url]).await;
    assert_eq!((refused.code, market.sold()), (8, 0), "nobody is there to ask: {refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert_eq!(say(&market, &["get", "--yes", &url]).await.code, 0);
    assert_eq!(market.sold(), 1);
    assert_eq!(say(&market, &["config", "check"]).await.code, 0);
    assert!(say(&market, &["config"]).await.stdout.contains("ask_above"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pay_pays_nothing_and_uses_what_was_bought() {
    let market = Market::open().await;
    let refused = market.got("/weather/berlin", &["--no-pay", "--format", "json"]).await;
    assert_eq!((refused.code, market.sold()), (9, 0), "{refused:?}");
    let error = error(&refused);
    assert_eq!((&error["kind"], &error["money_moved"]), (&"payment_required".into(), &"no".into()));
    assert!(error["message"].as_str().unwrap().contains("10 sat"), "{error}");
    market.got("/weather/berlin", &[]).await;
    assert_eq!(market.got("/weather/berlin", &["--no-pay"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_request_that_is_tried_again_is_paid_for_once() {
    let market = Market::open().await;
    let said = market.got("/status/503", &["--retry", "2", "--retry-delay", "0", "-f"]).await;
    assert_eq!(said.code, 22, "{said:?}");
    assert_eq!((market.origin.count("/status/503"), market.sold()), (3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_on_its_way_is_waited_for_even_when_the_time_is_up() {
    let market = Market::open().await;
    let cue = market.buyer.next(Act::PayLate);
    let getting =
        tokio::spawn(run(market.get("/weather/berlin", &["-m", "4", "--format", "json"])));
    cue.arrived().await;
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    cue.proceed();
    let said = getting.await.unwrap();
    assert_eq!(said.code, 28, "{said:?}");
    let error = error(&said);
    assert_eq!((&error["kind"], &error["money_moved"]), (&"timeout".into(), &"yes".into()));
    assert_eq!(error["safe_to_retry"], true);
    assert_eq!(market.got("/weather/berlin", &[]).await.code, 0);
    assert_eq!(market.sold(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_wallet_pays_and_the_preimage_completes_it() {
    let market = Market::open().await;
    let url = market.url("/weather/berlin");
    let line = ["get", "--print-invoice", "--network", "regtest", "--format", "json", &url];
    let asked = say(&market, &line).await;
    assert_eq!(asked.code, 7, "{asked:?}");
    let invoice = asked.json()["invoice"].as_str().unwrap().to_owned();
    let again = say(&market, &line).await;
    assert_eq!(
        (again.code, again.json()["invoice"].as_str().unwrap()),
        (7, invoice.as_str()),
        "no second one"
    );

    let invoice = Invoice::parse(&invoice).unwrap();
    let (max_fee, patience) = (Msat::ZERO, Duration::from_secs(60));
    let order = PayOrder { invoice: &invoice, max_fee, patience };
    let paid = market.buyer.payer().pay(order).await.unwrap();
    let file = market.folder.path().join("preimage");
    std::fs::write(&file, paid.preimage.expose_hex()).unwrap();
    let on_the_line =
        say(&market, &["get", "--preimage", &"0".repeat(64), "--network", "regtest", &url]).await;
    assert_eq!(on_the_line.code, 2, "a command line is no place for it");
    let said =
        say(&market, &["get", "--preimage", "file:preimage", "--network", "regtest", &url]).await;
    assert_eq!((said.code, market.sold()), (0, 1), "{said:?}");
    assert!(said.stdout.contains("/weather/berlin"));
    assert_eq!(say(&market, &["get", &url]).await.code, 0, "the token is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_said_on_the_way_shows_the_proof() {
    let market = Market::open().await;
    let said = market.got("/weather/berlin", &["-v", "--trace", "trace"]).await;
    let trace = std::fs::read_to_string(market.folder.path().join("trace")).unwrap();
    let hash = &market.seller.received()[0].0.to_string();
    let opens =
        say(&market, &["tokens", "show", hash, "--show-secrets", "--format", "json"]).await.json();
    let preimage = opens["authorization"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    assert!(!said.stderr.contains(&preimage) && !trace.contains(&preimage));
    assert!(trace.contains("authorization: (secret)"), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_manual_says_what_the_numbers_mean() {
    let market = Market::open().await;
    assert_eq!(say(&market, &["man", "--folder", "man1"]).await.code, 0);
    let page = std::fs::read_to_string(market.folder.path().join("man1/tollway-get.1")).unwrap();
    for needed in ["max\\-cost", "Exit codes", "28 took too long"] {
        assert!(page.contains(needed), "{needed}");
    }
    assert!(market.folder.path().join("man1/tollway-tokens-list.1").exists());
    assert_eq!(say(&market, &["man", "nonsense"]).await.code, 2);
    for shell in ["bash", "zsh", "fish"] {
        assert!(say(&market, &["completions", shell]).await.stdout.contains("max-cost"), "{shell}");
    }
    let tget = say(&market, &["completions", "bash", "--name", "tget"]).await;
    assert!(tget.stdout.contains("tget"), "{tget:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_is_taken_to_another_wallet() {
    let market = Market::open().await;
    market.got("/weather/berlin", &[]).await;
    let exported = say(&market, &["wallet", "export", "all.json"]).await;
    assert_eq!(exported.code, 0, "{exported:?}");
    let file = std::fs::metadata(market.folder.path().join("all.json")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o777, 0o600);
    assert_eq!(
        say(&market, &["wallet", "export", "all.json"]).await.code,
        1,
        "nothing is written over"
    );

    let other = ["--wallet", "other.sqlite"];
    let line = [&["wallet", "import", "all.json", "--format", "json"], &other[..]].concat();
    assert_eq!(say(&market, &line).await.json()["added"], 1);
    assert_eq!(say(&market, &line).await.json()["known"], 1);
    let url = market.url("/weather/berlin");
    let said = say(&market, &[&["get", &url], &other[..]].concat()).await;
    assert_eq!((said.code, market.sold()), (0, 1), "{said:?}");
    std::fs::write(market.folder.path().join("junk"), "junk").unwrap();
    assert_eq!(say(&market, &["wallet", "import", "junk"]).await.code, 2);
    assert_eq!(
        say(&market, &["wallet", "import", "--origin", "https://a.example", "junk"]).await.code,
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_are_shown_before_anything_is_bought() {
    let market = Market::open().await;
    let found =
        say(&market, &["discover", &market.url("/weather/berlin"), "--format", "json"]).await;
    assert_eq!(found.code, 0, "{found:?}");
    let found = found.json();
    let offers = found["offers"].as_array().unwrap();
    let has = |source: &str| {
        offers.iter().any(|offer| offer["source"] == source && offer["price_msat"] == 10_000)
    };
    assert!(has("l402.json") && has("402"), "{found}");
    assert_eq!(market.sold(), 0);
    let dear = say(&market, &["discover", &market.url("/"), "--max-cost", "9"]).await;
    assert!(dear.stdout.contains("free") && !dear.stdout.contains("10 sat"), "{dear:?}");
}
