//! `tollway node pay` under the user's own policy and budgets.

use std::time::Duration;

use l402::{Invoice, Invoicer as _, Msat};
use serde_json::json;

use crate::market::{Market, run};
use crate::run::{Said, tollway};
use crate::staying::private;

const POLICY: &str = "\
[policy]
max_cost = \"50 sat\"
ask_above = \"40 sat\"
[[policy.limits]]
most = \"30 sat\"
per = \"day\"
";

async fn invoice(market: &Market, sat: u64) -> Invoice {
    let amount = Msat::from_sat(sat).unwrap();
    market.seller.invoice(amount, "tea", Duration::from_secs(3600)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_paid_within_the_users_policy_and_budgets_and_counted_once() {
    let (market, home) = (Market::open().await, private());
    std::fs::write(home.path().join("config.toml"), POLICY).unwrap();
    let node = market.node();
    let pay = async |invoice: &Invoice, more: &[&str]| -> Said {
        let args = [&["node", "pay", invoice.as_str(), "--node", &node, "--format", "json"], more];
        run(tollway(home.path(), args.concat())).await
    };
    let spent = async || {
        let said = run(tollway(home.path(), ["budget", "show", "--format", "json"])).await;
        said.json().to_string()
    };
    let first = invoice(&market, 10).await;
    for _ in 0..2 {
        let said = pay(&first, &["--max-fee", "1"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(said.json()["amount_msat"], json!(10_000));
    }
    assert!(spent().await.contains("\"spent_msat\":10000"), "{}", spent().await);

    let second = invoice(&market, 15).await;
    let said = pay(&second, &["--max-fee", "6"]).await;
    assert_eq!(said.code, 8, "20 sat are left, and it may cost 21: {said:?}");
    assert!(said.stderr.contains("over_budget"), "{said:?}");
    assert_eq!(pay(&second, &["--max-fee", "5"]).await.code, 0);
    assert!(spent().await.contains("\"spent_msat\":25000"), "{}", spent().await);

    let dear = invoice(&market, 51).await;
    let said = pay(&dear, &["--max-cost", "1000", "--max-fee", "0"]).await;
    assert_eq!(said.code, 8, "a flag never widens the policy: {said:?}");
    let asked = invoice(&market, 41).await;
    let said = pay(&asked, &["--max-fee", "0"]).await;
    assert_eq!(said.code, 8, "nobody is there to be asked: {said:?}");
    assert!(said.stderr.contains("--yes"), "{said:?}");

    // What the node refuses is given back.
    let file = home.path().join("config.toml");
    std::fs::write(&file, "[[policy.limits]]\nmost = \"5000 sat\"\nper = \"day\"\n").unwrap();
    let beyond = invoice(&market, 4_000).await;
    let said = pay(&beyond, &[]).await;
    assert_eq!(said.code, 3, "it has not got as much: {said:?}");
    assert!(spent().await.contains("\"held_msat\":0"), "{}", spent().await);
    std::fs::write(&file, "[policy]\nhosts = [\"shop.example\"]\n").unwrap();
    let said = pay(&invoice(&market, 1).await, &[]).await;
    assert_eq!(said.code, 8, "nobody else is paid: {said:?}");
}
