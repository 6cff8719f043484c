//! The gate as a tower layer, in front of a service in the same process.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use l402::{Keyring, MasterKey, Msat, Offers, PayOrder};
use testkit::{FakeNetwork, FakeNode, Link};
use tollway_gateway::config::{By, Limit, Told, Unpaid};
use tollway_gateway::{
    BadCredential, Basis, Config, Gateway, Permit, Rule, Sale, Schemes, Tariff, TollwayLayer,
};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::shop::{l402, mint};

type Answer = Response<http_body_util::Either<Full<bytes::Bytes>, Full<bytes::Bytes>>>;

fn keyring() -> Keyring {
    Keyring::new(MasterKey::new([7; 32]), vec![])
}

/// A service that says on what basis it was reached, and whether it saw a credential.
fn gated(
    layer: TollwayLayer,
) -> impl Service<Request<String>, Response = Answer, Error = Infallible> + Clone {
    let inner = service_fn(|request: Request<String>| async move {
        let basis = match request.extensions().get::<Arc<Permit>>().unwrap().basis() {
            Basis::Once(charged) => format!("once {}", charged.payment_hash()),
            Basis::Paid(verified) => format!("paid {}", verified.payment_hash()),
            Basis::Free => "free".to_owned(),
            Basis::Off => "off".to_owned(),
            Basis::Freebie => "freebie".to_owned(),
        };
        let seen = ["authorization", "x-original-url", "x_http_method_override"];
        let seen = seen.iter().any(|name| request.headers().contains_key(*name));
        Ok::<_, Infallible>(Response::new(Full::from(format!("{basis} {seen}"))))
    });
    let layer = layer.client_ip(|head| {
        Some(head.headers.get("x-from")?.to_str().ok()?.parse().expect("an address"))
    });
    layer.layer(inner)
}

fn sale(tariff: Tariff, seller: &FakeNode) -> Sale {
    TollwayLayer::sell(tariff, seller.invoicer(), keyring())
}

async fn open(sale: Sale) -> TollwayLayer {
    sale.open().await.unwrap()
}

fn tariff() -> Tariff {
    Tariff::new("api", "10 sat".parse().unwrap()).unwrap().free("/free").unwrap()
}

