//! What changes on the way to the upstream and back, and what may not pass.

use http::Response;
use http_body_util::{BodyExt, Full};
use tollway_gateway::{Config, Gateway, OpenError};

use crate::odd::Odd;
use crate::raw::Raw;
use crate::shop::{Shop, l402};

#[tokio::test]
async fn a_path_is_rewritten_and_what_was_priced_is_what_is_sent() {
    let shop = Shop::with("strip_prefix = '/v1'\nadd_prefix = '/api'\nfree = '/v1/free'").await;
    assert_eq!(shop.get("/v1/free?a=b", &[]).await.body, "origin: GET /api/free\n");
    assert_eq!(shop.origin.received()[0].uri, "/api/free?a=b");
    assert_eq!(shop.get("/free", &[]).await.status, 402);
    assert_eq!(shop.get("/v1/paid", &[]).await.status, 402);
    // Where one reading has the prefix and the other has not, nobody is asked to pay first.
    assert_eq!(shop.get("/%761/x", &[]).await.status, 400);
    let paid = l402(&shop.mint(&["services=api:0", "path_prefix=/v1"]));
    let answer = shop.get("/v1", &[("authorization", &paid)]).await;
    assert_eq!(answer.body, "origin: GET /api/\n");
}

#[tokio::test]
async fn headers_are_set_and_taken_out_on_both_ways() {
    let odd = Odd::answering(|request| {
        let seen = |name: &str| {
            let value = request.headers().get(name).map(|value| value.to_str().unwrap());
            format!("{name}={};", value.unwrap_or("none"))
        };
        let body = ["x-key", "authorization", "x-debug", "host"].map(seen).concat();
        Response::builder()
            .header("server", "odd/1.0")
            .header("x-internal", "1")
            .body(Full::from(body))
            .unwrap()
    });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "hunter2\n").unwrap();
    let keys = format!(
        "remove_request_headers = ['x-debug']\nremove_response_headers = ['x-internal']\n\
         [service.request_headers]\nx-key = 'file:{}'\nAuthorization = 'Bearer {{file:{}}}'\n\
         Host = 'inner.example'\n[service.response_headers]\nserver = 'tollway'",
        file.display(),
        file.display()
    );
    let odd = odd.await;
    let shop = Shop::configured(|_| odd.service(&keys)).await;
    let headers = [("x-key", "forged"), ("authorization", "Basic x"), ("x-debug", "1")];
    let answer = shop.get("/", &headers).await;
    assert_eq!(
        answer.body,
        "x-key=hunter2;authorization=Bearer hunter2;x-debug=none;host=inner.example;"
    );
    assert_eq!(answer.lines("server"), ["tollway"]);
    assert!(!answer.headers.contains_key("x-internal"));
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_when_the_gateway_is_opened() {
    let shop = Shop::open().await;
    let config = |value: &str| {
        let text = format!(
            "[[service]]\nname='a'\nauth='off'\nupstream='http://h'\n\
             request_headers = {{ x-key = '{value}' }}"
        );
        Config::read(&text).unwrap()
    };
    let open = async |value: &str| {
        let keyring = shop.keyring.clone();
        let env = |name: &str| (name == "KEY").then(|| "hunter2\nhunter2".to_owned());
        Gateway::open_with(&config(value), shop.seller.invoicer(), keyring, env).await
    };
    for value in ["env:OTHER", "file:/nowhere/at/all", "env:KEY"] {
        let error = open(value).await.unwrap_err();
        assert!(matches!(error, OpenError::Header { .. }), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    assert!(shop.gateway.replace(&config("env:OTHER")).is_err(), "and the old one stays");
    assert_eq!(shop.get("/free", &[]).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_before_anybody_pays() {
    let shop = Shop::with("body_limit = '1 KiB'\nfree = '/echo'").await;
    let post = async |path: &str, length: usize| {
        let mut raw = Raw::connect(shop.address).await;
        raw.write(format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n"))
            .await;
        raw.write("x".repeat(length)).await;
        raw.head().await[9..12].to_owned()
    };
    assert_eq!(post("/echo", 1024).await, "200");
    assert_eq!(post("/echo", 1025).await, "413");
    assert_eq!(post("/paid", 1025).await, "413");
    assert_eq!((shop.hits(), shop.seller.invoices()), (1, 0));
}

#[tokio::test]
async fn a_body_that_does_not_say_its_length_is_cut_off_at_the_limit() {
    let shop = Shop::with("body_limit = '1 KiB'\nfree = '/echo'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    for _ in 0..3 {
        raw.write(format!("200\r\n{}\r\n", "x".repeat(0x200))).await;
    }
    assert!(raw.head().await.starts_with("HTTP/1.1 413"));
    assert_eq!(shop.hits(), 0, "the upstream never saw a whole request");
}

#[tokio::test]
async fn an_answer_that_stands_still_is_broken_off() {
    let shop = Shop::with("free = '/drip'\nidle_timeout = '50ms'").await;
    let request = shop.request("GET", "/drip", &[]);
    let mut body = shop.http.request(request).await.unwrap().into_body();
    shop.origin.drip();
    assert!(body.frame().await.unwrap().is_ok());
    assert!(body.frame().await.unwrap().is_err(), "half an answer does not look whole");
    shop.origin.quiet().await;
}

#[tokio::test]
async fn a_path_without_invoices_is_refused_and_costs_no_invoice() {
    let shop = Shop::with("no_invoice = ['/stream/*']").await;
    let refused = shop.get("/stream/x", &[]).await;
    assert_eq!((refused.status.as_u16(), refused.lines("www-authenticate")), (401, vec!["L402"]));
    assert_eq!(shop.seller.invoices(), 0);
    let paid = l402(&shop.buy("/x").await);
    assert_eq!(shop.get("/stream/x", &[("authorization", &paid)]).await.status, 200);
}

#[tokio::test]
async fn an_invoice_says_what_it_is_for() {
    let shop = Shop::with("memo = '{method} {path} at {service}, {price}'").await;
    let invoice = shop.get("/x/y?secret", &[]).await.challenge().invoice;
    assert_eq!(invoice.description().as_deref(), Some("GET /x/y at api, 10 sat"));
}
