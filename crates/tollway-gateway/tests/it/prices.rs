//! What a token costs, where that is not one price for the whole service.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use crate::odd::{Odd, nobody};
use crate::shop::{Answer, Shop, l402};

/// What a 402 asks for, in millisatoshi.
fn asked(answer: &Answer) -> u64 {
    answer.challenge().invoice.amount().msat()
}

async fn with_rules() -> Shop {
    Shop::with(
        "[[service.rule]]\nname = 'images'\npath = '/images'\nmethod = 'POST'\nprice = '100 sat'\n\
         [[service.rule]]\nname = 'cheap'\npath = '/cheap'\nprice = '1 msat'\n\
         [[service.rule]]\nname = 'gratis'\npath = 'exact:/gratis'\nprice = '0 sat'\n\
         [[service.rule]]\nname = 'read'\npath = '/read'",
    )
    .await
}

#[tokio::test]
async fn a_path_and_a_method_may_have_a_price_of_their_own() {
    let shop = with_rules().await;
    for (method, path, msat) in [
        ("POST", "/images/x", 100_000),
        ("GET", "/images/x", 10_000),
        ("GET", "/cheap", 1),
        ("GET", "/read/x", 10_000),
        ("GET", "/cheaper", 10_000),
    ] {
        let answer = shop.send(shop.request(method, path, &[])).await;
        assert_eq!(asked(&answer), msat, "{method} {path}");
    }
    assert_eq!(shop.get("/gratis", &[]).await.status, 200);
}

