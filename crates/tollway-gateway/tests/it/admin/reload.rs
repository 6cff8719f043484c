//! A new configuration: what it says is in force for the next request, or what is not is named.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::Office;
use crate::odd::Odd;
use crate::raw::{Raw, get};

impl Office {
    /// Writes the file with these lines before all others, and has it read.
    async fn now_says(&self, top: &str, original: &str) -> Value {
        fs::write(&self.file, format!("{top}\n{original}")).unwrap();
        let answer = self.change("POST", "/v1/reload", None, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    fn address(&self, key: &str) -> SocketAddr {
        let all = self.config.doors().unwrap().addresses();
        all.iter().find(|(known, _)| *known == key).unwrap_or_else(|| panic!("{key}: {all:?}")).1
    }

    async fn status(&self, address: SocketAddr, path: &str) -> u16 {
        let request = Request::get(format!("http://{address}{path}"));
        self.shop.send(request.body(Full::default()).unwrap()).await.status.as_u16()
    }
}

/// Waits until nobody listens there.
async fn is_left(address: SocketAddr) {
    let left = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), left).await.expect("it is left");
}

#[tokio::test]
async fn numbers_and_questions_go_where_the_new_configuration_says() {
    let office = Office::open().await;
    let original = office.text();
    let trusted = "trusted_proxies = '127.0.0.0/8'\nauthorize = '127.0.0.1:0'\n";
    let said = office.now_says(&format!("{trusted}metrics = '127.0.0.1:0'"), &original).await;
    assert_eq!((&said["changed"], &said["at_next_start"]), (&json!(true), &json!([])));
    let (numbers, questions) = (office.address("metrics"), office.address("authorize"));
    assert_eq!(office.status(numbers, "/metrics").await, 200);
    assert_eq!(office.status(questions, "/auth").await, 400, "which request is not said");

    // One moves, and the other stays where it is.
    office.now_says(&format!("{trusted}metrics = '127.0.0.2:0'"), &original).await;
    let moved = office.address("metrics");
    assert_eq!(office.status(moved, "/metrics").await, 200);
    assert_eq!(office.address("authorize"), questions);
    is_left(numbers).await;

    // An address that is not to be had: then nothing of the new configuration is in force.
    let taken = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let text = format!("metrics = '{}'\n{original}", taken.local_addr().unwrap());
    fs::write(&office.file, text.replace("10 sat", "25 sat")).unwrap();
    let refused = office.change("POST", "/v1/reload", None, None).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert!(refused.body.contains("`metrics`: nobody can listen on"), "{refused:?}");
    assert_eq!(office.price("/x").await, 10_000);
    assert_eq!(office.status(moved, "/metrics").await, 200);

    office.now_says("", &original).await;
    is_left(moved).await;
    is_left(questions).await;
    assert_eq!(office.config.doors().unwrap().addresses(), []);
}

#[tokio::test]
async fn what_needs_a_new_start_is_named_until_the_file_takes_it_back() {
    let office = Office::open().await;
    let original = office.text();
    let none: Vec<&str> = Vec::new();
    assert_eq!(office.json("/v1/config").await["at_next_start"], json!(none));
    let top = "listen = '127.0.0.1:1'\nnode_timeout = '3s'\nstore = 'sqlite:/nowhere/g.db'";
    let keys = json!(["listen", "node_timeout", "store"]);
    assert_eq!(office.now_says(top, &original).await["at_next_start"], keys);
    // Also when it is asked once more, and when something else has changed.
    assert_eq!(office.now_says(top, &original).await["at_next_start"], keys);
    let dearer = original.replace("10 sat", "11 sat");
    assert_eq!(office.now_says(top, &dearer).await["at_next_start"], keys);
    assert_eq!(office.price("/x").await, 11_000);
    assert_eq!(office.json("/v1/config").await["at_next_start"], keys);
    assert_eq!(office.json("/v1/health").await["config"]["at_next_start"], keys);
    assert_eq!(office.now_says("", &original).await["at_next_start"], json!(none));
}

#[tokio::test]
async fn proxies_documents_and_limits_are_in_force_at_once() {
    let office = Office::with("", "free = '/echo'\n").await;
    let (shop, original) = (&office.shop, office.text());
    let seen = async || {
        let headers = [("x-forwarded-for", "198.51.100.7"), ("forwarded", "for=198.51.100.8")];
        assert_eq!(shop.get("/echo", &headers).await.status, 200);
        let received = shop.origin.received();
        received.last().unwrap().headers["x-forwarded-for"].to_str().unwrap().to_owned()
    };
    assert_eq!(seen().await, "127.0.0.1");
    let trusted = "trusted_proxies = '127.0.0.1'";
    office.now_says(trusted, &original).await;
    assert_eq!(seen().await, "198.51.100.7");
    office.now_says(&format!("{trusted}\nproxies_tell = 'forwarded'"), &original).await;
    assert_eq!(seen().await, "198.51.100.8");
    office.now_says(&format!("{trusted}\nproxy_protocol = true"), &original).await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write("PROXY TCP4 198.51.100.9 127.0.0.1 4711 80\r\n").await;
    raw.write(get("/echo", &[])).await;
    assert!(raw.response().await.0.starts_with("HTTP/1.1 200"));
    assert_eq!(shop.origin.received().last().unwrap().headers["x-forwarded-for"], "198.51.100.9");

    office.now_says("", &original).await;
    assert_eq!(shop.get("/openapi.json", &[]).await.status, 200);
    office.now_says("discovery = []", &original).await;
    assert_eq!(shop.get("/openapi.json", &[]).await.status, 402);
    for limit in ["unpaid_per_ip", "unpaid_total"] {
        office.now_says(&format!("{limit} = '1/1h'"), &original).await;
        let asked = [shop.get("/x", &[]).await.status, shop.get("/x", &[]).await.status];
        assert_eq!(asked.map(|status| status.as_u16()), [402, 429], "{limit}");
    }
}

#[tokio::test]
async fn rates_come_from_where_the_new_configuration_says() {
    let at = async |last: &'static str| {
        Odd::answering(move |_| {
            Response::new(Full::from(format!("{{\"USD\":{{\"last\":{last}}}}}")))
        })
        .await
    };
    let (cheap, dear) = (at("100000").await, at("50000").await);
    let office = Office::open().await;
    let original = office.text().replace("10 sat", "1 USD");
    let from = |odd: &Odd| {
        let address = odd.address;
        format!("rates = 'http://{address}'\nrates_pointer = '/{{currency}}/last'")
    };
    office.now_says(&from(&cheap), &original).await;
    assert_eq!(office.price("/x").await, 1_000_000);
    office.now_says(&from(&dear), &original).await;
    assert_eq!(office.price("/x").await, 2_000_000);
}
