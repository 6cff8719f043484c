//! What the gateway that does this job today gets wrong, and this one must not: one test each, where
//! another file's stories do not tell it already. (Those do: dialects, exact millisatoshi and expiry in
//! `paying` and `asking`; credentials and forged addresses in `passing`; gRPC, h2c upstreams and
//! WebSockets in `protocols`; reloads and stops in `stopping`; unverified certificates in `tls`.)

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;

use crate::odd::Odd;
use crate::raw::Raw;
use crate::shop::{self, Answer, Shop, l402};

#[tokio::test]
async fn another_schemes_line_does_not_hide_a_credential_before_or_after_it() {
    let shop = Shop::open().await;
    let ours = l402(&shop.buy("/x").await);
    for lines in [[ours.as_str(), "Bearer x"], ["Bearer x", &ours]] {
        let headers = lines.map(|line| ("authorization", line));
        assert_eq!(shop.get("/x", &headers).await.status, 200, "{lines:?}");
    }
}

#[tokio::test]
async fn another_schemes_line_does_not_hide_a_macaroon_header() {
    let shop = Shop::open().await;
    let preimage = format!("preimage={}", "42".repeat(32));
    let credential = shop.mint(&["services=api:0", &preimage]);
    let token = l402::Token::new(credential.split(':').next().unwrap()).unwrap();
    let bytes = token.macaroons().unwrap()[0].to_bytes();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let headers = [("authorization", "Basic x"), ("grpc-metadata-macaroon", hex.as_str())];
    assert_eq!(shop.get("/x", &headers).await.status, 200);
}

#[tokio::test]
async fn a_credential_with_junk_around_it_is_no_credential() {
    let shop = Shop::open().await;
    let credential = shop.buy("/x").await;
    for junk in [
        format!("Bearer x L402 {credential}"),
        format!("xL402 {credential}"),
        format!("L402 {credential}00"),
        format!("L402 {credential} and more"),
        format!("L402 x{credential}"),
    ] {
        assert_eq!(shop.get("/x", &[("authorization", &junk)]).await.status, 402, "{junk}");
    }
    assert_eq!(shop.hits(), 0);
}

#[tokio::test]
async fn a_path_cannot_write_a_service_into_a_token() {
    let shop = Shop::open().await;
    for path in ["/x:0,other", "/models:generate", "/x=1"] {
        let token = shop.get(path, &[]).await.challenge().token;
        let macaroon = token.macaroons().unwrap().remove(0);
        assert_eq!(macaroon.caveats().collect::<Vec<_>>(), [Some("services=api:0")], "{path}");
        let credential = l402(&shop.buy(path).await);
        assert_eq!(shop.get(path, &[("authorization", &credential)]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn options_is_the_upstreams_to_answer() {
    let shop = Shop::open().await;
    let credential = l402(&shop.buy("/x").await);
    let options = |headers: &[(&str, &str)]| shop.request("OPTIONS", "/x", headers);
    assert_eq!(shop.send(options(&[])).await.status, 402);
    let answer = shop.send(options(&[("authorization", &credential)])).await;
    assert_eq!(answer.body, "origin: OPTIONS /x\n");
}

#[tokio::test]
async fn a_grpc_answer_has_one_content_type() {
    let odd = Odd::answering(|_| {
        let answer = Response::builder().header("content-type", "application/grpc+proto");
        answer.header("grpc-status", "0").body(Full::new(Bytes::new())).unwrap()
    });
    let odd = odd.await;
    let shop = Shop::configured(|_| odd.service("protocol = 'h2'")).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = shop.request("POST", "/x", &[("content-type", "application/grpc")]);
    let answer = Answer::read(client.request(request).await.unwrap()).await;
    assert_eq!(answer.lines("content-type"), ["application/grpc+proto"]);
    assert_eq!(answer.lines("grpc-status"), ["0"]);
}

#[tokio::test]
async fn the_price_is_told_before_the_body_is_read() {
    let shop = Shop::open().await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 402"));
}

#[tokio::test]
async fn connections_to_the_upstream_are_kept_and_used_again() {
    let (odd, connections) = Odd::counting().await;
    let text = odd.service("");
    let shop = Arc::new(Shop::configured(|_| text).await);
    for _ in 0..5 {
        let mut clients = JoinSet::new();
        for _ in 0..20 {
            let shop = Arc::clone(&shop);
            clients.spawn(async move {
                let request = shop.request("GET", "/x", &[]);
                Answer::read(shop::client().request(request).await.unwrap()).await.status
            });
        }
        while let Some(status) = clients.join_next().await {
            assert_eq!(status.unwrap(), 200);
        }
    }
    let opened = connections.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..=40).contains(&opened), "a hundred requests, twenty at a time: {opened}");
}

#[tokio::test]
async fn a_price_of_nothing_is_not_a_price_of_one() {
    let shop = Shop::configured(|origin| {
        format!("[[service]]\nname='a'\nprice='0 msat'\nupstream='{}'", origin.url(""))
    });
    let shop = shop.await;
    assert_eq!((shop.get("/x", &[]).await.status.as_u16(), shop.seller.invoices()), (200, 0));
}
