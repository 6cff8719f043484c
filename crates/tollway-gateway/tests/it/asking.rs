//! What a request that did not pay is told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use l402::{Invoice, Invoicer, Msat, Network, NodeError, NodeErrorKind, Offers, PaymentHash};
use testkit::{FakeNode, Link};

use crate::shop::{Shop, l402};

#[tokio::test]
async fn the_402_has_every_header_in_the_order_that_old_clients_need() {
    let shop = Shop::open().await;
    let answer = shop.get("/weather?city=oslo", &[]).await;
    assert_eq!(answer.status, 402);
    let challenge = answer.challenge();
    let (token, invoice) = (challenge.token.as_str(), challenge.invoice.as_str());
    assert_eq!(
        answer.lines("www-authenticate"),
        [
            format!(r#"LSAT macaroon="{token}", invoice="{invoice}""#),
            format!(
                r#"L402 macaroon="{token}", invoice="{invoice}", version="0", token="{token}""#
            ),
        ]
    );
    assert_eq!(answer.lines("cache-control"), ["no-store"]);
    assert_eq!(answer.lines("content-type"), ["application/json"]);
    assert_eq!(answer.lines("link"), [r#"</.well-known/l402.json>; rel="l402-manifest""#]);
    assert_eq!(answer.lines("content-length"), [answer.body.len().to_string()]);
    let mut names: Vec<_> = answer.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    let all =
        ["cache-control", "content-length", "content-type", "date", "link", "www-authenticate"];
    assert_eq!(names, all);
    assert!(challenge.bound, "the token commits to the invoice's hash");
    assert_eq!(shop.hits(), 0);
}

#[tokio::test]
async fn the_body_says_what_it_costs_and_how_to_pay() {
    let shop = Shop::open().await;
    let answer = shop.get("/weather", &[]).await;
    let (challenge, body) = (answer.challenge(), answer.json());
    let invoice = &challenge.invoice;
    let end = invoice.expires_at().unwrap().duration_since(std::time::SystemTime::UNIX_EPOCH);
    assert_eq!(
        body,
        serde_json::json!({
            "error": "payment required",
            "detail": "payment required",
            "service": "api",
            "price": "10 sat",
            "price_msat": 10_000,
            "network": "regtest",
            "invoice": invoice.as_str(),
            "payment_hash": invoice.payment_hash().to_string(),
            "expires_at": end.unwrap().as_secs(),
            "token": challenge.token.as_str(),
            "how": "pay the Lightning invoice, then send the request again with the header \
                    `Authorization: L402 <token>:<preimage>`, the preimage in hexadecimal",
        })
    );
    let bad = shop.get("/weather", &[("authorization", &l402(&shop.mint(&[])))]).await;
    assert_eq!(bad.status, 200, "a token without a service caveat opens every service");
    let bad = shop.get("/weather", &[("authorization", "L402 x")]).await;
    assert_eq!(bad.json()["detail"], "the credential is not `token:preimage`");
}

#[tokio::test]
async fn each_challenge_is_fresh_and_for_exactly_the_price() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='api'\nprice='1501 msat'\nupstream='{url}'\n\
             memo='two minutes of weather'\ninvoice_expiry='2m'"
        )
    });
    let shop = shop.await;
    let (one, two) = (shop.get("/a", &[]).await.challenge(), shop.get("/a", &[]).await.challenge());
    assert_ne!(one.invoice.payment_hash(), two.invoice.payment_hash());
    let id = |token: &l402::Token| token.macaroons().unwrap()[0].identifier()[34..].to_vec();
    assert_ne!(id(&one.token), id(&two.token));
    assert_eq!(one.invoice.amount(), Msat::from_msat(1501));
    assert_eq!(one.invoice.description().unwrap(), "two minutes of weather");
    assert_eq!(one.invoice.expiry(), Duration::from_secs(120));
}

#[tokio::test]
async fn a_head_request_is_asked_without_a_body() {
    let shop = Shop::open().await;
    let get = shop.get("/weather", &[]).await;
    for http in [&shop.http, &Client::builder(TokioExecutor::new()).http2_only(true).build_http()] {
        let response = http.request(shop.request("HEAD", "/weather", &[])).await.unwrap();
        assert_eq!(response.status(), 402);
        let length = response.headers()["content-length"].to_str().unwrap().to_owned();
        assert_eq!(length, get.body.len().to_string());
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 0);
    }
}

