//! Payments that are each good for one request: the `Payment` scheme, beside tokens or alone.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use l402::{Msat, Offers};
use tokio::task::JoinSet;

use crate::shop::{self, Answer, Shop, l402};

const BOTH: &str = "schemes = ['l402', 'mpp']";

/// Pays the one-time challenge of an answer, and returns the `Authorization` value for it.
async fn pay(shop: &Shop, asked: &Answer) -> String {
    assert_eq!(asked.status, 402, "{asked:?}");
    let offers = Offers::read(&asked.headers);
    let once = offers.challenges.into_iter().find(|offer| offer.scheme.name() == "Payment");
    let once = once.unwrap_or_else(|| panic!("{asked:?}"));
    let preimage = shop.pay(&once).await;
    once.authorization(&preimage).to_str().unwrap().to_owned()
}

async fn buy(shop: &Shop, path: &str) -> String {
    pay(shop, &shop.get(path, &[]).await).await
}

async fn with(shop: &Shop, path: &str, credential: &str) -> Answer {
    shop.get(path, &[("authorization", credential)]).await
}

fn problem(answer: &Answer) -> String {
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let json = answer.json();
    assert_eq!(json["status"], 402);
    json["type"].as_str().unwrap().rsplit_once("problems/").unwrap().1.to_owned()
}

#[tokio::test]
async fn one_payment_is_one_request_with_a_receipt() {
    let shop = Shop::with(BOTH).await;
    let asked = shop.get("/x?y=1", &[]).await;
    let words: Vec<_> = asked.lines("www-authenticate");
    let schemes: Vec<_> = words.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(schemes, ["LSAT", "L402", "Payment"]);
    assert_eq!(
        (problem(&asked).as_str(), asked.lines("cache-control")),
        ("payment-required", vec!["no-store"])
    );
    let credential = pay(&shop, &asked).await;
    let paid = with(&shop, "/x?y=1", &credential).await;
    assert_eq!((paid.status.as_u16(), paid.body.as_str()), (200, "origin: GET /x\n"));
    assert_eq!(paid.lines("cache-control"), ["private"]);
    assert_eq!(paid.lines("payment-receipt").len(), 1);
    let again = with(&shop, "/x?y=1", &credential).await;
    assert_eq!(problem(&again), "lightning/unknown-challenge");
    assert_eq!(again.lines("payment-receipt").len(), 0);
    assert_eq!(shop.hits(), 1);
    // The upstream saw neither the credential nor the preimage.
    assert!(!format!("{:?}", shop.origin.received()).contains(&credential[8..]));
    // A token is bought and works as before, with the same invoice or another.
    let token = l402(&shop.buy("/x").await);
    for _ in 0..2 {
        assert_eq!(with(&shop, "/x", &token).await.status, 200);
    }
}

#[tokio::test]
async fn a_payment_opens_the_request_that_it_was_for_and_no_other() {
    let shop = Shop::configured(|origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='cheap'\npath='/cheap'\nprice='1 sat'\nupstream='{url}'\n{BOTH}\n\
             [[service]]\nname='dear'\npath='/dear'\nprice='1000 sat'\nupstream='{url}'\n{BOTH}"
        )
    });
    let shop = shop.await;
    let credential = buy(&shop, "/cheap/a?b=c").await;
    for other in ["/dear/a?b=c", "/cheap/b?b=c", "/cheap/a", "/cheap/a?b=d"] {
        let refused = with(&shop, other, &credential).await;
        assert_eq!(problem(&refused), "lightning/unknown-challenge", "{other}");
    }
    let post = shop.request("POST", "/cheap/a?b=c", &[("authorization", &credential)]);
    assert_eq!(shop.send(post).await.status, 402);
    let host = [("authorization", credential.as_str()), ("host", "other.example")];
    assert_eq!(shop.get("/cheap/a?b=c", &host).await.status, 402);
    assert_eq!(shop.hits(), 0);
    assert_eq!(with(&shop, "/cheap/a?b=c", &credential).await.status, 200, "still unused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_with_one_payment_one_gets_through_at_two_gateways_too() {
    let fixture = crate::store::sqlite().await.unwrap();
    let open = async || {
        Shop::configured(|origin| {
            let (url, upstream) = (fixture.url(), origin.url(""));
            format!(
                "store='{url}'\n[[service]]\nname='api'\nprice='10 sat'\nupstream='{upstream}'\n\
                 schemes = 'mpp'"
            )
        })
        .await
    };
    let shops = [Arc::new(open().await), Arc::new(open().await)];
    let host = [("host", "api.example")];
    let credential = pay(&shops[0], &shops[0].get("/x", &host).await).await;
    let mut requests = JoinSet::new();
    for number in 0..40 {
        let (shop, credential) = (Arc::clone(&shops[number % 2]), credential.clone());
        requests.spawn(async move {
            let headers = [("authorization", credential.as_str()), ("host", "api.example")];
            let request = shop.request("GET", "/x", &headers);
            Answer::read(shop::client().request(request).await.unwrap()).await.status.as_u16()
        });
    }
    let statuses = requests.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 402).count(), 39);
    assert_eq!(shops[0].hits() + shops[1].hits(), 1);
}