fn some(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

async fn ask(
    service: &mut (impl Service<Request<String>, Response = Answer, Error = Infallible> + Clone),
    path: &str,
    headers: &[(&str, &str)],
) -> (Response<()>, String) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(String::new()).unwrap();
    let response = service.ready().await.unwrap().call(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (Response::from_parts(head, ()), String::from_utf8(body.into()).unwrap())
}

/// Pays what an answer asks for; returns the `Authorization` line.
async fn pay(buyer: &FakeNode, asked: &Response<()>) -> String {
    assert_eq!(asked.status(), 402, "{asked:?}");
    let challenge = Offers::read(asked.headers()).challenges.remove(0);
    let order = PayOrder {
        invoice: &challenge.invoice,
        max_fee: Msat::ZERO,
        patience: Duration::from_secs(10),
    };
    let preimage = buyer.payer().pay(order).await.unwrap().preimage;
    challenge.authorization(&preimage).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_same_loop_without_a_proxy() {
    let (buyer, seller) = FakeNetwork::pair();
    let layer = open(sale(tariff(), &seller)).await;
    let mut service = gated(layer.clone());
    let (asked, _) = ask(&mut service, "/x", &[]).await;
    let credential = pay(&buyer, &asked).await;
    let elsewhere = [("x-original-url", "/y"), ("x_http_method_override", "PUT")];
    let credential = [("authorization", credential.as_str()), elsewhere[0], elsewhere[1]];
    let (paid, body) = ask(&mut service, "/x", &credential).await;
    assert_eq!(paid.status(), 200);
    assert!(body.starts_with("paid ") && body.ends_with(" false"), "{body}");
    assert_eq!(ask(&mut service, "/free", &[]).await.1, "free false");
    assert_eq!(ask(&mut service, "/free/../x", &[]).await.0.status(), 400);
    // Each 402 points to the price list, and it is there.
    let (list, text) = ask(&mut service, "/.well-known/l402.json", &[]).await;
    assert_eq!(list.status(), 200);
    assert!(text.contains("\"price_msat\":10000"), "{text}");
    // A token that is revoked opens nothing any more, at once.
    let token = Offers::read(asked.headers()).challenges.remove(0).token;
    let macaroon = token.macaroons().unwrap().remove(0);
    let token = l402::Identifier::parse(macaroon.identifier()).unwrap().token_id;
    layer.gateway().revoke(token, None).await.unwrap();
    assert_eq!(ask(&mut service, "/x", &credential).await.0.status(), 402);
}

#[tokio::test]
async fn every_way_to_end_is_the_proxys() {
    let (_, seller) = FakeNetwork::pair();
    let off = open(sale(Tariff::off("api").unwrap(), &seller)).await;
    assert_eq!(ask(&mut gated(off), "/x", &[]).await.1, "off false");

    let refusing = tariff().bad_credential(BadCredential::Refuse);
    let mut service = gated(open(sale(refusing, &seller)).await);
    let counted = l402(&mint(&keyring(), &["services=api:0", "request_count=1"]));
    let local = l402(&mint(&keyring(), &["services=api:0", "client_ip=10.0.0.0/8"]));
    for (headers, status) in [
        (vec![("authorization", "L402 x")], 401),
        (vec![("authorization", counted.as_str())], 200),
        (vec![("authorization", counted.as_str())], 401),
        (vec![("authorization", local.as_str())], 401),
        (vec![("authorization", local.as_str()), ("x-from", "10.1.2.3")], 200),
        (vec![("authorization", "Bearer x")], 402),
    ] {
        assert_eq!(ask(&mut service, "/x", &headers).await.0.status(), status, "{headers:?}");
    }
    let grpc = ask(&mut service, "/x", &[("content-type", "application/grpc")]).await.0;
    assert_eq!(grpc.status(), 200);
    assert_eq!(grpc.headers()["grpc-status"], "13");
    seller.set_link(Link::Down);
    let failed = ask(&mut service, "/x", &[]).await.0;
    assert_eq!(failed.status(), 503);
    assert_eq!(failed.headers()["retry-after"], "5");
}

#[tokio::test]
async fn freebies_and_limits_hold_here_too() {
    let (_, seller) = FakeNetwork::pair();
    let tariff = tariff().freebies(some(2), Duration::from_secs(3600));
    let limit = Limit::on("2/1h".parse().unwrap(), By::Address, "/free").unwrap();
    let unpaid = Unpaid { by_address: Some("1/1h".parse().unwrap()), total: None, shared: false };
    let networks = ["127.0.0.1/32".parse().unwrap()];
    let sale = sale(tariff, &seller).limit(limit).unpaid(unpaid);
    let sale = sale.trusted_proxies(&networks, Told::ForwardedFor);
    let mut service = gated(open(sale).await);
    let mut from = async |client: &str, path: &str| {
        let headers = [("x-from", "127.0.0.1"), ("x-forwarded-for", client)];
        let (head, body) = ask(&mut service, path, &headers).await;
        (head.status().as_u16(), body)
    };
    assert_eq!(from("192.0.2.1", "/x").await, (200, "freebie false".to_owned()));
    assert_eq!(from("192.0.2.9", "/x").await.0, 200, "a neighbour's");
    assert_eq!(from("192.0.2.1", "/x").await.0, 402);
    assert_eq!(from("192.0.2.1", "/x").await.0, 429, "one bill an hour");
    assert_eq!(
        (from("192.0.2.1", "/free").await.0, from("192.0.2.1", "/free").await.0),
        (200, 200)
    );
    assert_eq!(from("192.0.2.1", "/free").await.0, 429, "two requests an hour");
    assert_eq!(from("198.51.100.1", "/x").await.0, 200, "somebody else");
    assert_eq!(seller.invoices(), 1);
}

#[tokio::test]
async fn rules_have_prices_of_their_own() {
    let (buyer, seller) = FakeNetwork::pair();
    let dear = Rule::new("dear").unwrap().path("/dear").unwrap();
    let tariff = tariff().rule(dear.price("500 sat".parse().unwrap()).unwrap()).unwrap();
    let mut service = gated(open(sale(tariff, &seller)).await);
    let (asked, _) = ask(&mut service, "/x", &[]).await;
    let cheap = pay(&buyer, &asked).await;
    let (asked, _) = ask(&mut service, "/dear", &[("authorization", &cheap)]).await;
    let price = Offers::read(asked.headers()).challenges[0].invoice.amount();
    assert_eq!(price, "500 sat".parse().unwrap());
    let dear = pay(&buyer, &asked).await;
    assert_eq!(ask(&mut service, "/dear", &[("authorization", &dear)]).await.0.status(), 200);
    assert_eq!(ask(&mut service, "/x", &[("authorization", &dear)]).await.0.status(), 402);
}

#[tokio::test]
async fn one_payment_opens_one_request_and_gets_a_receipt() {
    let (buyer, seller) = FakeNetwork::pair();
    let schemes = Schemes { l402: false, charge: Some(l402::scheme::Field::Authorization) };
    let mut service = gated(open(sale(tariff().schemes(schemes), &seller)).await);
    let (asked, _) = ask(&mut service, "/x", &[]).await;
    let line = pay(&buyer, &asked).await;
    let paid = ask(&mut service, "/x", &[("authorization", &line)]).await.0;
    assert_eq!(paid.status(), 200);
    assert!(paid.headers().contains_key("payment-receipt"));
    assert_eq!(paid.headers()["cache-control"], "private");
    assert_eq!(ask(&mut service, "/x", &[("authorization", &line)]).await.0.status(), 402);
}

#[tokio::test]
async fn a_configuration_describes_several_services_and_can_be_replaced() {
    let (_, seller) = FakeNetwork::pair();
    let service = |name: &str, rest: &str| {
        format!("[[service]]\nname = '{name}'\nprice = '10 sat'\n{rest}\n")
    };
    let none = "upstream = 'none'";
    let text = service("a", &format!("path = '/a'\n{none}"))
        + &service("b", &format!("path = '/b'\nhost = 'b.example'\n{none}"))
        + &service("c", "path = '/c'\nupstream = 'http://127.0.0.1:1'");
    let config = Config::read(&text).unwrap();
    let gateway = Gateway::open(&config, seller.invoicer(), keyring()).await.unwrap();
    let mut service = gated(TollwayLayer::of(gateway.clone()));
    let a = l402(&mint(&keyring(), &["services=a:0"]));
    let mut with_a = async |path: &str, host: &str| {
        let headers = [("authorization", a.as_str()), ("host", host)];
        ask(&mut service, path, &headers).await.0.status().as_u16()
    };
    assert_eq!((with_a("/a", "x").await, with_a("/b", "b.example").await), (200, 402));
    assert_eq!((with_a("/b", "x").await, with_a("/c", "x").await), (404, 404));
    let text = text.replace("'/a'", "'/d'");
    gateway.replace(&Config::read(&text).unwrap()).unwrap();
    assert_eq!((with_a("/a", "x").await, with_a("/d", "x").await), (404, 200));
}
