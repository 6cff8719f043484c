//! `tollway resume`: what was left open is ended by the node's word, and what was paid for and has not
//! come is got, paying nothing.

use testkit::Act;

use crate::market::{Market, run};
use crate::run::{Said, tollway};

async fn resume(market: &Market, more: &[&str]) -> Said {
    let node = market.node();
    let line = [&["resume", "--node", &node], more].concat();
    run(tollway(market.folder.path(), line)).await
}

/// The last request that came through the gateway.
fn asked(market: &Market) -> String {
    market.origin.received().last().unwrap().uri.to_string()
}

/// Pays, and does not learn it.
async fn buy_in_vain(market: &Market, path: &str, more: &[&str]) {
    market.buyer.next(Act::LoseReply);
    let said = market.got(path, more).await;
    assert_eq!((said.code, market.sold()), (7, 1), "{said:?}");
    assert!(market.origin.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_open_is_ended_by_the_nodes_word_and_got() {
    let market = Market::open().await;
    assert!(resume(&market, &[]).await.stderr.contains("nothing is left open"));
    let cue = market.buyer.next(Act::PayLate);
    let path = "/weather/berlin?days=3";
    assert_eq!(market.got(path, &["--patience", "1"]).await.code, 7);
    let early = resume(&market, &[]).await;
    assert_eq!((early.code, early.stdout.as_str()), (7, ""), "{early:?}");
    cue.proceed();
    let ended = resume(&market, &[]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(ended.stdout.trim_end(), "origin: GET /weather/berlin", "{ended:?}");
    assert!(ended.stderr.contains("the proof is in the wallet"), "{ended:?}");
    assert!(!ended.stderr.contains("not delivered"), "{ended:?}");
    assert_eq!(asked(&market), path, "with the query that it was asked with");

    assert!(resume(&market, &[]).await.stderr.contains("nothing is left open"));
    assert_eq!(market.got(path, &[]).await.code, 0);
    assert_eq!((market.sold(), market.buyer.orders().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_for_and_did_not_come_goes_where_it_is_told() {
    let market = Market::open().await;
    buy_in_vain(&market, "/weather/berlin?days=3", &[]).await;
    let none = resume(&market, &["--no-fetch", "--format", "json"]).await;
    assert_eq!(none.json()["undelivered"].as_array().unwrap().len(), 1, "{none:?}");
    let other = resume(&market, &[&market.url("/weather/paris")]).await;
    assert_eq!((other.code, other.stdout.as_str()), (0, ""), "{other:?}");
    assert!(other.stderr.contains("paid and not delivered"), "{other:?}");
    let posted = resume(&market, &["-d", "x=1"]).await;
    assert_eq!(posted.code, 2, "{posted:?}");
    assert!(market.origin.received().is_empty());

    let said = resume(&market, &["-o", "page", "-A", "me", "--format", "json"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let json = said.json();
    assert_eq!(
        (&json["fetched"][0]["payment"]["by"], &json["undelivered"]),
        (&"token".into(), &serde_json::json!([]))
    );
    let page = std::fs::read_to_string(market.folder.path().join("page")).unwrap();
    assert!(page.contains("/weather/berlin"), "{page}");
    assert_eq!(market.origin.received()[0].headers["user-agent"], "me");
    assert_eq!((market.sold(), market.buyer.orders().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_body_is_not_sent_again_by_itself() {
    let market = Market::open().await;
    buy_in_vain(&market, "/forecast", &["-d", "days=3"]).await;
    let said = resume(&market, &[]).await;
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{said:?}");
    let command = format!("tollway get -X POST {}", market.url("/forecast"));
    assert!(said.stderr.contains(&command), "{said:?}");
    assert!(market.origin.received().is_empty());
    let again = market.got("/forecast", &["-d", "days=3"]).await;
    assert_eq!((again.code, market.sold()), (0, 1), "{again:?}");
    assert!(resume(&market, &[]).await.stderr.contains("nothing is left open"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_fails_still_owes_it() {
    let market = Market::open().await;
    assert_eq!(market.got("/status/503", &["-f"]).await.code, 22);
    for _ in 0..2 {
        let said = resume(&market, &["-o", "page"]).await;
        assert_eq!(said.code, 22, "{said:?}");
        assert!(said.stderr.contains("503") && said.stderr.contains("not delivered"), "{said:?}");
        assert!(!market.folder.path().join("page").exists());
    }
    assert_eq!((market.sold(), market.origin.count("/status/503")), (1, 3));
}
