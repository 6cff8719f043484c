//! The gate as a tower layer, in front of a service in the same process.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use l402::{Keyring, MasterKey, Msat, Offers, PayOrder};
use testkit::{FakeNetwork, FakeNode, Link};
use tollway_gateway::{BadCredential, Basis, GateLayer, Permit, Tariff};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use crate::shop::{l402, mint};

type Answer = Response<http_body_util::Either<Full<bytes::Bytes>, Full<bytes::Bytes>>>;

fn keyring() -> Keyring {
    Keyring::new(MasterKey::new([7; 32]), vec![])
}

/// A service that says on what basis it was reached, and whether it saw a credential.
fn gated(
    tariff: Tariff,
    seller: &FakeNode,
) -> impl Service<Request<String>, Response = Answer, Error = Infallible> + Clone {
    let inner = service_fn(|request: Request<String>| async move {
        let basis = match request.extensions().get::<Arc<Permit>>().unwrap().basis() {
            Basis::Once(charged) => format!("once {}", charged.payment_hash()),
            Basis::Paid(verified) => format!("paid {}", verified.payment_hash()),
            Basis::Free => "free".to_owned(),
            Basis::Off => "off".to_owned(),
            Basis::Freebie => "freebie".to_owned(),
        };
        let seen = request.headers().contains_key("authorization");
        Ok::<_, Infallible>(Response::new(Full::from(format!("{basis} {seen}"))))
    });
    let gate = GateLayer::new(tariff, seller.invoicer(), keyring()).client_ip(|head| {
        Some(head.headers.get("x-from")?.to_str().ok()?.parse().expect("an address"))
    });
    ServiceBuilder::new().layer(gate).service(inner)
}

fn tariff() -> Tariff {
    Tariff::new("api", "10 sat".parse().unwrap()).unwrap().free("/free").unwrap()
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

#[tokio::test]
async fn the_same_loop_without_a_proxy() {
    let (buyer, seller) = FakeNetwork::pair();
    let mut service = gated(tariff(), &seller);
    let (asked, _) = ask(&mut service, "/x", &[]).await;
    assert_eq!(asked.status(), 402);
    let challenge = Offers::read(asked.headers()).challenges.remove(0);
    let order = PayOrder {
        invoice: &challenge.invoice,
        max_fee: Msat::ZERO,
        patience: Duration::from_secs(10),
    };
    let preimage = buyer.payer().pay(order).await.unwrap().preimage;
    let credential = challenge.authorization(&preimage);
    let credential = [("authorization", credential.to_str().unwrap())];
    let (paid, body) = ask(&mut service, "/x", &credential).await;
    assert_eq!(paid.status(), 200);
    assert_eq!(body, format!("paid {} false", challenge.invoice.payment_hash()));
    assert_eq!(ask(&mut service, "/free", &[]).await.1, "free false");
    assert_eq!(ask(&mut service, "/free/../x", &[]).await.0.status(), 400);
}

#[tokio::test]
async fn every_way_to_end_is_the_proxys() {
    let (_, seller) = FakeNetwork::pair();
    let off = ask(&mut gated(Tariff::off("api").unwrap(), &seller), "/x", &[]).await;
    assert_eq!(off.1, "off false");

    let mut service = gated(tariff().bad_credential(BadCredential::Refuse), &seller);
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
