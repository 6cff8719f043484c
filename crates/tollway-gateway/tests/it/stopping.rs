//! Connections that come to their end: in good order when the gateway stops, and in time when nobody
//! uses them.

use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tollway_gateway::{Config, Stopped};

use crate::odd::Odd;
use crate::raw::{Raw, get};
use crate::shop::{Shop, client};

#[tokio::test]
async fn what_is_in_flight_is_finished() {
    for h2 in [false, true] {
        let mut shop = Shop::with("free = ['/slow', '/drip', '/free']").await;
        let http = Client::builder(TokioExecutor::new()).http2_only(h2).build_http();
        let (slow, drip) = (shop.request("GET", "/slow", &[]), shop.request("GET", "/drip", &[]));
        let slow = tokio::spawn(http.request(slow));
        let mut drip = http.request(drip).await.unwrap().into_body();
        shop.origin.arrived(2).await;
        shop.stop();
        // It takes nobody new.
        while tokio::net::TcpStream::connect(shop.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        shop.origin.drip();
        assert_eq!(drip.frame().await.unwrap().unwrap().into_data().unwrap(), "drip 0\n");
        shop.origin.end_drips();
        assert_eq!(drip.collect().await.unwrap().to_bytes(), "");
        shop.origin.release();
        let slow = slow.await.unwrap().unwrap().into_body().collect().await.unwrap();
        assert_eq!(slow.to_bytes(), "slow but sure\n");
        assert_eq!(shop.stopped().await, Stopped { cut: 0 }, "{h2}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_at_once() {
    let mut shop = Shop::open().await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/free", &[])).await;
    let (head, _) = raw.response().await;
    assert!(head.starts_with("HTTP/1.1 200"));
    let silent = Raw::connect(shop.address).await;
    shop.get("/free", &[]).await;
    shop.stop();
    assert_eq!(shop.stopped().await, Stopped { cut: 0 });
    assert_eq!((raw.rest().await, silent.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn a_connection_is_told_to_close_with_its_last_answer() {
    let mut shop = Shop::with("free = '/slow'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/slow", &[])).await;
    shop.origin.arrived(1).await;
    shop.stop();
    while tokio::net::TcpStream::connect(shop.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    shop.origin.release();
    let all = raw.rest().await;
    assert!(all.contains("connection: close") && all.ends_with("slow but sure\n"), "{all}");
    assert_eq!(shop.stopped().await, Stopped { cut: 0 });
}

#[tokio::test]
async fn what_takes_too_long_is_cut_off() {
    let odd = Odd::switching("websocket").await;
    let mut shop = Shop::configured(|origin| {
        let url = origin.url("");
        let chat = odd.service("path = '/chat'");
        format!("stop_timeout='20ms'\n{chat}[[service]]\nname='b'\nauth='off'\nupstream='{url}'")
    })
    .await;
    let mut chat = Raw::connect(shop.address).await;
    chat.write(get("/chat", &["connection: upgrade", "upgrade: websocket"])).await;
    assert!(chat.head().await.starts_with("HTTP/1.1 101"));
    chat.write("joined").await;
    chat.read_to("JOINED").await;
    let mut slow = Raw::connect(shop.address).await;
    slow.write(get("/slow", &[])).await;
    shop.origin.arrived(1).await;
    shop.stop();
    assert_eq!(shop.stopped().await, Stopped { cut: 2 }, "the tunnel and the slow request");
    assert_eq!((chat.rest().await, slow.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn a_gateway_that_is_dropped_cuts_everything_off() {
    let shop = Shop::with("free = '/slow'").await;
    let mut slow = Raw::connect(shop.address).await;
    slow.write(get("/slow", &[])).await;
    shop.origin.arrived(1).await;
    shop.abandon();
    assert_eq!(slow.rest().await, "");
}

#[tokio::test]
async fn whoever_sends_no_request_is_not_waited_for() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!("header_timeout='50ms'\n[[service]]\nname='a'\nprice='1 sat'\nupstream='{url}'")
    })
    .await;
    // Nothing, half an HTTP/2 preface, half a head, and a head that never ends.
    for begun in ["", "PRI * HTTP/2.0\r\n", "GET / HTT", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let mut raw = Raw::connect(shop.address).await;
        raw.write(begun).await;
        let end = raw.rest().await;
        assert!(end.is_empty() || end.starts_with("HTTP/1.1 408"), "{begun:?}: {end}");
    }
    assert_eq!(shop.hits(), 0);
    // Nor is whoever has sent one, and now sends half of another, or nothing.
    for begun in ["", "GET / HTT"] {
        let mut raw = Raw::connect(shop.address).await;
        raw.write(get("/", &[])).await;
        assert!(raw.response().await.0.starts_with("HTTP/1.1 402"));
        raw.write(begun).await;
        let end = raw.rest().await;
        assert!(end.is_empty() || end.starts_with("HTTP/1.1 408"), "{begun:?}: {end}");
    }
}

#[tokio::test]
async fn a_new_configuration_waits_for_nobody_and_nobody_waits_for_it() {
    let shop = Shop::with("free = ['/drip', '/free']").await;
    let mut stream =
        shop.http.request(shop.request("GET", "/drip", &[])).await.unwrap().into_body();
    shop.origin.drip();
    stream.frame().await.unwrap().unwrap();

    let text =
        format!("[[service]]\nname='new'\nprice='7 sat'\nupstream='{}'", shop.origin.url(""));
    shop.gateway.replace(&Config::read(&text).unwrap()).unwrap();
    // While the stream goes on under the old one, everybody else has the new one.
    let challenge = client().request(shop.request("GET", "/free", &[])).await.unwrap();
    let challenge = crate::shop::Answer::read(challenge).await.challenge();
    assert_eq!(challenge.invoice.amount(), "7 sat".parse().unwrap());
    shop.origin.drip();
    assert_eq!(stream.frame().await.unwrap().unwrap().into_data().unwrap(), "drip 1\n");
}
