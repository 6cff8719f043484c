//! Several servers behind one service: who is asked, who is left alone, and who comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tollway_gateway::Config;

use crate::metrics::value;
use crate::odd::{Odd, nobody};
use crate::shop::{Answer, Shop};

fn service(upstreams: &[String], keys: &str) -> String {
    let list: Vec<String> = upstreams.iter().map(|url| format!("'{url}'")).collect();
    let list = list.join(", ");
    format!("[[service]]\nname='api'\nauth='off'\nupstream=[{list}]\n{keys}\n")
}

/// A server that says its name, and counts.
async fn named(name: &'static str) -> (Odd, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let odd = Odd::answering(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Response::new(Full::from(name))
    });
    (odd.await, count)
}

fn url(odd: &Odd) -> String {
    format!("http://{}", odd.address)
}

#[tokio::test]
async fn equally_busy_servers_take_turns() {
    let ((a, asked_a), (b, asked_b)) = (named("a").await, named("b").await);
    let shop = Shop::configured(|_| service(&[url(&a), url(&b)], "")).await;
    for _ in 0..10 {
        assert_eq!(shop.get("/", &[]).await.status, 200);
    }
    assert_eq!((asked_a.load(Ordering::SeqCst), asked_b.load(Ordering::SeqCst)), (5, 5));
}

#[tokio::test]
async fn the_least_busy_server_is_asked() {
    let (idle, asked) = named("idle").await;
    let shop = Shop::configured(|origin| service(&[origin.url(""), url(&idle)], "")).await;
    // One request stays at the origin, its answer begun and not ended.
    let mut begun = 0;
    let mut held = Vec::new();
    while begun == 0 {
        let request = shop.request("GET", "/drip", &[]);
        held.push(shop.http.request(request).await.unwrap());
        begun = shop.hits();
    }
    let before = asked.load(Ordering::SeqCst);
    for _ in 0..6 {
        assert_eq!(shop.get("/x", &[]).await.body, "idle");
    }
    assert_eq!((asked.load(Ordering::SeqCst) - before, shop.hits()), (6, 1));
    drop(held);
}

