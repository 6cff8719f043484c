//! Who comes too often waits, and nobody makes us write bills without end.

use std::sync::Arc;

use testkit::Origin;
use tokio::task::JoinSet;
use tollway_gateway::Config;

use crate::raw::{self, Raw};
use crate::shop::{Answer, Shop, l402};

fn text(origin: &Origin, top: &str, keys: &str) -> String {
    let upstream = origin.url("");
    format!("{top}\n[[service]]\nname='api'\nprice='10 sat'\nupstream='{upstream}'\n{keys}\n")
}

async fn shop(top: &str, keys: &str) -> Shop {
    Shop::configured(|origin| text(origin, top, keys)).await
}

fn wait(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert!(!answer.headers.contains_key("www-authenticate"), "{answer:?}");
    answer.lines("retry-after")[0].parse().unwrap()
}

#[tokio::test]
async fn nobody_has_bills_written_without_end() {
    let shop = shop("unpaid_per_ip = '3/1h'", "").await;
    for _ in 0..3 {
        assert_eq!(shop.get("/x", &[]).await.status, 402);
    }
    for _ in 0..20 {
        assert!(wait(&shop.get("/x", &[]).await) > 1000);
    }
    assert_eq!(shop.seller.invoices(), 3);
    // Who has paid is not concerned.
    let paid = l402(&shop.mint(&["services=api:0"]));
    assert_eq!(shop.get("/x", &[("authorization", &paid)]).await.status, 200);
}

#[tokio::test]
async fn junk_credentials_are_no_way_around_the_limit_on_bills() {
    let shop = shop("unpaid_per_ip = 'off'\nunpaid_total = '2/1h'", "").await;
    let asked = async |credential: &str| {
        shop.get("/x", &[("authorization", credential)]).await.status.as_u16()
    };
    let expired = l402(&shop.mint(&["services=api:0", "api_valid_until=1"]));
    assert_eq!((asked("L402 junk").await, asked(&expired).await), (402, 402));
    assert_eq!((asked("L402 junk").await, asked("L402 a:b").await), (429, 429));
    assert_eq!(shop.seller.invoices(), 2);
}

#[tokio::test]
async fn a_hundred_thousand_junk_credentials_cost_no_invoice() {
    let shop = shop("unpaid_per_ip = '1/1h'", "").await;
    assert_eq!(shop.get("/x", &[]).await.status, 402);
    let mut raw = Raw::connect(shop.address).await;
    for round in 0..1000 {
        let mut batch = String::new();
        for number in 0..100 {
            let junk = format!("authorization: L402 {round:x}x{number:x}:{number:064x}");
            batch.push_str(&raw::get("/x", &[&junk]));
        }
        raw.write(&batch).await;
        for _ in 0..100 {
            let (head, _) = raw.response().await;
            assert!(head.starts_with("HTTP/1.1 429"), "{head}");
        }
    }
    assert_eq!((shop.seller.invoices(), shop.hits()), (1, 0));
}

#[tokio::test]
async fn a_limit_by_token_is_each_tokens_own() {
    let keys = "[[service.limit]]\nrate = '2/1h'\nby = 'token'";
    let shop = shop("", keys).await;
    let tokens = [l402(&shop.buy("/x").await), l402(&shop.buy("/x").await)];
    for token in &tokens {
        let headers = [("authorization", token.as_str())];
        for _ in 0..2 {
            assert_eq!(shop.get("/x", &headers).await.status, 200);
        }
        assert!(wait(&shop.get("/x", &headers).await) > 100);
    }
    assert_eq!(shop.hits(), 4);
}

#[tokio::test]
async fn a_limit_by_address_counts_free_requests_too() {
    let keys = "free = '/free'\n[[service.limit]]\nrate = '1/1h'\nburst = 3\npath = '/free'";
    let shop = shop("", keys).await;
    for _ in 0..3 {
        assert_eq!(shop.get("/free", &[]).await.status, 200);
    }
    wait(&shop.get("/free", &[]).await);
    let paid = l402(&shop.mint(&["services=api:0"]));
    assert_eq!(shop.get("/x", &[("authorization", &paid)]).await.status, 200);
}

