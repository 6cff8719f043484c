//! Behind a proxy: whom it serves is believed when it is one of ours, and never otherwise.

use testkit::Origin;

use crate::raw::{Raw, get};
use crate::shop::{Shop, l402};

async fn shop(top: &str) -> Shop {
    let text = |origin: &Origin| {
        let url = origin.url("");
        format!("{top}\n[[service]]\nname='api'\nprice='10 sat'\nfree='/echo'\nupstream='{url}'\n")
    };
    Shop::configured(text).await
}

/// What the upstream is told of the client.
async fn seen(shop: &Shop, headers: &[(&str, &str)]) -> [String; 2] {
    let answer = shop.get("/echo", headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let received = shop.origin.received();
    let headers = &received.last().unwrap().headers;
    ["x-forwarded-for", "x-forwarded-proto"].map(|name| headers[name].to_str().unwrap().to_owned())
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed() {
    let headers = [("x-forwarded-for", "198.51.100.7"), ("x-forwarded-proto", "https")];
    let trusting = shop("trusted_proxies = ['127.0.0.0/8', '::1']").await;
    assert_eq!(seen(&trusting, &headers).await, ["198.51.100.7", "https"]);
    let forged = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "198.51.100.7, 127.0.0.2")];
    assert_eq!(seen(&trusting, &forged).await[0], "198.51.100.7");
    for top in ["", "trusted_proxies = '10.0.0.0/8'"] {
        assert_eq!(seen(&shop(top).await, &headers).await, ["127.0.0.1", "http"], "{top}");
    }
    let standard = shop("trusted_proxies = '127.0.0.1'\nproxies_tell = 'forwarded'").await;
    let headers = [("forwarded", "for=198.51.100.7"), ("x-forwarded-for", "6.6.6.6")];
    assert_eq!(seen(&standard, &headers).await[0], "198.51.100.7");
}

#[tokio::test]
async fn limits_and_caveats_concern_the_client_and_not_the_proxy() {
    let shop = shop("trusted_proxies = '127.0.0.1'\nunpaid_per_ip = '1/1h'").await;
    let from =
        async |client: &str| shop.get("/x", &[("x-forwarded-for", client)]).await.status.as_u16();
    assert_eq!((from("198.51.100.7").await, from("198.51.100.7").await), (402, 429));
    assert_eq!(from("198.51.100.8").await, 402);
    let bound = l402(&shop.mint(&["services=api:0", "client_ip=198.51.100.7/32"]));
    let with = async |client: &str| {
        let headers = [("x-forwarded-for", client), ("authorization", bound.as_str())];
        shop.get("/x", &headers).await.status.as_u16()
    };
    assert_eq!(with("198.51.100.7").await, 200);
    assert_ne!(with("198.51.100.9").await, 200);
}

#[tokio::test]
async fn a_proxy_header_names_the_client_of_a_connection() {
    let trusting = shop("trusted_proxies = '127.0.0.1'\nproxy_protocol = true").await;
    let mut raw = Raw::connect(trusting.address).await;
    raw.write("PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n").await;
    raw.write(get("/echo", &["x-forwarded-for: 6.6.6.6"])).await;
    let (head, body) = raw.response().await;
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("198.51.100.7"), "{head}{body}");
    assert!(!body.contains("6.6.6.6"), "{body}");
    // Where one has to be, a connection without it is closed.
    let mut bare = Raw::connect(trusting.address).await;
    bare.write(get("/echo", &[])).await;
    assert_eq!(bare.rest().await, "");
    // And from anybody else it is no HTTP.
    let strict = shop("trusted_proxies = '10.0.0.0/8'\nproxy_protocol = true").await;
    let mut raw = Raw::connect(strict.address).await;
    raw.write("PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n").await;
    raw.write(get("/echo", &[])).await;
    assert!(!raw.rest().await.starts_with("HTTP/1.1 200"));
    assert_eq!(strict.hits(), 0);
}

#[tokio::test]
async fn who_is_blocked_is_turned_away_whatever_it_pays() {
    let top = "trusted_proxies = '127.0.0.1'\nblocked = ['198.51.100.0/24', '2001:db8::7']";
    let shop = shop(top).await;
    let paid = l402(&shop.mint(&["services=api:0"]));
    let from = async |client: &str, path: &str| {
        let headers = [("x-forwarded-for", client), ("authorization", paid.as_str())];
        shop.get(path, &headers).await.status.as_u16()
    };
    for blocked in ["198.51.100.7", "::ffff:198.51.100.9", "2001:db8::7"] {
        for path in ["/x", "/echo", "/.well-known/l402.json"] {
            assert_eq!(from(blocked, path).await, 403, "{blocked} {path}");
        }
    }
    assert_eq!((shop.hits(), shop.seller.invoices()), (0, 0));
    for other in ["198.51.101.7", "2001:db8::8"] {
        assert_eq!(from(other, "/x").await, 200, "{other}");
    }
}
