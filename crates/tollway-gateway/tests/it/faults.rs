//! Clients that stand still or write what two programs read differently, and upstreams that die.

use crate::odd::Odd;
use crate::raw::{Raw, get};
use crate::shop::Shop;

#[tokio::test]
async fn a_body_that_stands_still_does_not_hold_the_upstream_for_ever() {
    let shop = Shop::with("free = '/echo'\nanswer_timeout = '50ms'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe").await;
    assert!(raw.head().await.starts_with("HTTP/1.1 504"));
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_its_body_is_not_the_upstreams_fault() {
    // The server is not left alone for it, although one failure would be enough.
    let odd = Odd::mute().await;
    let keys = "free = '/echo'\neject_after = 1\neject_for = '1h'";
    let shop = Shop::configured(|origin| {
        let (upstream, other) = (origin.url(""), format!("http://{}", odd.address));
        format!(
            "[[service]]\nname='api'\nprice='1 sat'\nupstream=['{upstream}', '{other}']\n{keys}\nanswer_timeout='1s'\n"
        )
    });
    let shop = shop.await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhe").await;
    drop(raw);
    // The first server took that one; the second one is mute, and is put out by its first silence.
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(shop.get("/echo", &[]).await.status.as_u16());
    }
    assert!(statuses.iter().filter(|status| **status == 504).count() <= 1, "{statuses:?}");
    assert_eq!(statuses[5], 200, "{statuses:?}");
}

#[tokio::test]
async fn a_head_with_folds_or_bare_ends_of_lines_hides_no_second_request() {
    for head in [
        "GET /free HTTP/1.1\r\nhost: x\r\nx-a: b\r\n content-length: 30\r\n\r\n",
        "GET /free HTTP/1.1\r\nhost: x\r\nx-a: b\n\nGET /paid HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /free HTTP/1.1\r\nhost: x\r\nx-a: b\r\rGET /paid HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /free HTTP/1.1\r\nhost: x\r\ncontent-length : 30\r\n\r\n",
        "POST /free HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST /free HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5;\nab\r\n0\r\n\r\n",
    ] {
        let shop = Shop::open().await;
        let mut raw = Raw::connect(shop.address).await;
        raw.write(head).await;
        raw.write(get("/paid", &["connection: close"])).await;
        let all = raw.rest().await;
        assert!(!all.contains("origin: GET /paid"), "{head:?}: {all}");
        for received in shop.origin.received() {
            assert_eq!(received.uri, "/free", "{head:?}");
            assert!(!received.headers.contains_key("content-length"), "{head:?}: {received:?}");
        }
    }
}