#[tokio::test]
async fn a_cheap_paths_token_does_not_open_a_dear_one() {
    let shop = with_rules().await;
    let cheap = l402(&shop.buy("/cheap").await);
    let base = l402(&shop.buy("/").await);
    for (token, method, path, status) in [
        (&cheap, "GET", "/cheap/x", 200),
        (&cheap, "POST", "/images", 402),
        (&cheap, "GET", "/", 402),
        (&cheap, "GET", "/read", 402),
        (&base, "GET", "/", 200),
        (&base, "GET", "/read", 200),
        (&base, "GET", "/images", 200),
        (&base, "POST", "/images", 402),
        (&base, "GET", "/cheap", 402),
    ] {
        let headers = [("authorization", token.as_str())];
        let answer = shop.send(shop.request(method, path, &headers)).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn no_encoding_makes_a_dear_rule_cheap() {
    let shop = with_rules().await;
    let base = l402(&shop.buy("/").await);
    for trick in ["/chea%70", "/%67ratis", "/%72ead"] {
        let headers = [("authorization", base.as_str())];
        assert_eq!(shop.get(trick, &headers).await.status, 400, "{trick}");
    }
}

/// A pricer that answers with what it is told to, and counts.
struct Teller {
    odd: Odd,
    says: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Teller {
    async fn start() -> Self {
        let says = Arc::new(Mutex::new((200, r#"{"price_msat": 5000}"#.to_owned())));
        let asked = Arc::new(AtomicUsize::new(0));
        let (answer, count) = (Arc::clone(&says), Arc::clone(&asked));
        let odd = Odd::answering(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let (status, body) = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Response::builder().status(status).body(Full::from(body)).unwrap()
        });
        Self { odd: odd.await, says, asked }
    }

    fn say(&self, status: u16, body: &str) {
        *self.says.lock().unwrap_or_else(PoisonError::into_inner) = (status, body.to_owned());
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn priced_by(pricer: &str, keys: &str) -> Shop {
    let text = |origin: &testkit::Origin| {
        let upstream = origin.url("");
        format!("[[service]]\nname='api'\npricer='{pricer}'\nupstream='{upstream}'\n{keys}\n")
    };
    Shop::configured(text).await
}

#[tokio::test]
async fn a_pricer_says_the_price_and_is_asked_once_for_a_route() {
    let teller = Teller::start().await;
    let shop = priced_by(&format!("http://{}/price", teller.odd.address), "").await;
    assert_eq!(asked(&shop.get("/a", &[]).await), 5000);
    assert_eq!(asked(&shop.get("/a?b=c", &[]).await), 5000);
    assert_eq!(teller.asked(), 1);
    teller.say(200, r#"{"price": "7 sat"}"#);
    assert_eq!(asked(&shop.get("/b", &[]).await), 7000);
    assert_eq!(asked(&shop.send(shop.request("POST", "/a", &[])).await), 7000);
    assert_eq!(teller.asked(), 3);
    // Its tokens open the one route that was priced, and no pricer is needed for that.
    let token = l402(&shop.buy("/b").await);
    drop(teller);
    let status = async |method: &str, path: &str| {
        let headers = [("authorization", token.as_str())];
        shop.send(shop.request(method, path, &headers)).await.status.as_u16()
    };
    assert_eq!((status("GET", "/b").await, status("GET", "/b?x").await), (200, 200));
    assert_eq!((status("GET", "/a").await, status("POST", "/b").await), (402, 503));
    // What is encoded without need would be another route to the pricer.
    assert_eq!(status("GET", "/%62").await, 400);
}

#[tokio::test]
async fn a_pricer_that_fails_is_our_fault_and_nobodys_bill() {
    let teller = Teller::start().await;
    let keys = "pricer_keep = '1ms'\npricer_timeout = '1s'";
    let shop = priced_by(&format!("http://{}/price", teller.odd.address), keys).await;
    for (status, body) in [
        (500, r#"{"price_msat": 1}"#),
        (404, r#"{"price_msat": 0}"#),
        (200, ""),
        (200, "{}"),
        (200, r#"{"price_msat": null}"#),
        (200, r#"{"price_msat": 99999999999999999999}"#),
        (200, r#"{"price_msat": 9000000000000000000}"#),
    ] {
        teller.say(status, body);
        let answer = shop.get("/x", &[]).await;
        assert_eq!(answer.status, 503, "{status} {body}");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.headers.contains_key("www-authenticate"));
    }
    let gone = priced_by(&format!("http://{}/", nobody().await), "").await;
    assert_eq!(gone.get("/x", &[]).await.status, 503);
    let mute = Odd::mute().await;
    let silent = format!("http://{}/", mute.address);
    let silent = priced_by(&silent, "pricer_timeout = '50ms'").await;
    assert_eq!(silent.get("/x", &[]).await.status, 503);
    for shop in [shop, gone, silent] {
        assert_eq!((shop.seller.invoices(), shop.hits()), (0, 0));
    }
}

#[tokio::test]
async fn a_pricer_may_say_that_something_costs_nothing() {
    let teller = Teller::start().await;
    teller.say(200, r#"{"price_msat": 0}"#);
    let shop = priced_by(&format!("http://{}/price", teller.odd.address), "").await;
    assert_eq!(shop.get("/x", &[]).await.status, 200);
    assert_eq!(shop.seller.invoices(), 0);
}

#[tokio::test]
async fn aperture_s_own_pricer_says_the_price() {
    let odd = Odd::grpc(|head| {
        assert_eq!(head.uri.path(), "/pricesrpc.Prices/GetPrice");
        Ok(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 21]))
    });
    let odd = odd.await;
    let shop = priced_by(&format!("grpc://{}", odd.address), "").await;
    assert_eq!(asked(&shop.get("/x", &[]).await), 21_000);
    for broken in [Err(2), Ok(Bytes::new()), Ok(Bytes::from_static(&[0, 0, 0, 0, 2, 8]))] {
        let odd = Odd::grpc(move |_| broken.clone()).await;
        let shop = priced_by(&format!("grpc://{}", odd.address), "").await;
        assert_eq!(shop.get("/x", &[]).await.status, 503);
    }
}

#[tokio::test]
async fn aperture_s_own_pricer_is_sent_no_secret() {
    let seen = Arc::new(Mutex::new(String::new()));
    let writes = Arc::clone(&seen);
    let odd = Odd::recording(move |head, body| {
        let text = format!("{head:?} {}", String::from_utf8_lossy(&body));
        *writes.lock().unwrap_or_else(PoisonError::into_inner) = text;
    });
    let odd = odd.await;
    let shop = priced_by(&format!("grpc://{}", odd.address), "").await;
    let headers = [("authorization", "L402 hunter2:hunter2"), ("cookie", "hunter2")];
    assert_eq!(shop.get("/path?hunter2", &headers).await.status, 503);
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(seen.contains("GET /path HTTP/1.1") && !seen.contains("hunter2"), "{seen}");
}

async fn in_dollars(rates: &str, price: &str, keys: &str) -> Shop {
    let text = |origin: &testkit::Origin| {
        let upstream = origin.url("");
        format!(
            "rates = '{rates}'\nrates_pointer = '/{{currency}}/last'\n{keys}\n\
             [[service]]\nname='api'\nprice='{price}'\nupstream='{upstream}'\n"
        )
    };
    Shop::configured(text).await
}

#[tokio::test]
async fn a_price_may_be_in_a_currency_that_has_a_rate() {
    let teller = Teller::start().await;
    teller.say(200, r#"{"USD": {"last": 62500.5}, "EUR": {"last": "50000"}}"#);
    let rates = format!("http://{}/ticker", teller.odd.address);
    let shop = in_dollars(&rates, "0.05 USD", "").await;
    assert_eq!(asked(&shop.get("/a", &[]).await), 80_000);
    assert_eq!(asked(&shop.get("/b", &[]).await), 80_000);
    assert_eq!(teller.asked(), 1);
    let token = l402(&shop.buy("/a").await);
    assert_eq!(shop.get("/b", &[("authorization", &token)]).await.status, 200);
    let euro = in_dollars(&rates, "1 EUR", "").await;
    assert_eq!(asked(&euro.get("/a", &[]).await), 2_000_000);
}

#[tokio::test]
async fn a_rate_that_is_too_old_is_none() {
    let teller = Teller::start().await;
    teller.say(200, r#"{"USD": {"last": 50000}}"#);
    let rates = format!("http://{}/ticker", teller.odd.address);
    let keys = "rates_refresh = '1ms'\nrates_max_age = '2ms'";
    let shop = in_dollars(&rates, "1 USD", keys).await;
    assert_eq!(asked(&shop.get("/a", &[]).await), 2_000_000);
    for (status, body) in [
        (500, r#"{"USD": {"last": 50000}}"#),
        (200, r#"{"USD": {"last": 0}}"#),
        (200, r#"{"USD": {"last": -1}}"#),
        (200, r#"{"USD": {"last": "about 50000"}}"#),
        (200, r#"{"EUR": {"last": 50000}}"#),
    ] {
        teller.say(status, body);
        let before = shop.seller.invoices();
        // The good rate is forgotten two thousandths of a second after it was asked for.
        while shop.get("/a", &[]).await.status == 402 {}
        assert_eq!(shop.get("/a", &[]).await.status, 503, "{status} {body}");
        let after = shop.seller.invoices();
        assert_eq!(shop.get("/a", &[]).await.status, 503);
        assert_eq!(shop.seller.invoices(), after, "{before}");
    }
}
