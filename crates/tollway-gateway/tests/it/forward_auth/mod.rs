//! Other proxies that ask whether a request may pass: real ones, with the configuration that
//! docs/forward-auth.md shows, in front of an origin that says what it saw.

mod by_protocol;
mod caddy;
mod envoy;
mod front;
mod nginx;

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::shop::{Answer, Shop, l402};
use front::Front;

const DOCS: &str = include_str!("../../../../../docs/forward-auth.md");

/// A gateway that serves nothing itself and is asked.
pub(crate) struct Asked {
    pub(crate) shop: Shop,
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Asked {
    /// One service, `api`, for 10 sat, with more keys.
    pub(crate) async fn with(keys: &str) -> Self {
        let text = format!(
            "trusted_proxies = ['127.0.0.1']\nunpaid_per_ip = '20/1h'\n\
             [[service]]\nname = 'api'\nprice = '10 sat'\nupstream = 'none'\nfree = '/free'\n{keys}\n"
        );
        let shop = Shop::configured(|_| text).await;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = shop.gateway.clone();
        let task = tokio::spawn(async move {
            gateway.serve_questions(listener, std::future::pending()).await;
        });
        Self { shop, address, task }
    }

    /// A block of the documentation in that language, with the addresses of this test.
    fn documented(&self, language: &str) -> String {
        self.documented_after("", language)
    }

    /// The first of them after a heading.
    fn documented_after(&self, heading: &str, language: &str) -> String {
        let (_, rest) = DOCS.split_once(heading).expect("a heading");
        let (_, rest) = rest.split_once(&format!("```{language}\n")).expect("a block");
        let (block, _) = rest.split_once("\n```\n").expect("its end");
        block
            .replace("127.0.0.1:8404", &self.address.to_string())
            .replace("127.0.0.1:8402", &self.shop.address.to_string())
            .replace("127.0.0.1:9000", &self.shop.origin.url("")["http://".len()..])
    }

    /// Pays what an answer asks for; the `Authorization` line.
    async fn pay(&self, asked: &Answer) -> String {
        let challenge = asked.challenge();
        let preimage = self.shop.pay(&challenge).await;
        challenge.authorization(&preimage).to_str().unwrap().to_owned()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Everything that must hold behind each of them.
async fn story(asked: &Asked, front: &Front) {
    let hits = asked.shop.hits();
    let bill = front.get("/x?y=1", &[]).await;
    assert_eq!(bill.status, 402, "{bill:?}");
    let schemes: Vec<&str> = bill.lines("www-authenticate");
    assert!(schemes[0].starts_with("LSAT ") && schemes[1].starts_with("L402 "), "{schemes:?}");
    assert_eq!(bill.json()["price_msat"], 10_000, "the buyer sees the whole bill: {bill:?}");
    assert_eq!(bill.lines("cache-control"), ["no-store"]);
    assert_eq!((asked.shop.seller.invoices(), asked.shop.hits()), (1, hits), "asked once");

    let line = asked.pay(&bill).await;
    let forged = [
        ("authorization", line.as_str()),
        ("x-tollway-service", "forged"),
        ("x-tollway-token", "forged"),
        ("macaroon", "00"),
        ("x-original-uri", "/free"),
        ("x-forwarded-uri", "/free"),
    ];
    let paid = front.get("/echo?y=1", &forged).await;
    assert_eq!(paid.status, 200, "{paid:?}");
    let seen = asked.shop.origin.received().pop().unwrap();
    assert_eq!(seen.uri.path_and_query().unwrap().as_str(), "/echo?y=1", "as it was priced");
    let header = |name: &str| seen.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(
        (header("x-tollway-service"), header("x-tollway-basis")),
        (Some("api"), Some("paid"))
    );
    let token = header("x-tollway-token").expect("whose token it was");
    assert!(token.len() == 64 && !line.contains(token), "{token}");
    assert!(header("authorization").unwrap_or_default().is_empty(), "{seen:?}");
    assert!(header("macaroon").unwrap_or_default().is_empty(), "{seen:?}");
    let preimage = line.rsplit(':').next().unwrap();
    assert!(!format!("{seen:?}").contains(preimage));

    // What is free is, with whatever method, and its token is nobody's.
    let free = front.send("POST", "/free", &[("x-tollway-token", "forged")], "body").await;
    assert_eq!(free.status, 200, "{free:?}");
    let seen = asked.shop.origin.received().pop().unwrap();
    assert_eq!((seen.method.as_str(), &seen.body[..]), ("POST", &b"body"[..]));
    let token = seen.headers.get("x-tollway-token").map(|value| value.as_bytes());
    assert!(token.unwrap_or_default().is_empty(), "{seen:?}");

    // Another scheme's credential belongs to the site.
    let both = front.get("/echo", &[("authorization", "Bearer site")]).await;
    assert_eq!(both.status, 402);
    front.get("/free", &[("authorization", "Bearer site")]).await;
    let seen = asked.shop.origin.received().pop().unwrap();
    assert_eq!(seen.headers["authorization"], "Bearer site");
    refusals(asked, front).await;
}

async fn refusals(asked: &Asked, front: &Front) {
    let before = asked.shop.hits();
    // The path that is priced is the path that is served, or nobody serves it.
    for odd in ["/free/..;/x", "/free%2f..%2fx", "/%66ree", "/free/%2e%2e/x", "/free//x"] {
        let answer = front.get(odd, &[]).await;
        assert!(matches!(answer.status.as_u16(), 400 | 402 | 404), "{odd}: {answer:?}");
    }
    assert_eq!(asked.shop.hits(), before, "nothing of it came through");
    let other = l402(&asked.shop.mint(&["services=other:0"]));
    assert_eq!(front.get("/x", &[("authorization", &other)]).await.status, 402);
    // No header leads from what was priced to something else.
    for name in ["x-original-url", "x-rewrite-url", "x-http-method-override", "x_original_url"] {
        let before = asked.shop.hits();
        let answer = front.get("/free", &[(name, "/echo")]).await;
        let seen = asked.shop.origin.received();
        let passed = seen.get(before).is_some_and(|one| one.headers.contains_key(name));
        assert!(!passed && matches!(answer.status.as_u16(), 200 | 400), "{name}: {answer:?}");
    }
    let hits = asked.shop.hits();
    let head = front.send("HEAD", "/x", &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.as_str()), (402, ""));
    asked.shop.seller.set_link(testkit::Link::Down);
    let failed = front.get("/x", &[]).await;
    assert_eq!(failed.status, 503, "our fault is never their bill: {failed:?}");
    asked.shop.seller.set_link(testkit::Link::Up);
    assert_eq!(asked.shop.hits(), hits, "nothing of it came through");
}

/// The list to which a bill points.
async fn price_list(front: &Front) {
    let list = front.get("/.well-known/l402.json", &[]).await;
    assert_eq!((list.status.as_u16(), &list.json()["services"][0]["name"]), (200, &"api".into()));
}

/// Pays for one request; the `Authorization` line.
async fn pay_once(asked: &Asked, front: &Front, path: &str) -> String {
    let bill = front.get(path, &[]).await;
    let offers = l402::Offers::read(&bill.headers);
    let once =
        offers.challenges.into_iter().find(|offer| offer.scheme.name() == "Payment").unwrap();
    let preimage = asked.shop.pay(&once).await;
    once.authorization(&preimage).to_str().unwrap().to_owned()
}

/// A payment for one request has its receipt. The answer to it.
async fn receipt(asked: &Asked, front: &Front) -> Answer {
    let line = pay_once(asked, front, "/r").await;
    let paid = front.get("/r", &[("authorization", &line)]).await;
    assert_eq!((paid.status.as_u16(), paid.lines("payment-receipt").len()), (200, 1), "{paid:?}");
    paid
}

/// A counted token is counted, and a payment for one request is good for one.
async fn counted(asked: &Asked, front: &Front) {
    let counted = l402(&asked.shop.mint(&["services=api:0", "request_count=2"]));
    let headers = [("authorization", counted.as_str())];
    assert_eq!(front.get("/x", &headers).await.status, 200);
    assert_eq!(front.get("/x", &headers).await.status, 200);
    assert_eq!(front.get("/x", &headers).await.status, 402);
    let line = pay_once(asked, front, "/once").await;
    let headers = [("authorization", line.as_str()), ("idempotency-key", "k")];
    assert_eq!(front.get("/once", &headers).await.status, 200);
    assert_eq!(front.get("/once", &headers).await.status, 409, "delivered, and not again");
    assert_eq!(front.get("/once", &headers[..1]).await.status, 402);
}
