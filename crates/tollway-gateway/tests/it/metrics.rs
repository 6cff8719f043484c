//! The numbers that a gateway counts: what becomes of requests, what is sold, and who is well.

use std::sync::Arc;
use std::time::Duration;

use testkit::Link;
use tokio::net::TcpListener;
use tollway_gateway::Config;

use crate::shop::{Shop, l402};

/// The value of one line, by its name and labels as they are written.
pub(crate) fn value(text: &str, name: &str) -> f64 {
    let line =
        text.lines().find(|line| line.strip_prefix(name).is_some_and(|l| l.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn requests(shop: &Shop, outcome: &str) -> f64 {
    let name = format!("tollway_requests_total{{service=\"api\",outcome=\"{outcome}\"}}");
    value(&shop.gateway.metrics_text(), &name)
}

/// Waits for what is written down behind the requests' backs.
async fn reaches(shop: &Shop, name: &str, wanted: f64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while value(&shop.gateway.metrics_text(), name) != wanted {
        let text = shop.gateway.metrics_text();
        assert!(tokio::time::Instant::now() < deadline, "{name} is not {wanted} in\n{text}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn each_request_is_counted_once_by_what_became_of_it() {
    let keys = "free = '/free'\n[[service.limit]]\nrate = '1/1h'\npath = '/free'";
    let shop = Shop::with(keys).await;
    let credential = l402(&shop.buy("/x").await);
    let paid = [("authorization", credential.as_str())];
    for _ in 0..3 {
        assert_eq!(shop.get("/x", &paid).await.status, 200);
    }
    assert_eq!(shop.get("/fail", &paid).await.status, 502);
    assert_eq!(shop.get("/free", &[]).await.status, 200);
    assert_eq!(shop.get("/free", &[]).await.status, 429);
    shop.seller.set_link(Link::Down);
    assert_eq!(shop.get("/x", &[]).await.status, 503);
    assert_eq!(shop.get("/a/../b", &[]).await.status, 400);
    for (outcome, count) in [
        ("paid", 3.0),
        ("free", 1.0),
        ("asked", 1.0),
        ("limited", 1.0),
        ("failed", 1.0),
        ("upstream_failed", 1.0),
        ("refused", 0.0),
        ("gone", 0.0),
    ] {
        assert_eq!(requests(&shop, outcome), count, "{outcome}");
    }
    let text = shop.gateway.metrics_text();
    let nobody = "tollway_requests_total{service=\"\",outcome=\"refused\"}";
    for (name, count) in [
        (nobody, 1.0),
        ("tollway_request_duration_seconds_count{service=\"api\"}", 8.0),
        ("tollway_request_duration_seconds_bucket{le=\"+Inf\",service=\"api\"}", 8.0),
        ("tollway_challenges_total{service=\"api\",scheme=\"l402\"}", 1.0),
        ("tollway_challenges_total{service=\"api\",scheme=\"payment\"}", 0.0),
        ("tollway_limited_total{service=\"api\",limit=\"requests\"}", 1.0),
        ("tollway_calls_total{of=\"node\",result=\"ok\"}", 1.0),
        ("tollway_calls_total{of=\"node\",result=\"failed\"}", 1.0),
        ("tollway_failing{of=\"node\"}", 1.0),
        ("tollway_failing{of=\"store\"}", 0.0),
        ("tollway_connections", 1.0),
    ] {
        assert_eq!(value(&text, name), count, "{name} in\n{text}");
    }
    shop.seller.set_link(Link::Up);
    assert_eq!(shop.get("/x", &[]).await.status, 402);
    assert_eq!(value(&shop.gateway.metrics_text(), "tollway_failing{of=\"node\"}"), 0.0);
}

#[tokio::test]
async fn revenue_is_what_was_paid_and_each_payment_counts_once() {
    let shop = Shop::with("schemes = ['l402', 'mpp']").await;
    let revenue = "tollway_revenue_msat_total{service=\"api\"}";
    let settled = "tollway_settlements_total{service=\"api\"}";
    for round in 1..=2 {
        let credential = l402(&shop.buy("/x").await);
        for _ in 0..3 {
            assert_eq!(shop.get("/x", &[("authorization", &credential)]).await.status, 200);
        }
        reaches(&shop, settled, f64::from(round)).await;
        reaches(&shop, revenue, f64::from(round * 10_000)).await;
    }
}

#[tokio::test]
async fn a_payment_that_was_seen_before_a_restart_is_not_counted_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("store = 'sqlite:{}'\n", folder.path().join("g.db").display());
    let text =
        |url: &str| format!("{store}[[service]]\nname='api'\nprice='10 sat'\nupstream='{url}'");
    let settled = "tollway_settlements_total{service=\"api\"}";
    let one = Shop::configured(|origin| text(&origin.url(""))).await;
    let other = Shop::configured(|origin| text(&origin.url(""))).await;
    let old = l402(&one.buy("/x").await);
    assert_eq!(one.get("/x", &[("authorization", &old)]).await.status, 200);
    reaches(&one, settled, 1.0).await;
    let new = l402(&one.buy("/x").await);
    for credential in [&old, &new] {
        assert_eq!(other.get("/x", &[("authorization", credential)]).await.status, 200);
    }
    // They are written in their order, so what comes last is there when all is.
    reaches(&other, settled, 1.0).await;
    reaches(&other, "tollway_revenue_msat_total{service=\"api\"}", 10_000.0).await;
}

#[tokio::test]
async fn the_numbers_have_a_listener_of_their_own_and_survive_a_new_configuration() {
    let shop = Shop::with("free = '/free'").await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Arc::new(tokio::sync::Notify::new());
    let serving = tokio::spawn({
        let (gateway, stop) = (shop.gateway.clone(), Arc::clone(&stop));
        async move { gateway.serve_metrics(listener, stop.notified()).await }
    });
    shop.get("/free", &[]).await;
    let ask = async |path: &str| {
        let request = http::Request::get(format!("http://{address}{path}"));
        shop.send(request.body(http_body_util::Full::default()).unwrap()).await
    };
    let answer = ask("/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(answer.lines("content-type")[0].starts_with("application/openmetrics-text"));
    let free = "tollway_requests_total{service=\"api\",outcome=\"free\"}";
    assert_eq!(value(&answer.body, free), 1.0);
    assert!(answer.body.ends_with("# EOF\n"));
    assert_eq!(ask("/").await.status, 404);
    // The public listener knows nothing of it.
    assert_eq!(shop.get("/metrics", &[]).await.status, 402);
    let url = shop.origin.url("");
    let config = |name: &str| {
        let text = format!("[[service]]\nname='{name}'\nprice='1 sat'\nupstream='{url}'");
        Config::read(&text).unwrap()
    };
    shop.gateway.replace(&config("api")).unwrap();
    shop.gateway.reload_failed();
    let text = ask("/metrics").await.body;
    assert_eq!(value(&text, free), 1.0);
    assert_eq!(value(&text, "tollway_reloads_total{result=\"ok\"}"), 1.0);
    assert_eq!(value(&text, "tollway_reloads_total{result=\"failed\"}"), 1.0);
    shop.gateway.replace(&config("other")).unwrap();
    assert!(!ask("/metrics").await.body.contains("service=\"api\""));
    stop.notify_one();
    serving.await.unwrap();
}

/// Every label is one of ours, whatever is asked for.
#[tokio::test]
async fn no_request_adds_a_line() {
    let shop = Shop::open().await;
    let lines = shop.gateway.metrics_text().lines().count();
    for number in 0..50 {
        let path = format!("/evil{number}");
        let host = format!("h{number}.example");
        shop.get(&path, &[("host", &host), ("x-forwarded-for", "6.6.6.6")]).await;
    }
    assert_eq!(shop.gateway.metrics_text().lines().count(), lines);
}