#[tokio::test]
async fn the_same_request_with_its_key_gets_the_same_answer() {
    let shop = Shop::with(BOTH).await;
    let send = async |credential: &str, key: &str, path: &str| {
        let headers = [("authorization", credential), ("idempotency-key", key)];
        let mut request = shop.request("POST", path, &headers);
        *request.body_mut() = Full::new(Bytes::from_static(b"order"));
        shop.send(request).await
    };
    let asked = shop.send(shop.request("POST", "/order", &[])).await;
    let credential = pay(&shop, &asked).await;
    let first = send(&credential, "k1", "/order").await;
    assert_eq!(first.status, 200, "{first:?}");
    // It is kept when the answer has left, a moment later.
    let mut again = send(&credential, "k1", "/order").await;
    while again.status == 409 {
        tokio::task::yield_now().await;
        again = send(&credential, "k1", "/order").await;
    }
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.lines("payment-receipt"), first.lines("payment-receipt"));
    assert_eq!(shop.hits(), 1, "the upstream saw it once");
    assert_eq!(send(&credential, "k2", "/order").await.status, 402);
    assert_eq!(with(&shop, "/order", &credential).await.status, 402);
    assert_eq!(shop.hits(), 1);
}

#[tokio::test]
async fn a_payment_is_still_good_when_the_upstream_could_not_be_reached() {
    let closed = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let nowhere = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let service = |upstream: &str| {
        let text =
            format!("[[service]]\nname='api'\nprice='10 sat'\nupstream='{upstream}'\n{BOTH}");
        tollway_gateway::Config::read(&text).unwrap()
    };
    let shop = Shop::with(BOTH).await;
    let credential = buy(&shop, "/x").await;
    shop.gateway.replace(&service(&nowhere)).unwrap();
    let failed = with(&shop, "/x", &credential).await;
    assert_eq!((failed.status.as_u16(), failed.lines("payment-receipt").len()), (502, 0));
    shop.gateway.replace(&service(&shop.origin.url(""))).unwrap();
    assert_eq!(with(&shop, "/x", &credential).await.status, 200);
    assert_eq!(with(&shop, "/x", &credential).await.status, 402);
}

#[tokio::test]
async fn a_client_that_can_pay_otherwise_is_not_made_an_invoice_of_its_own() {
    // A price that is not in whole satoshis needs two invoices.
    let shop = Shop::configured(|origin| {
        format!("[[service]]\nname='api'\nprice='1500 msat'\nupstream='{}'\n{BOTH}", origin.url(""))
    });
    let shop = shop.await;
    let asked = shop.get("/x", &[]).await;
    assert_eq!(shop.seller.invoices(), 2);
    let amounts: Vec<_> =
        Offers::read(&asked.headers).challenges.iter().map(|c| c.invoice.amount().msat()).collect();
    assert_eq!(amounts, [1500, 1500, 2000], "a satoshi more rather than less");
    let asked = shop.get("/x", &[("accept-payment", "tempo/charge")]).await;
    assert_eq!((asked.lines("www-authenticate").len(), shop.seller.invoices()), (2, 3));
    let asked = shop.get("/x", &[("accept-payment", "lightning/charge")]).await;
    assert_eq!(asked.lines("www-authenticate").len(), 3);
    // In whole satoshis one invoice is for both.
    let whole = Shop::with(BOTH).await;
    whole.get("/x", &[]).await;
    assert_eq!(whole.seller.invoices(), 1);
}