#[tokio::test]
async fn who_comes_too_often_loses_no_use_by_it() {
    let shop = shop("", "[[service.limit]]\nrate = '1/1h'\nby = 'token'").await;
    let counted = l402(&shop.mint(&["services=api:0", "request_count=2"]));
    let headers = [("authorization", counted.as_str())];
    assert_eq!(shop.get("/x", &headers).await.status, 200);
    for _ in 0..5 {
        wait(&shop.get("/x", &headers).await);
    }
    // The limit is lifted; the second use is still there, and no third.
    let config = Config::read(&text(&shop.origin, "", "")).unwrap();
    shop.gateway.replace(&config).unwrap();
    assert_eq!(shop.get("/x", &headers).await.status, 200);
    assert_eq!(shop.get("/x", &headers).await.status, 402);
}

#[tokio::test]
async fn a_new_configuration_forgets_nobody_who_came_too_often() {
    let top = "unpaid_per_ip = '1/1h'";
    let keys = "free = '/free'\n[[service.limit]]\nrate = '1/1h'";
    let shop = shop(top, keys).await;
    assert_eq!(shop.get("/free", &[]).await.status, 200);
    assert_eq!(shop.get("/x", &[]).await.status, 402);
    let again = text(&shop.origin, top, &format!("memo = 'other'\n{keys}"));
    shop.gateway.replace(&Config::read(&again).unwrap()).unwrap();
    wait(&shop.get("/free", &[]).await);
    wait(&shop.get("/x", &[]).await);
}

#[tokio::test]
async fn a_freebie_is_given_back_when_nothing_came_of_it() {
    let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nobody = closed.local_addr().unwrap();
    drop(closed);
    let keys = |upstream: &str| {
        format!("name='api'\nprice='10 sat'\nauth='freebie 1'\nupstream='{upstream}'")
    };
    let down = format!("[[service]]\n{}", keys(&format!("http://{nobody}")));
    let shop = Shop::configured(|_| down).await;
    for _ in 0..3 {
        assert_eq!(shop.get("/x", &[]).await.status, 502, "and never a bill");
    }
    let up = format!("[[service]]\n{}", keys(&shop.origin.url("")));
    shop.gateway.replace(&Config::read(&up).unwrap()).unwrap();
    assert_eq!(shop.get("/x", &[]).await.status, 200);
    assert_eq!(shop.get("/x", &[]).await.status, 402);
    // One that had to wait for another reason is given back, too.
    let limited =
        up.replace("freebie 1", "freebie 2") + "\n[[service.limit]]\nrate = '1/1h'\nby = 'ip'";
    shop.gateway.replace(&Config::read(&limited).unwrap()).unwrap();
    assert_eq!(shop.get("/x", &[]).await.status, 200);
    let more = limited.replace("freebie 2", "freebie 3");
    shop.gateway.replace(&Config::read(&more).unwrap()).unwrap();
    for _ in 0..3 {
        wait(&shop.get("/x", &[]).await);
    }
    let unlimited = up.replace("freebie 1", "freebie 3");
    shop.gateway.replace(&Config::read(&unlimited).unwrap()).unwrap();
    assert_eq!(shop.get("/x", &[]).await.status, 200);
    assert_eq!(shop.get("/x", &[]).await.status, 402);
}

#[tokio::test]
async fn a_few_requests_cost_nothing_and_no_more_of_them() {
    let shop = Arc::new(shop("", "auth = 'freebie 5'").await);
    let mut clients = JoinSet::new();
    for _ in 0..40 {
        let shop = Arc::clone(&shop);
        clients.spawn(async move { shop.get("/x", &[]).await.status.as_u16() });
    }
    let statuses = clients.join_all().await;
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(402)), (5, 35));
    let paid = l402(&shop.mint(&["services=api:0"]));
    assert_eq!(shop.get("/x", &[("authorization", &paid)]).await.status, 200);
    assert_eq!(shop.hits(), 6);
}
