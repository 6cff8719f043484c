//! Counted and revoked tokens at real gateways, one or two, with the store up or down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use l402::{Msat, Token};
use tokio::task::JoinSet;
use tollway_gateway::Config;
use tollway_gateway::store::{Pick, StoreUrl};

use super::server::{Kind, Postgres, Redis, Server};
use super::{Fixture, memory, postgres, redis, sqlite};
use crate::shop::{self, Answer, Shop, l402};

/// A gateway with this store, in front of an origin of its own.
async fn shop(url: &str) -> Shop {
    Shop::configured(|origin| service(url, &origin.url(""))).await
}

fn service(store: &str, upstream: &str) -> String {
    format!(
        "store = '{store}'\n[[service]]\nname = 'api'\nprice = '10 sat'\nupstream = '{upstream}'"
    )
}

fn counted(shop: &Shop, uses: u32) -> String {
    l402(&shop.mint(&["services=api:0", &format!("request_count={uses}")]))
}

async fn with(shop: &Shop, credential: &str) -> Answer {
    shop.get("/x", &[("authorization", credential)]).await
}

#[tokio::test]
async fn a_counted_token_opens_as_often_as_it_says_and_then_is_for_sale_again() {
    for fixture in [memory().await, sqlite().await].into_iter().flatten() {
        let shop = shop(fixture.url()).await;
        let credential = counted(&shop, 2);
        for _ in 0..2 {
            assert_eq!(with(&shop, &credential).await.status, 200);
        }
        let spent = with(&shop, &credential).await;
        assert!(spent.body.contains("no use left"), "{}", spent.body);
        assert_eq!(spent.challenge().invoice.amount(), Msat::from_sat(10).unwrap());
        // Narrowing it further starts no fresh count.
        let (token, preimage) = credential[5..].split_once(':').unwrap();
        let mut narrower = Token::new(token).unwrap().macaroons().unwrap().remove(0);
        narrower.narrow("method=GET").unwrap();
        let narrower = format!("L402 {}:{preimage}", narrower.to_base64());
        assert_eq!(with(&shop, &narrower).await.status, 402);
        assert_eq!(shop.hits(), 2);
    }
}

#[tokio::test]
async fn a_use_is_given_back_when_the_upstream_could_not_be_reached() {
    let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let shop = Shop::configured(|_| service("memory:", &nowhere)).await;
    let credential = counted(&shop, 1);
    for _ in 0..3 {
        assert_eq!(with(&shop, &credential).await.status, 502);
    }
    let config = Config::read(&service("memory:", &shop.origin.url(""))).unwrap();
    shop.gateway.replace(&config).unwrap();
    assert_eq!(with(&shop, &credential).await.status, 200, "none of its uses is gone");
    assert_eq!(with(&shop, &credential).await.status, 402);
}

async fn act_as_one(fixture: Fixture) {
    let shops = [Arc::new(shop(fixture.url()).await), Arc::new(shop(fixture.url()).await)];
    let single: Vec<String> = (0..20)
        .map(|number| {
            let caveats = ["services=api:0", "request_count=1", &format!("n={number}")];
            // What comes before the count makes it another one.
            l402(&shops[0].mint(&[caveats[0], caveats[2], caveats[1]]))
        })
        .collect();
    let many = counted(&shops[0], 30);
    let mut requests = JoinSet::new();
    for number in 0..120 {
        let shop = Arc::clone(&shops[number % 2]);
        let credential = if number < 60 { many.clone() } else { single[number % 20].clone() };
        requests.spawn(async move {
            let headers = [("authorization", credential.as_str())];
            let request = shop.request("GET", "/x", &headers);
            let answer = Answer::read(shop::client().request(request).await.unwrap()).await;
            assert!(matches!(answer.status.as_u16(), 200 | 402), "{answer:?}");
            (number < 60, answer.status == 200)
        });
    }
    let answers = requests.join_all().await;
    let passed = |many: bool| answers.iter().filter(|answer| **answer == (many, true)).count();
    assert_eq!((passed(true), passed(false)), (30, 20));
    assert_eq!(shops[0].hits() + shops[1].hits(), 50, "and no more reached the upstreams");
}