#[tokio::test]
async fn the_credential_can_have_a_header_of_its_own() {
    let shop = Shop::with("schemes = 'mpp'\npayment_header = 'Payment-Authorization'").await;
    let asked = shop.get("/x", &[]).await;
    let [line] = asked.lines("www-authenticate")[..] else { panic!("{asked:?}") };
    // As a client that knows the parameter does it.
    let plain = line.strip_suffix(r#", header="Payment-Authorization""#).unwrap();
    let mut headers = http::HeaderMap::new();
    headers.insert("www-authenticate", plain.parse().unwrap());
    let challenge = Offers::read(&headers).challenges.remove(0);
    let answered = challenge.authorization(&shop.pay(&challenge).await);
    let blob = answered.to_str().unwrap().strip_prefix("Payment ").unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&unbase64(blob)).unwrap();
    json["challenge"]["header"] = "Payment-Authorization".into();
    let credential = format!("Payment {}", base64(json.to_string().as_bytes()));
    assert_eq!(with(&shop, "/x", &credential).await.status, 402, "not in the other header");
    let both = [("authorization", "Bearer app"), ("payment-authorization", credential.as_str())];
    let paid = shop.get("/x", &both).await;
    assert_eq!((paid.status.as_u16(), paid.lines("cache-control")), (200, vec!["private"]));
    let seen = format!("{:?}", shop.origin.received());
    assert!(seen.contains("Bearer app") && !seen.contains("payment-authorization"), "{seen}");
}

#[tokio::test]
async fn two_credentials_are_a_bad_request_and_what_cannot_be_read_is_asked_again() {
    let shop = Shop::with(BOTH).await;
    let (once, token) = (buy(&shop, "/x").await, l402(&shop.buy("/x").await));
    for lines in [[once.as_str(), &once], [&once, &token], [&token, &once]] {
        let headers = lines.map(|line| ("authorization", line));
        assert_eq!(shop.get("/x", &headers).await.status, 400, "{lines:?}");
    }
    let bad = with(&shop, "/x", "Payment junk").await;
    assert_eq!(problem(&bad), "lightning/malformed-credential");
    assert_eq!(shop.hits(), 0);
    // A service that takes no such payments does not know them.
    let tokens = Shop::open().await;
    let asked = with(&tokens, "/x", &once).await;
    assert_eq!((asked.status.as_u16(), asked.lines("www-authenticate").len()), (402, 2));
    // And one that takes nothing else takes no tokens.
    let charges = Shop::with("schemes = 'mpp'").await;
    let minted = l402(&charges.mint(&["services=api:0"]));
    assert_eq!(with(&charges, "/x", &minted).await.status, 402);
    assert_eq!(charges.hits(), 0);
}

#[tokio::test]
async fn an_upstream_gives_no_receipts() {
    let odd = crate::odd::Odd::answering(|_| {
        let answer = http::Response::builder().header("payment-receipt", "forged");
        answer.body(Full::new(Bytes::new())).unwrap()
    });
    let odd = odd.await;
    let shop = Shop::configured(|_| odd.service("")).await;
    assert!(shop.get("/x", &[]).await.lines("payment-receipt").is_empty());
}

#[tokio::test]
async fn a_grpc_client_is_asked_in_grpc() {
    let shop = Shop::with(BOTH).await;
    let asked = shop.get("/x", &[("content-type", "application/grpc")]).await;
    assert_eq!((asked.status.as_u16(), asked.lines("grpc-status")), (200, vec!["13"]));
    assert_eq!(asked.lines("content-type"), ["application/grpc"]);
    assert_eq!(asked.lines("www-authenticate").len(), 3);
}

#[tokio::test]
async fn a_sale_of_one_request_is_written_down() {
    let fixture = crate::store::sqlite().await.unwrap();
    let mut shop = Shop::configured(|origin| {
        let (url, upstream) = (fixture.url(), origin.url(""));
        format!(
            "store='{url}'\n[[service]]\nname='api'\nprice='10 sat'\nupstream='{upstream}'\n\
             schemes = 'mpp'"
        )
    })
    .await;
    let credential = buy(&shop, "/x").await;
    assert_eq!(with(&shop, "/x", &credential).await.status, 200);
    shop.stop();
    let _ = shop.stopped().await;
    let pick = tollway_gateway::store::Pick { limit: 10, ..Default::default() };
    let bills = fixture.open().await.bills(&pick).await.unwrap();
    let [bill] = &bills[..] else { panic!("{bills:?}") };
    assert_eq!((bill.token, bill.price), (None, Msat::from_sat(10)));
    assert!(bill.settled.is_some());
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}
