//! What the upstream gets of a request, and what the client gets of its answer.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::odd::{self, Odd};
use crate::raw::{Raw, get};
use crate::shop::{Shop, l402};

/// What the upstream saw of these headers, as `name: value` lines, sorted.
async fn seen(shop: &Shop, headers: &[(&str, &str)]) -> Vec<String> {
    let answer = shop.get("/echo", headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let pairs = answer.json()["headers"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let mut lines: Vec<String> =
        pairs.iter().map(|pair| format!("{}: {}", text(&pair[0]), text(&pair[1]))).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn the_upstream_sees_the_request_and_who_sent_it() {
    let shop = Shop::open().await;
    let credential = l402(&shop.buy("/echo").await);
    let headers = [
        ("authorization", credential.as_str()),
        ("authorization", "Bearer mine"),
        ("x-app", "1"),
        ("x-app", "2"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
        ("macaroon", "00"),
    ];
    let host = shop.address.to_string();
    assert_eq!(
        seen(&shop, &headers).await,
        [
            "authorization: Bearer mine".to_owned(),
            format!("host: {host}"),
            "x-app: 1".to_owned(),
            "x-app: 2".to_owned(),
            "x-forwarded-for: 127.0.0.1".to_owned(),
            format!("x-forwarded-host: {host}"),
            "x-forwarded-proto: http".to_owned(),
        ]
    );
}

#[tokio::test]
async fn credentials_stop_here_even_where_nothing_is_asked() {
    let shop = Shop::with("free = '/echo'").await;
    let credential = shop.mint(&["services=api:0"]);
    for value in [l402(&credential), format!("lsat {credential}"), "L402 unreadable".to_owned()] {
        let lines = seen(&shop, &[("authorization", &value)]).await;
        assert!(!lines.iter().any(|line| line.starts_with("authorization")), "{lines:?}");
    }
    let grpc = [("content-type", "application/grpc"), ("token", "cafe"), ("macaroon", "cafe")];
    let lines = seen(&shop, &grpc).await;
    assert!(!lines.iter().any(|line| line.contains("cafe")), "{lines:?}");
}

#[tokio::test]
async fn what_concerns_one_connection_is_not_passed_on() {
    let shop = Shop::with("free = '/echo'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(get(
        "/echo",
        &[
            "connection: keep-alive, x-secret, x-forwarded-for",
            "x-secret: 1",
            "keep-alive: 5",
            "te: trailers, gzip",
            "proxy-authorization: Basic x",
            "upgrade: h2c",
            "http2-settings: x",
            "x-kept: 1",
        ],
    ))
    .await;
    let (_, body) = raw.response().await;
    let echo: serde_json::Value = serde_json::from_str(&body).unwrap();
    let pairs = echo["headers"].as_array().unwrap();
    let mut names: Vec<_> = pairs.iter().map(|pair| pair[0].as_str().unwrap()).collect();
    names.sort_unstable();
    let forwarded = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    assert_eq!(names, [&["connection", "host", "te"][..], &forwarded, &["x-kept"]].concat());
    let value = |name| &pairs.iter().find(|pair| pair[0] == name).unwrap()[1];
    assert_eq!((value("connection"), value("te")), (&"te".into(), &"trailers".into()));
}

#[tokio::test]
async fn method_query_and_body_arrive_as_they_were() {
    let shop = Shop::with("free = '/echo'").await;
    let request = Request::builder().method("PATCH").uri(shop.url("/echo?a=%2F..&b"));
    let request = request.body(Full::new(Bytes::from_static(b"{\"x\":1}"))).unwrap();
    let answer = shop.send(request).await.json();
    assert_eq!((&answer["method"], &answer["path"]), (&"PATCH".into(), &"/echo?a=%2F..&b".into()));
    assert_eq!(answer["body"], "{\"x\":1}");
}

#[tokio::test]
async fn an_upstream_with_a_path_gets_it_in_front() {
    let shop = Shop::configured(|origin| {
        format!("[[service]]\nname='a'\nauth='off'\nupstream='{}'", origin.url("/base/v2/"))
    });
    let answer = shop.await.get("/x/y?z", &[]).await;
    assert_eq!(answer.body, "origin: GET /base/v2/x/y\n");
}

#[tokio::test]
async fn the_upstreams_answer_arrives_as_it_was() {
    let odd = Odd::answering(|_| {
        Response::builder()
            .status(418)
            .header("x-mine", "1")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("www-authenticate", r#"L402 macaroon="a", invoice="b""#)
            .header("www-authenticate", "Basic realm=x")
            .body(Full::from("short and stout"))
            .unwrap()
    });
    let odd = odd.await;
    let shop = Shop::configured(|_| odd.service("")).await;
    let answer = shop.get("/", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (418, "short and stout"));
    assert_eq!(answer.lines("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.lines("www-authenticate"), ["Basic realm=x"], "nobody else's bill");
    for gone in ["connection", "x-hop", "keep-alive"] {
        assert!(!answer.headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test]
async fn a_head_request_gets_the_length_and_no_body() {
    let shop = Shop::with("free = '/echo'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("HEAD /echo HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: "), "{head}");
    raw.write(get("/echo", &[])).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200"), "the connection is still in step");
}

const WITH_TRAILERS: &[u8] = b"HTTP/1.1 200 OK\r\ntrailer: x-checksum\r\n\
    transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-checksum: 42\r\n\r\n";

#[tokio::test]
async fn trailers_come_down() {
    let odd = Odd::saying(WITH_TRAILERS).await;
    let h1 = Shop::configured(|_| odd.service("")).await;
    let h2 = Shop::with("free = '/trailers'\nprotocol = 'h2'").await;
    // An HTTP/2 answer with a length has no room for trailers in HTTP/1.1.
    for (shop, h2) in [(&h1, false), (&h1, true), (&h2, true)] {
        let client = Client::builder(TokioExecutor::new()).http2_only(h2).build_http();
        let request = Request::get(shop.url("/trailers")).header("te", "trailers");
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let body = client.request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["x-checksum"], "42", "{h2}");
    }
}

#[tokio::test]
async fn trailers_go_up() {
    let shop = Shop::with("free = '/mirror'\nprotocol = 'h2'").await;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("7"));
    let trailers = std::future::ready(Some(Ok::<_, Infallible>(trailers)));
    let body = Full::new(Bytes::from_static(b"up")).with_trailers(trailers);
    let request = Request::post(shop.url("/mirror")).header("trailer", "x-sum").body(body).unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let body = client.request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "7");
    assert_eq!(shop.origin.received()[0].headers["trailer"], "x-sum");
}

#[tokio::test]
async fn an_upstream_that_fails_is_named_as_the_cause() {
    let broken = Odd::saying(b"SMTP ready\r\n\r\n").await;
    let nobody = odd::nobody().await;
    let shop = Shop::configured(|origin| {
        let (url, broken, tls) = (origin.url(""), broken.address, origin.address());
        format!(
            "[[service]]\nname='a'\nprice='1 sat'\npath='/a'\nupstream='http://{nobody}'\n\
             [[service]]\nname='b'\nauth='off'\npath='/fail'\nupstream='{url}'\n\
             [[service]]\nname='c'\nauth='off'\npath='/slow'\nupstream='{url}'\nanswer_timeout='20ms'\n\
             [[service]]\nname='d'\nauth='off'\npath='/d'\nupstream='http://{broken}'\n\
             [[service]]\nname='e'\nauth='off'\npath='/e'\nupstream='https://{tls}'"
        )
    });
    let shop = shop.await;
    let paid = l402(&shop.buy("/a").await);
    for (path, status, part) in [
        ("/a", 502, "cannot be reached"),
        ("/fail", 502, "broke off"),
        ("/slow", 504, "did not answer in time"),
        ("/d", 502, "broke off"),
        ("/e", 502, "cannot be reached"),
    ] {
        let answer = shop.get(path, &[("authorization", &paid)]).await;
        assert_eq!(answer.status, status, "{path} {answer:?}");
        assert!(answer.body.contains(part), "{path} {}", answer.body);
        assert!(answer.lines("www-authenticate").is_empty(), "who has paid pays no more");
        assert!(
            !answer.body.contains(&nobody.port().to_string()),
            "addresses are our own business"
        );
    }
    shop.origin.release();
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let shop = Shop::with("free = '/broken'").await;
    let response = shop.http.request(shop.request("GET", "/broken", &[])).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.into_body().collect().await.is_err());
}
