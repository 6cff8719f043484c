//! `tollway node …` over a real lnd: what each command prints, and how it ends.

use std::path::Path;

use serde_json::Value;

use super::binary::is_there;
use super::rig::pair;
use crate::market::run;
use crate::run::{Said, tollway};

async fn node(home: &Path, url: &str, args: &[&str]) -> Said {
    let mut all = vec!["node"];
    all.extend(args);
    all.extend(["--node", url]);
    run(tollway(home, all)).await
}

async fn json(home: &Path, url: &str, args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend(["--format", "json"]);
    let said = node(home, url, &all).await;
    assert_eq!(said.code, 0, "{said:?}");
    said.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_looked_at_in_text_and_in_json() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let home = tempfile::tempdir().unwrap();
    let url = pair.buyer.url(&pair.buyer.macaroon("readonly"));
    // A block that has just come makes lnd fall behind for a moment.
    pair.buyer
        .until("lnd is in step", async || {
            json(home.path(), &url, &["info"]).await["synced"] == true
        })
        .await;
    let info = json(home.path(), &url, &["info"]).await;
    assert_eq!((&info["driver"], &info["network"]), (&"lnd".into(), &"regtest".into()));
    let said = node(home.path(), &url, &["info"]).await;
    assert!(said.stdout.contains("in step with the chain"), "{said:?}");
    let balance = json(home.path(), &url, &["balance"]).await;
    assert!(balance["outbound_msat"].as_u64().unwrap() > 0, "{balance}");
    let channels = json(home.path(), &url, &["channels"]).await;
    assert_eq!(channels["channels"][0]["state"], "usable", "{channels}");
    let said = node(home.path(), &url, &["channels"]).await;
    assert!(said.stdout.starts_with("STATE"), "{said:?}");
    let said = node(home.path(), &url, &["address"]).await;
    assert_eq!(said.code, 4, "a readonly macaroon makes no addresses: {said:?}");
    assert!(said.stderr.contains("uri:/lnrpc.Lightning/NewAddress"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_made_and_paid_once_however_often_it_is_paid() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let home = tempfile::tempdir().unwrap();
    let buyer = pair.buyer.url(&pair.buyer.macaroon("admin"));
    let seller = pair.seller.url(&pair.seller.macaroon("invoice"));
    let before = pair.seller.received().await;
    let made = json(home.path(), &seller, &["invoice", "1234 msat", "--memo", "tea"]).await;
    let invoice = made["invoice"].as_str().unwrap();

    let dear = node(home.path(), &buyer, &["pay", invoice, "--max-cost", "1"]).await;
    assert_eq!(dear.code, 8, "{dear:?}");
    let paid = json(home.path(), &buyer, &["pay", invoice, "--show-preimage"]).await;
    assert_eq!((&paid["amount_msat"], &paid["fee_msat"]), (&1_234.into(), &0.into()));
    assert_eq!(paid["payment_hash"], made["payment_hash"]);
    let again = json(home.path(), &buyer, &["pay", invoice, "--show-preimage"]).await;
    assert_eq!(again["preimage"], paid["preimage"]);
    let said = node(home.path(), &buyer, &["pay", invoice]).await;
    assert!(said.stdout.starts_with("paid 1.234 sat"), "{said:?}");
    assert!(!said.stdout.contains(paid["preimage"].as_str().unwrap()), "{said:?}");
    assert!(said.stderr.contains("lncli bakemacaroon"), "an admin macaroon is warned of: {said:?}");
    assert_eq!(pair.seller.received().await.msat() - before.msat(), 1_234);
    let rows = json(home.path(), &buyer, &["payments", "-n", "3"]).await;
    let row = &rows["payments"][0];
    assert_eq!((&row["direction"], &row["state"]), (&"sent".into(), &"paid".into()), "{rows}");

    let broke = json(home.path(), &buyer, &["invoice", "1"]).await;
    let said = node(home.path(), &seller, &["pay", broke["invoice"].as_str().unwrap()]).await;
    assert_eq!(said.code, 2, "an invoice macaroon does not pay: {said:?}");
    assert!(said.stderr.contains("cannot spend"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_what_is_wrong_and_the_command_that_mends_it() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let home = tempfile::tempdir().unwrap();
    let admin = pair.buyer.url(&pair.buyer.macaroon("admin"));
    let said = node(home.path(), &admin, &["doctor", "--for", "pay", "--format", "json"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let found = said.json();
    assert_eq!(found["healthy"], true);
    let verdict = |check: &str| {
        let all = found["findings"].as_array().unwrap().iter();
        all.filter(|finding| finding["check"] == check).map(|it| it["verdict"].clone()).collect()
    };
    let verdicts: [Vec<Value>; 4] = ["reachable", "synced", "clock", "outbound"].map(verdict);
    assert!(verdicts.iter().all(|found| *found == ["good"]), "{found}");
    assert!(verdict("credential").contains(&"warning".into()), "it is the admin's: {found}");

    let narrow = pair.buyer.bake("doctor", &["/lnrpc.Lightning/GetInfo"]).await;
    let said = node(home.path(), &pair.buyer.url(&narrow), &["doctor"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stdout.contains("fix: lncli bakemacaroon --save_to buyer.macaroon"), "{said:?}");
    let nobody = admin.replace(&pair.buyer.rest_port.to_string(), "1");
    let said = node(home.path(), &nobody, &["doctor"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stdout.starts_with("wrong    reachable"), "{said:?}");
    let foreign = format!("{admin}&network=mainnet");
    let said = node(home.path(), &foreign, &["doctor"]).await;
    assert_eq!(said.code, 2, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_comes_from_a_file_or_the_environment_and_never_from_the_url() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let home = tempfile::tempdir().unwrap();
    let macaroon = std::fs::read(pair.buyer.macaroon("readonly")).unwrap();
    let hex = hex::DisplayHex::to_lower_hex_string(&macaroon[..]);
    let url = |value: &str| {
        let cert = pair.buyer.cert();
        let port = pair.buyer.rest_port;
        format!("lnd://127.0.0.1:{port}?cert=file:{}&macaroon={value}", cert.display())
    };
    let by_env = url("env:MY_MACAROON");
    let mut command = tollway(home.path(), ["node", "info", "--node", &by_env]);
    command.env("MY_MACAROON", &hex);
    assert_eq!(run(command).await.code, 0);
    let unset = node(home.path(), &by_env, &["info"]).await;
    assert_eq!(unset.code, 2, "{unset:?}");
    assert!(unset.stderr.contains("MY_MACAROON, which is not set"), "{unset:?}");
    let plain = node(home.path(), &url(&hex), &["info"]).await;
    assert_eq!(plain.code, 2, "{plain:?}");
    assert!(plain.stderr.contains("file:/path/to/it") && !plain.stderr.contains(&hex), "{plain:?}");
}