/// Of sixty requests at once at two gateways, thirty to each path, as many pass as one gateway allows.
async fn allow_as_one(fixture: &Fixture) {
    // Windows so long that none ends while this runs.
    let text = |url: &str, upstream: &str| {
        let text = service(url, upstream);
        format!(
            "unpaid_total = '14/20000d'\nunpaid_shared = true\n{text}\nauth = 'freebie 7'\n\
             freebie_window = '20000d'\n[[service.limit]]\nrate = '11/20000d'\nby = 'token'\npath = '/limited'\nshared = true\n"
        )
    };
    let open = async || {
        let shop = Shop::configured(|origin| text(fixture.url(), &origin.url(""))).await;
        Arc::new(shop)
    };
    let shops = [open().await, open().await];
    let paid = l402(&shops[0].mint(&["services=api:0"]));
    let mut requests = JoinSet::new();
    for number in 0..60 {
        let (shop, limited) = (Arc::clone(&shops[number % 2]), number < 30);
        let paid = paid.clone();
        requests.spawn(async move {
            let headers: &[_] = if limited { &[("authorization", paid.as_str())] } else { &[] };
            let path = if limited { "/limited" } else { "/x" };
            let request = shop.request("GET", path, headers);
            let answer = Answer::read(shop::client().request(request).await.unwrap()).await;
            if answer.status == 429 {
                assert_eq!(answer.lines("retry-after").len(), 1, "{answer:?}");
            }
            (limited, answer.status.as_u16())
        });
    }
    let answers = requests.join_all().await;
    let count = |limited: bool, status: u16| {
        answers.iter().filter(|answer| **answer == (limited, status)).count()
    };
    assert_eq!((count(true, 200), count(true, 429)), (11, 19), "the limit, together");
    assert_eq!(count(false, 200), 7, "the freebies, together");
    assert_eq!((count(false, 402), count(false, 429)), (14, 9), "and the bills for the rest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_on_one_file_count_as_one() {
    let fixture = sqlite().await.unwrap();
    allow_as_one(&fixture).await;
    act_as_one(fixture).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_on_one_postgres_count_as_one() {
    if let Some(fixture) = postgres().await {
        allow_as_one(&fixture).await;
        act_as_one(fixture).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_on_one_redis_count_as_one() {
    if let Some(fixture) = redis().await {
        allow_as_one(&fixture).await;
        act_as_one(fixture).await;
    }
}

/// While the store is down: plain tokens go on, counted ones get 503, and nobody gets a bill.
async fn survives_its_store<K: Kind>() {
    let Some(server) = Server::start::<K>().await else { return };
    let url = server.fresh().await;
    let shop = shop(&url).await;
    let (plain, three) = (l402(&shop.buy("/x").await), counted(&shop, 3));
    assert_eq!(with(&shop, &three).await.status, 200);
    let invoices = shop.seller.invoices();
    server.crash();
    for _ in 0..3 {
        assert_eq!(with(&shop, &plain).await.status, 200);
        let refused = with(&shop, &three).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.lines("retry-after"), ["5"]);
        assert!(refused.lines("www-authenticate").is_empty());
    }
    assert_eq!((shop.seller.invoices(), shop.hits()), (invoices, 4));
    // Whoever comes with nothing can still buy.
    assert_eq!(shop.get("/x", &[]).await.status, 402);
    server.run();
    server.ready(&url).await;
    let mut passed = 0;
    let started = Instant::now();
    // A connection that broke is noticed when it is used.
    loop {
        match with(&shop, &three).await.status.as_u16() {
            200 => passed += 1,
            503 => assert!(started.elapsed() < Duration::from_secs(30), "it does not come back"),
            402 => break,
            other => panic!("{other}"),
        }
    }
    assert_eq!(passed, 2, "what was counted before the crash is counted after it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_survives_its_postgres() {
    survives_its_store::<Postgres>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_survives_its_redis() {
    survives_its_store::<Redis>().await;
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_at_any_gateway() {
    let fixture = sqlite().await.unwrap();
    let (one, other) = (shop(fixture.url()).await, shop(fixture.url()).await);
    let credential = l402(&one.buy("/x").await);
    for shop in [&one, &other] {
        assert_eq!(with(shop, &credential).await.status, 200);
    }
    let token = Token::new(credential[5..].split(':').next().unwrap()).unwrap();
    let macaroon = token.macaroons().unwrap().remove(0);
    let id = l402::Identifier::parse(macaroon.identifier()).unwrap().token_id;
    one.gateway.revoke(id, None).await.unwrap();
    let refused = with(&one, &credential).await;
    assert_eq!(refused.status, 402);
    assert!(refused.body.contains("revoked"), "{}", refused.body);
    // Another process hears of it within seconds, and one that starts now at once.
    assert_eq!(with(&shop(fixture.url()).await, &credential).await.status, 402);
    let started = Instant::now();
    while with(&other, &credential).await.status == 200 {
        assert!(started.elapsed() < Duration::from_secs(30), "it does not hear of it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(with(&one, &l402(&one.buy("/x").await)).await.status, 200, "others still open");
}

#[tokio::test]
async fn what_was_asked_for_and_paid_is_written_down() {
    let fixture = sqlite().await.unwrap();
    let mut shop = shop(fixture.url()).await;
    let unpaid = shop.get("/x", &[]).await.challenge();
    let credential = l402(&shop.buy("/x").await);
    for _ in 0..3 {
        assert_eq!(with(&shop, &credential).await.status, 200);
    }
    shop.stop();
    assert_eq!(shop.stopped().await.cut, 0);
    let store = StoreUrl::parse(fixture.url()).unwrap().open().await.unwrap();
    let bills = store.bills(&Pick { limit: 10, ..Pick::default() }).await.unwrap();
    let [a, b] = &bills[..] else { panic!("{bills:?}") };
    let hash = unpaid.invoice.payment_hash();
    let (paid, unpaid) = if a.hash == hash { (b, a) } else { (a, b) };
    assert_eq!((unpaid.hash, unpaid.settled), (hash, None));
    assert!(paid.settled.is_some() && paid.token.is_some());
    assert_eq!((paid.service.as_str(), paid.price), ("api", Msat::from_sat(10)));
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_opens_no_gateway() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("redis+unix://{}/none.sock", folder.path().display());
    let config = Config::read(&service(&url, "http://127.0.0.1:1")).unwrap();
    let (_, seller) = testkit::FakeNetwork::pair();
    let keyring = l402::Keyring::new(l402::MasterKey::new([7; 32]), vec![]);
    let error = tollway_gateway::Gateway::open(&config, seller.invoicer(), keyring).await;
    assert!(error.unwrap_err().to_string().contains("redis store failed to connect"));
}
