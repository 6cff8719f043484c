//! A gateway in a process of its own before a real lnd that is killed under load and started again:
//! every bill that was handed out can be paid, and nothing that was paid is lost.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use l402::{Challenge, Offers, PaymentHash};
use testkit::Origin;
use tokio::task::JoinSet;

use super::binary::is_there;
use super::rig::{Lnd, pair};
use crate::market::run;
use crate::run::{plain_http, tollway};
use crate::staying::{Staying, private};

/// As many as come at a time.
const WIDTH: usize = 32;

/// What the callers have heard.
#[derive(Default)]
struct Heard {
    bills: HashMap<PaymentHash, Challenge>,
    come_again: usize,
}

async fn sell(home: &Path, seller: &Lnd, origin: &Origin) -> Staying {
    let node = seller.url(&seller.macaroon("invoice"));
    let text = format!(
        "listen = \"127.0.0.1:0\"\nnode = \"{node}\"\nunpaid_per_ip = \"off\"\nunpaid_total = \"off\"\n[[service]]\nname = \"api\"\n\
         upstream = \"{}\"\nprice = \"10 sat\"\nstrict_settlement = true\n",
        origin.url("")
    );
    std::fs::write(home.join("gateway.toml"), text).unwrap();
    Staying::start(home, &["serve", "--config", "gateway.toml"]).await
}

/// Asks without paying, over and over, until the task is ended.
async fn press(url: String, heard: Arc<Mutex<Heard>>) {
    let http = plain_http();
    loop {
        let answer = http.get(&url).send().await.unwrap();
        match answer.status().as_u16() {
            402 => {
                let offers = Offers::read(answer.headers());
                let bill = offers.challenges.into_iter().next().expect("a bill has an offer");
                heard.lock().unwrap().bills.insert(bill.invoice.payment_hash(), bill);
            }
            503 => {
                assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
                heard.lock().unwrap().come_again += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_lnd_restarted_under_load_honours_every_bill_and_loses_no_payment() {
    if !is_there() {
        return;
    }
    let mut pair = pair().await;
    let (home, origin) = (private(), Origin::start().await);
    let gateway = sell(home.path(), &pair.seller, &origin).await;
    let url = format!("{}/page", gateway.text("/listen"));
    let buyer = pair.buyer.url(&pair.buyer.macaroon("admin"));
    let bought = async |page: &str| {
        let url = format!("{url}/{page}");
        run(tollway(home.path(), ["get", &url, "--node", &buyer, "--format", "json"])).await
    };
    assert_eq!(bought("before").await.code, 0);

    let heard = Arc::new(Mutex::new(Heard::default()));
    let mut callers = JoinSet::new();
    for _ in 0..WIDTH {
        callers.spawn(press(url.clone(), Arc::clone(&heard)));
    }
    let count = |of: fn(&Heard) -> usize| of(&heard.lock().unwrap());
    let bills = |heard: &Heard| heard.bills.len();
    pair.seller.until("bills are handed out", async || count(bills) > 200).await;
    pair.seller.kill();
    pair.buyer
        .until("callers are told to come again", async || count(|it| it.come_again) > 50)
        .await;
    pair.seller.start();
    pair.seller.synced().await;
    let then = count(bills);
    pair.seller.until("bills are handed out again", async || count(bills) > then + 200).await;
    callers.shutdown().await;

    // lnd knows every invoice that was handed out: each can be paid.
    let all: Vec<PaymentHash> = heard.lock().unwrap().bills.keys().copied().collect();
    for hash in &all {
        let known =
            pair.seller.ask(reqwest::Method::GET, &format!("/v1/invoice/{hash}"), None).await;
        let known = known.unwrap_or_else(|error| panic!("a bill that nobody can pay: {error}"));
        assert_eq!(known["state"], "OPEN");
    }
    // What was paid before is good, by the word of an lnd that was started anew, and so is what comes.
    pair.usable().await;
    let again = bought("before").await;
    assert_eq!((again.code, &again.json()["payment"]["by"]), (0, &"token".into()), "{again:?}");
    assert_eq!(bought("after").await.code, 0);
    assert_eq!(gateway.stop("-TERM").await, 0);
}
