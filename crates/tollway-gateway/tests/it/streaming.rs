//! Nothing is held whole: what one side has sent, the other side has, while both go on.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use testkit::Link;

use crate::raw::{Raw, get};
use crate::shop::{Shop, l402};
use crate::upload::Upload;

/// Sends a request whose body is written while the answer is read.
async fn upload(shop: &Shop, h2: bool, path: &str) -> (Upload, Response<Incoming>) {
    let credential = l402(&shop.mint(&["services=api:0"]));
    let (sender, body) = Upload::new();
    let request = Request::post(shop.url(path)).header("authorization", credential);
    let client = Client::builder(TokioExecutor::new()).http2_only(h2).build_http();
    let response = client.request(request.body(body).unwrap()).await.unwrap();
    (sender, response)
}

async fn next(body: &mut Incoming) -> Bytes {
    body.frame().await.expect("the body goes on").unwrap().into_data().unwrap()
}

#[tokio::test]
async fn an_answer_begins_before_the_request_has_ended() {
    for (h2, protocol) in [(false, "h1"), (true, "h1"), (false, "h2"), (true, "h2")] {
        let shop = Shop::with(&format!("protocol = '{protocol}'")).await;
        let (sender, response) = upload(&shop, h2, "/mirror").await;
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        for chunk in ["one", "two", "three"] {
            sender.send(chunk).await;
            assert_eq!(next(&mut body).await, chunk, "{h2} {protocol}");
        }
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "", "and ends in good order");
    }
}

#[tokio::test]
async fn each_piece_of_an_answer_arrives_before_the_next_is_made() {
    for protocol in ["h1", "h2"] {
        let shop = Shop::with(&format!("free = '/drip'\nprotocol = '{protocol}'")).await;
        let request = shop.request("GET", "/drip", &[]);
        let mut body = shop.http.request(request).await.unwrap().into_body();
        for number in 0..3 {
            shop.origin.drip();
            assert_eq!(next(&mut body).await, format!("drip {number}\n"));
        }
        shop.origin.end_drips();
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn an_answer_without_end_flows_until_its_reader_goes() {
    for (h2, protocol) in [(false, "h1"), (true, "h2")] {
        let shop = Shop::with(&format!("free = '/stream'\nprotocol = '{protocol}'")).await;
        let client = Client::builder(TokioExecutor::new()).http2_only(h2).build_http();
        let mut body =
            client.request(shop.request("GET", "/stream", &[])).await.unwrap().into_body();
        let mut read = 0;
        while read < 32 * 1024 * 1024 {
            read += next(&mut body).await.len();
        }
        drop((body, client));
        shop.origin.quiet().await;
    }
}

#[tokio::test]
async fn a_reader_that_is_gone_before_the_answer_takes_the_request_with_it() {
    let shop = Shop::with("free = '/drip'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/drip", &[])).await;
    shop.origin.drip();
    raw.read_to("drip 0").await;
    drop(raw);
    shop.origin.quiet().await;
}

#[tokio::test]
async fn a_slow_upload_is_not_a_silent_upstream() {
    // The upstream answers when it has the whole body; each piece comes within the time it has.
    let shop = Shop::with("free = '/echo'\nanswer_timeout = '1s'").await;
    let (sender, body) = Upload::new();
    let request = Request::post(shop.url("/echo")).body(body).unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let send = async {
        let piece = std::time::Duration::from_millis(400);
        let mut ticks = tokio::time::interval(piece);
        for _ in 0..5 {
            ticks.tick().await;
            sender.send("x").await;
        }
        drop(sender);
    };
    let (response, ()) = tokio::join!(client.request(request), send);
    assert_eq!(response.unwrap().status(), 200);
}

#[tokio::test]
async fn a_grpc_upload_may_take_longer_than_anything_else() {
    // Longer than the time for headers, for an answer and for silence; each piece comes well within.
    let shop = Shop::configured(|origin| {
        let upstream = origin.url("").replace("http:", "grpc:");
        format!(
            "header_timeout = '3s'\n[[service]]\nname = 'api'\nprice = '10 sat'\n\
             answer_timeout = '3s'\nidle_timeout = '3s'\nupstream = '{upstream}'\n"
        )
    });
    let shop = shop.await;
    let (sender, body) = Upload::new();
    let credential = l402(&shop.mint(&["services=api:0"]));
    let request = Request::post(shop.url("/echo"))
        .header("authorization", credential)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let send = async {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(250));
        for _ in 0..16 {
            ticks.tick().await;
            sender.send("\0\0\0\0\x01x").await;
        }
        drop(sender);
    };
    let (response, ()) = tokio::join!(client.request(request.body(body).unwrap()), send);
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(shop.origin.received()[0].body.len(), 16 * 6);
}

#[tokio::test]
async fn who_uploads_without_paying_still_reads_the_402() {
    // More than the sockets hold, so the client is still writing when the answer comes. If the
    // gateway closed on it, the reset would take the answer away.
    let shop = Shop::open().await;
    let body = vec![b'x'; 900 * 1024];
    let mut raw = Raw::connect(shop.address).await;
    raw.write(format!(
        "POST /weather HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        body.len()
    ))
    .await;
    raw.write(&body).await;
    let (head, text) = raw.response().await;
    assert!(head.starts_with("HTTP/1.1 402") && text.contains("lnbcrt"), "{head}");
    raw.write(get("/free", &[])).await;
    assert!(raw.head().await.starts_with("HTTP/1.1 200"), "and the connection is still good");
    assert_eq!(shop.hits(), 1);
}

#[tokio::test]
async fn who_asks_before_uploading_is_not_told_to_go_on() {
    let shop = Shop::with("free = '/echo'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(
        "POST /weather HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    )
    .await;
    let all = raw.rest().await;
    assert!(all.starts_with("HTTP/1.1 402") && !all.contains(" 100 "), "{all}");
    // And who may pass is.
    let mut raw = Raw::connect(shop.address).await;
    raw.write(
        "POST /echo HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
    )
    .await;
    assert!(raw.head().await.starts_with("HTTP/1.1 100"));
    raw.write("hello").await;
    let (head, body) = raw.response().await;
    assert!(head.starts_with("HTTP/1.1 200") && body.contains(r#""body":"hello""#), "{head}{body}");
}

#[tokio::test]
async fn paid_requests_need_no_node() {
    let shop = Shop::open().await;
    let credential = l402(&shop.buy("/weather").await);
    shop.seller.set_link(Link::Stuck);
    assert_eq!(shop.get("/weather", &[("authorization", &credential)]).await.status, 200);
}
