//! HTTP/1.1 and HTTP/2 on either side, gRPC through both, WebSockets, and messages made to be read in
//! two ways.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::odd::Odd;
use crate::raw::{Raw, get};
use crate::shop::{Answer, Http, Shop, l402};

fn h2() -> Http {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}

#[tokio::test]
async fn each_side_speaks_its_own_http() {
    for (protocol, version) in [("h1", Version::HTTP_11), ("h2", Version::HTTP_2)] {
        let shop = Shop::with(&format!("protocol = '{protocol}'")).await;
        let credential = l402(&shop.buy("/echo").await);
        for client in [crate::shop::client(), h2()] {
            let request = shop.request("GET", "/echo", &[("authorization", &credential)]);
            let answer = Answer::read(client.request(request).await.unwrap()).await;
            assert_eq!(answer.status, 200);
        }
        assert!(shop.origin.received().iter().all(|request| request.version == version));
    }
}

#[tokio::test]
async fn an_h2_clients_host_arrives_upstream() {
    for (protocol, name) in [("h1", "host"), ("h2", "x-forwarded-host")] {
        let shop = Shop::with(&format!("free = '/echo'\nprotocol = '{protocol}'")).await;
        let answer = h2().request(shop.request("GET", "/echo", &[])).await.unwrap();
        assert_eq!(Answer::read(answer).await.status, 200);
        let received = &shop.origin.received()[0];
        assert_eq!(received.headers[name], shop.address.to_string());
    }
}

#[tokio::test]
async fn an_h2_clients_cookies_are_one_header_for_an_h1_upstream() {
    let shop = Shop::with("free = '/echo'").await;
    let request = shop.request("GET", "/echo", &[("cookie", "a=1"), ("cookie", "b=2")]);
    h2().request(request).await.unwrap();
    let headers = &shop.origin.received()[0].headers;
    let cookies: Vec<_> = headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=1; b=2"]);
}

#[tokio::test]
async fn a_grpc_call_that_paid_passes_with_its_trailers() {
    // As a gRPC server answers: a message, and the status in trailers.
    let shop = Shop::with("protocol = 'h2'").await;
    let credential = l402(&shop.buy("/mirror").await);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let trailers = std::future::ready(Some(Ok::<_, std::convert::Infallible>(trailers)));
    let body = Full::new(Bytes::from_static(b"\0\0\0\0\x02hi")).with_trailers(trailers);
    let request = Request::post(shop.url("/mirror"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", credential)
        .body(body)
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let body = client.request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(body.to_bytes(), &b"\0\0\0\0\x02hi"[..]);
    let received = &shop.origin.received()[0];
    assert_eq!(received.headers["te"], "trailers", "without it a gRPC server refuses");
}

#[tokio::test]
async fn a_websocket_is_joined_once_it_is_paid_for() {
    let odd = Odd::switching("websocket").await;
    let text = odd.service("").replace("auth='off'", "price='10 sat'");
    let shop = Shop::configured(|_| text).await;
    let credential = format!("authorization: {}", l402(&shop.buy("/chat").await));
    let upgrade = ["connection: Upgrade", "upgrade: websocket"];

    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/chat", &upgrade)).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 402"));

    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/chat", &[upgrade[0], upgrade[1], &credential])).await;
    let head = raw.head().await.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    for line in ["connection: upgrade", "upgrade: websocket", "x-asked: true"] {
        assert!(head.contains(line), "{head}");
    }
    for word in ["hello", "world"] {
        raw.write(word).await;
        assert_eq!(raw.read_to(&word.to_uppercase()).await, word.to_uppercase());
    }
}

#[tokio::test]
async fn no_other_protocol_is_switched_to() {
    // Behind an `h2c` tunnel a client could ask for anything, and nobody here would see it.
    for (agreed, asked) in [("h2c", "h2c"), ("h2c", "websocket"), ("websocket", "h2c")] {
        let odd = Odd::switching(agreed).await;
        let shop = Shop::configured(|_| odd.service("")).await;
        let mut raw = Raw::connect(shop.address).await;
        raw.write(get("/", &["connection: upgrade", &format!("upgrade: {asked}")])).await;
        assert!(raw.head().await.starts_with("HTTP/1.1 502"), "{asked}");
    }
    let shop = Shop::with("free = '/echo'").await;
    let mut raw = Raw::connect(shop.address).await;
    let h2c = ["connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABk"];
    raw.write(get("/echo", &h2c)).await;
    let (head, body) = raw.response().await;
    assert!(head.starts_with("HTTP/1.1 200") && !body.contains("h2c"), "{head}{body}");
}

