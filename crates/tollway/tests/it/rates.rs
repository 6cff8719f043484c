//! Prices in the user's currency: shown where a source of rates answers, and nothing more than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::market::{Market, run};
use crate::run::tollway;

/// Says what a bitcoin costs, and counts who asks.
async fn source(answer: (StatusCode, &'static str)) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let ticker = get(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { answer }
    });
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/ticker/{{currency}}", listener.local_addr().unwrap());
    let router = Router::new().route("/ticker/EUR", ticker);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

fn set(market: &Market, url: &str) {
    let text =
        format!("[rates]\ncurrency = \"EUR\"\nurl = \"{url}\"\npointer = \"/{{currency}}/last\"\n");
    std::fs::write(market.folder.path().join("config.toml"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_is_shown_in_the_users_currency() {
    let market = Market::open().await;
    let (url, asked) = source((StatusCode::OK, r#"{"EUR":{"last":"50000.00"}}"#)).await;
    set(&market, &url);
    let shown = market.got("/weather/berlin", &["--dry-run"]).await;
    assert_eq!(shown.code, 10, "{shown:?}");
    assert!(shown.stdout.contains("worth     ≈ 0.0050 EUR"), "{shown:?}");
    let json = market.got("/weather/berlin", &["--dry-run", "--format", "json"]).await.json();
    assert_eq!(json["worth"], "≈ 0.0050 EUR");
    assert_eq!(asked.load(Ordering::SeqCst), 2);

    let page = market.url("/weather/berlin");
    let listed = run(tollway(market.folder.path(), ["discover", &page])).await;
    assert!(listed.stdout.contains("10 sat ≈ 0.0050 EUR"), "{listed:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);

    assert_eq!(market.got("/free/page", &["--dry-run"]).await.code, 0);
    assert_eq!(market.got("/weather/berlin", &[]).await.code, 0);
    assert_eq!(asked.load(Ordering::SeqCst), 3, "where nothing is shown nobody is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_rate_the_price_is_in_satoshi_and_everything_goes_on() {
    let market = Market::open().await;
    let (broken, _) = source((StatusCode::INTERNAL_SERVER_ERROR, "")).await;
    let (odd, _) = source((StatusCode::OK, r#"{"EUR":{"last":"-1"}}"#)).await;
    let (dear, _) = source((StatusCode::PAYMENT_REQUIRED, "")).await;
    // Nobody listens on port 1.
    for url in [&broken, &odd, &dear, "http://127.0.0.1:1/{currency}"] {
        set(&market, url);
        let shown = market.got("/weather/berlin", &["--dry-run"]).await;
        assert_eq!(shown.code, 10, "{url}: {shown:?}");
        assert!(shown.stdout.starts_with("would pay 10 sat"), "{shown:?}");
        assert!(!shown.stdout.contains("EUR"), "{shown:?}");
    }
    assert_eq!(market.got("/weather/berlin", &["--yes"]).await.code, 0);
}