#[tokio::test]
async fn a_node_that_fails_is_our_fault_and_nobodys_bill() {
    let shop = Shop::with("free = '/free'").await;
    let paid = l402(&shop.buy("/weather").await);
    type Fail = fn(&FakeNode);
    let fails: [(&str, Fail); 3] = [
        ("down", |node| node.set_link(Link::Down)),
        ("storage", |node| node.fail_invoices(Some(NodeErrorKind::Storage))),
        ("refused", |node| node.fail_invoices(Some(NodeErrorKind::Refused))),
    ];
    for (what, fail) in fails {
        fail(&shop.seller);
        let answer = shop.get("/weather", &[]).await;
        assert_eq!(answer.status, 503, "{what}");
        assert_eq!(answer.lines("retry-after"), ["5"]);
        assert!(answer.lines("www-authenticate").is_empty(), "nobody is asked to pay");
        assert!(!answer.body.contains(what), "the cause is for our log: {}", answer.body);
        // Who has paid does not notice.
        assert_eq!(shop.get("/weather", &[("authorization", &paid)]).await.status, 200);
        assert_eq!(shop.get("/free", &[]).await.status, 200);
    }
    shop.seller.set_link(Link::Up);
    shop.seller.fail_invoices(None);
    assert_eq!(shop.get("/weather", &[]).await.status, 402);
}

#[tokio::test]
async fn a_node_that_says_nothing_is_not_waited_for_for_ever() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!("node_timeout='20ms'\n[[service]]\nname='a'\nprice='1 sat'\nupstream='{url}'")
    });
    let shop = shop.await;
    shop.seller.set_link(Link::Stuck);
    assert_eq!(shop.get("/weather", &[]).await.status, 503);
}

/// A node that asks ten times too much.
#[derive(Debug)]
struct Greedy(FakeNode);

#[async_trait]
impl Invoicer for Greedy {
    fn network(&self) -> Network {
        Network::Regtest
    }

    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError> {
        self.0.invoicer().invoice(Msat::from_msat(amount.msat() * 10), memo, expiry).await
    }

    async fn is_settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        self.0.invoicer().is_settled(hash).await
    }
}

#[tokio::test]
async fn an_invoice_over_another_amount_is_never_handed_out() {
    let (_, seller) = testkit::FakeNetwork::pair();
    let shop = Shop::paid_on(Arc::new(Greedy(seller)), |origin| {
        format!("[[service]]\nname='a'\nprice='1 sat'\nupstream='{}'", origin.url(""))
    });
    let answer = shop.await.get("/weather", &[]).await;
    assert_eq!(answer.status, 503);
    assert!(!answer.body.contains("lnbcrt"));
}

#[tokio::test]
async fn grpc_is_asked_in_the_trailers_only_form() {
    let shop = Shop::open().await;
    let h2: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for kind in ["application/grpc", "application/grpc+proto", "application/grpc-web"] {
        let request = Request::post(shop.url("/weather.Api/Get")).header("content-type", kind);
        let request = request.header("te", "trailers").body(Full::default()).unwrap();
        let (head, body) = h2.request(request).await.unwrap().into_parts();
        assert!(hyper::body::Body::is_end_stream(&body), "headers and end in one frame");
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["grpc-status"], "13");
        assert_eq!(head.headers["grpc-message"], "payment required");
        assert_eq!(head.headers["content-type"], kind);
        assert_eq!(head.headers.get_all("www-authenticate").iter().count(), 2);
        let offers = Offers::read(&head.headers);
        assert_eq!(offers.challenges.len(), 2, "{:?}", offers.refused);
    }
    shop.seller.set_link(Link::Down);
    let request = Request::post(shop.url("/x")).header("content-type", "application/grpc");
    let response = h2.request(request.body(Full::default()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["retry-after"], "5");
}

#[tokio::test]
async fn the_price_list_is_free_and_says_what_each_host_sells() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='api'\npath='/v1'\nprice='10 sat'\nupstream='{url}'\n\
             free=['/v1/health', '/v1/docs/*']\n\
             [[service]]\nname='other'\nhost='other.example'\nprice='20 sat'\nupstream='{url}'"
        )
    });
    let shop = shop.await;
    let list = shop.get("/.well-known/l402.json", &[]).await;
    assert_eq!(list.status, 200);
    assert_eq!(list.lines("content-type"), ["application/json"]);
    assert_eq!(list.lines("access-control-allow-origin"), ["*"]);
    let fixed = |path: &str, msat: u64| serde_json::json!({ "path": path, "pricing": { "model": "fixed", "price_msat": msat } });
    let list = list.json();
    assert_eq!(list["version"], "1.0");
    assert_eq!(
        list["services"],
        serde_json::json!([{ "name": "api", "resources": [
            fixed("/v1/health", 0), fixed("/v1/docs/*", 0), fixed("/v1/*", 10_000),
        ]}])
    );
    let other = shop.get("/.well-known/l402.json", &[("host", "other.example")]).await.json();
    assert_eq!(other["services"][0]["name"], "other");
    assert_eq!(other["provider"]["name"], "other.example");
    assert_eq!(shop.hits() as u64 + shop.seller.invoices(), 0);
}