#[tokio::test]
async fn a_message_with_two_lengths_is_one_message() {
    // Request smuggling: if the gateway read one length and the upstream another, the second request
    // in this body would reach the upstream unpaid.
    for (first, second) in [
        ("content-length: 6", "transfer-encoding: chunked"),
        ("transfer-encoding: chunked", "content-length: 6"),
    ] {
        let shop = Shop::with("free = '/echo'").await;
        let mut raw = Raw::connect(shop.address).await;
        let smuggled = "0\r\n\r\nGET /weather HTTP/1.1\r\nhost: x\r\n\r\n";
        raw.write(format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\n{first}\r\n{second}\r\nconnection: close\r\n\r\n{smuggled}"
        ))
        .await;
        let all = raw.rest().await;
        assert!(!all.contains("origin: GET /weather"), "{all}");
        assert_eq!(shop.origin.count("/weather"), 0);
        for received in shop.origin.received() {
            let headers = &received.headers;
            let both =
                headers.contains_key("content-length") && headers.contains_key("transfer-encoding");
            assert!(!both && received.body.is_empty(), "{received:?}");
        }
    }
    for bad in
        ["content-length: 5\r\ncontent-length: 6", "content-length: +5", "transfer-encoding: x"]
    {
        let shop = Shop::with("free = '/echo'").await;
        let mut raw = Raw::connect(shop.address).await;
        raw.write(format!("POST /echo HTTP/1.1\r\nhost: x\r\n{bad}\r\n\r\nhello!")).await;
        assert!(raw.rest().await.starts_with("HTTP/1.1 400"), "{bad}");
        assert_eq!(shop.hits(), 0);
    }
}

#[tokio::test]
async fn the_host_in_the_target_is_the_one_that_counts() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='open'\nhost='open.example'\nauth='off'\nupstream='{url}'\n\
             [[service]]\nname='dear'\nhost='dear.example'\nprice='9 sat'\nupstream='{url}'"
        )
    });
    let shop = shop.await;
    for (target, hosts, status) in [
        ("/echo", "host: open.example", "200"),
        ("/echo", "host: OPEN.example:80", "200"),
        ("/echo", "host: dear.example", "402"),
        ("/echo", "host: elsewhere.example", "404"),
        ("http://dear.example/echo", "host: open.example", "402"),
        ("http://open.example/echo", "host: dear.example", "200"),
        ("/echo", "host: open.example\r\nhost: dear.example", "400"),
        ("/echo", "host: dear.example@open.example", "400"),
        ("/echo", "x-no: host", "400"),
    ] {
        let mut raw = Raw::connect(shop.address).await;
        raw.write(format!("GET {target} HTTP/1.1\r\n{hosts}\r\n\r\n")).await;
        let head = raw.head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{target} {hosts}: {head}");
    }
    let seen: Vec<_> = shop.origin.received().iter().map(|r| r.headers["host"].clone()).collect();
    assert_eq!(seen, ["open.example", "OPEN.example:80", "open.example"], "what was judged");
}

#[tokio::test]
async fn this_is_no_forward_proxy() {
    let shop = Shop::with("free = '/*'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 400"));
    assert_eq!(shop.hits(), 0);
}

#[tokio::test]
async fn no_tunnel_is_dug_through_http2() {
    let shop = Shop::with("free = '/*'").await;
    let stream = tokio::net::TcpStream::connect(shop.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut http, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let connect = |uri| Request::connect(uri).body(Full::<Bytes>::default()).unwrap();
    let answer = http.send_request(connect("example.com:443")).await.unwrap();
    assert_eq!(answer.status(), 400);
    // WebSockets over HTTP/2 (RFC 8441) are not offered, and a client that sees so does not ask.
    let mut extended = connect("http://x/chat");
    extended.extensions_mut().insert(hyper::ext::Protocol::from_static("websocket"));
    assert!(http.send_request(extended).await.is_err());
    assert_eq!(shop.hits(), 0);
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let shop = Shop::open().await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(100 * 1024));
    for headers in [many, long] {
        let mut raw = Raw::connect(shop.address).await;
        raw.write(format!("GET /weather HTTP/1.1\r\nhost: x\r\n{headers}\r\n")).await;
        assert!(raw.rest().await.starts_with("HTTP/1.1 431"));
    }
    assert_eq!(shop.seller.invoices(), 0);
}

#[tokio::test]
async fn an_old_client_gets_an_answer_it_can_read() {
    let odd = Odd::answering(|_| Response::new(Full::from("old"))).await;
    let shop = Shop::configured(|_| odd.service("")).await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("GET / HTTP/1.0\r\n\r\n").await;
    let all = raw.rest().await;
    assert!(all.starts_with("HTTP/1.0 200") && all.ends_with("\r\n\r\nold"), "{all}");
}