#[tokio::test]
async fn a_request_without_a_body_is_offered_to_the_next_server() {
    let (good, asked) = named("good").await;
    let dead = format!("http://{}", nobody().await);
    let shop = Shop::configured(|_| service(&[dead, url(&good)], "eject_after = 1000")).await;
    for _ in 0..6 {
        assert_eq!(shop.get("/", &[]).await.body, "good");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_server_that_keeps_failing_is_left_alone() {
    let (good, _) = named("good").await;
    let broken = Arc::new(AtomicUsize::new(0));
    let (bad, connections) = Odd::breaking(Arc::clone(&broken)).await;
    let keys = "eject_after = 2\neject_for = '1h'";
    let shop = Shop::configured(|_| service(&[url(&bad), url(&good)], keys)).await;
    let mut failures = 0;
    for _ in 0..20 {
        // It took the request before it broke off, so nobody asks twice.
        failures += usize::from(shop.get("/", &[]).await.status == StatusCode::BAD_GATEWAY);
    }
    assert_eq!((failures, broken.load(Ordering::SeqCst)), (2, 2));
    assert!(connections.load(Ordering::SeqCst) >= 1);
}

#[tokio::test]
async fn the_numbers_say_which_server_is_well() {
    let (good, _) = named("good").await;
    let dead = nobody().await;
    let text =
        service(&[format!("http://{dead}"), url(&good)], "eject_after = 2\neject_for = '1h'");
    let alone = format!(
        "[[service]]\nname='alone'\npath='/alone'\nauth='off'\nupstream='http://{dead}/'\n"
    );
    let text = format!("{text}{alone}");
    let shop = Shop::configured(|_| text.clone()).await;
    let number = |of: &str, service: &str, server: SocketAddr| {
        let name = format!("tollway_upstream_{of}{{service=\"{service}\",upstream=\"{server}\"}}");
        value(&shop.gateway.metrics_text(), &name)
    };
    let all = |service: &str, server: SocketAddr| {
        ["healthy", "failures_total", "ejections_total"].map(|of| number(of, service, server))
    };
    assert_eq!(all("api", dead), [1.0, 0.0, 0.0], "nothing is known of it yet");
    for _ in 0..6 {
        assert_eq!(shop.get("/", &[]).await.body, "good");
    }
    assert_eq!(all("api", dead), [0.0, 2.0, 1.0]);
    assert_eq!(all("api", good.address), [1.0, 0.0, 0.0]);
    // One that is alone is asked on and on, and said to be unwell after three in a row.
    for failures in 1..=4_u8 {
        assert_eq!(shop.get("/alone", &[]).await.status, 502);
        let well = if failures < 3 { 1.0 } else { 0.0 };
        assert_eq!(all("alone", dead), [well, f64::from(failures), 0.0]);
    }
    // What is known of a server is still known when something else has changed.
    let dearer = text.replace("auth='off'", "auth='off'\nconnect_timeout='4s'");
    shop.gateway.replace(&Config::read(&dearer).unwrap()).unwrap();
    assert_eq!(all("api", dead), [0.0, 2.0, 1.0]);
    // And what may have mended it makes it new.
    let checked = text.replace("auth='off'", "auth='off'\ncheck='/healthz'\ncheck_interval='1h'");
    shop.gateway.replace(&Config::read(&checked).unwrap()).unwrap();
    assert_eq!(all("api", dead)[1..], [0.0, 0.0]);
}

#[tokio::test]
async fn when_all_are_ill_they_are_asked_all_the_same() {
    let dead = [nobody().await, nobody().await].map(|address| format!("http://{address}"));
    let keys = "eject_after = 1\neject_for = '1h'";
    let shop = Shop::configured(|_| service(&dead, keys)).await;
    for _ in 0..3 {
        assert_eq!(shop.get("/", &[]).await.status, 502);
    }
}

#[tokio::test]
async fn a_server_that_fails_its_check_is_left_alone_until_it_passes() {
    let well = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&well);
    let ill = Odd::answering(move |request| {
        let down = request.uri() == "/healthz" && !says.load(Ordering::SeqCst);
        let status = if down { 503 } else { 200 };
        Response::builder().status(status).body(Full::from("ill")).unwrap()
    });
    let (ill, (good, asked)) = (ill.await, named("good").await);
    let keys = "check = '/healthz'\ncheck_interval = '5ms'";
    let shop = Shop::configured(|_| service(&[url(&ill), url(&good)], keys)).await;
    let round = async || {
        let (first, second) = (shop.get("/", &[]).await.body, shop.get("/", &[]).await.body);
        [first, second]
    };
    let until = async |wanted: &str| {
        while !round().await.iter().any(|body| body == wanted) {}
    };
    // Once the first check has been answered, only the other one is asked.
    while round().await != ["good", "good"] {}
    for _ in 0..5 {
        assert_eq!(round().await, ["good", "good"]);
    }
    well.store(true, Ordering::SeqCst);
    until("ill").await;
    assert!(asked.load(Ordering::SeqCst) > 0);
}

#[tokio::test]
async fn a_grpc_server_is_asked_in_its_own_way() {
    let serving = Arc::new(AtomicBool::new(true));
    let says = Arc::clone(&serving);
    let odd = Odd::answering(move |request| {
        let path = request.uri().path();
        let body: &[u8] = match (path, says.load(Ordering::SeqCst)) {
            ("/grpc.health.v1.Health/Check", true) => &[0, 0, 0, 0, 2, 8, 1],
            ("/grpc.health.v1.Health/Check", false) => &[0, 0, 0, 0, 2, 8, 2],
            _ => b"grpc",
        };
        Response::new(Full::new(Bytes::copy_from_slice(body)))
    });
    let (odd, (good, _)) = (odd.await, named("good").await);
    let keys = "check = 'grpc'\ncheck_interval = '5ms'";
    let grpc = format!("grpc://{}", odd.address);
    let shop = Shop::configured(|_| service(&[grpc, url(&good)], keys)).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let ask = async || {
        let answer = client.request(shop.request("POST", "/x", &[])).await.unwrap();
        Answer::read(answer).await.body
    };
    // The other server knows nothing of gRPC, and so it is not well.
    while [ask().await, ask().await] != ["grpc", "grpc"] {}
    serving.store(false, Ordering::SeqCst);
    while ask().await == "grpc" {}
}

#[tokio::test]
async fn an_upstream_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let _odd = Odd::on_socket(&path, |request| {
        let host = request.headers().get("host").unwrap().to_str().unwrap().to_owned();
        Response::new(Full::from(format!("{} {host}", request.uri())))
    });
    let upstream = format!("unix:{}", path.display());
    let shop = Shop::configured(|_| service(&[upstream], "")).await;
    let answer = shop.get("/a?b", &[("host", "h.example")]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "/a?b h.example"));
    let nobody = format!("unix:{}", folder.path().join("nobody.sock").display());
    let shop = Shop::configured(|_| service(&[nobody], "")).await;
    assert_eq!(shop.get("/", &[]).await.status, 502);
}
