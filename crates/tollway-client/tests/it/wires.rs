//! The way to the server: what breaks on it, what others could see on it, and what passes over it.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use testkit::{Act, FakeNetwork, Origin};
use tollway_client::{
    Body, Client, Cookies, Error, HttpErrorKind, MemoryWallet, MoneyMoved, Payment, RedirectError,
    Request, Timeouts, Transport,
};

use crate::buying::{client, get, terms, text};
use crate::seller::{Rules, Seller};

/// Long enough for whatever is expected to come, on a busy machine.
const LONG: Duration = Duration::from_secs(20);
/// Waited out where nothing is expected to come.
const SHORT: Duration = Duration::from_millis(400);

fn waiting(answer: Duration, idle: Duration) -> Client {
    let timeouts = Timeouts { connect: LONG, answer, idle };
    let wallet = Arc::new(MemoryWallet::new());
    Client::builder(wallet, terms()).timeouts(timeouts).build().unwrap()
}

fn kind(error: &Error) -> HttpErrorKind {
    match error {
        Error::Http(error) | Error::NoAnswer { source: error, .. } => error.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_without_the_query() {
    let port = Origin::start().await.address().port();
    let request = get(&format!("http://127.0.0.1:{port}/x?key=hunter2"));
    let error = waiting(LONG, LONG).fetch(&request).await.unwrap_err();
    assert_eq!((kind(&error), error.money_moved()), (HttpErrorKind::Connect, MoneyMoved::No));
    let mut said = format!("{error} {error:?}");
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        said.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let origin = Origin::start().await;
    let error = waiting(SHORT, LONG).fetch(&get(&origin.url("/slow"))).await.unwrap_err();
    assert_eq!(kind(&error), HttpErrorKind::Timeout);
    let error = waiting(LONG, LONG).fetch(&get(&origin.url("/fail"))).await.unwrap_err();
    assert_eq!(kind(&error), HttpErrorKind::Broken);
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let origin = Origin::start().await;
    let mut dripping = waiting(LONG, SHORT).fetch(&get(&origin.url("/drip"))).await.unwrap();
    assert_eq!(dripping.chunk().await.unwrap_err().kind, HttpErrorKind::Timeout);
    let mut broken = waiting(LONG, LONG).fetch(&get(&origin.url("/broken"))).await.unwrap();
    assert_eq!(broken.chunk().await.unwrap().unwrap().len(), 500);
    assert_eq!(broken.chunk().await.unwrap_err().kind, HttpErrorKind::Broken);
}

/// A download may take as long as it likes while something comes.
#[tokio::test]
async fn a_long_body_has_no_limit_of_its_own() {
    let origin = Origin::start().await;
    let limit = SHORT * 3;
    let mut dripping = waiting(limit, limit).fetch(&get(&origin.url("/drip"))).await.unwrap();
    for n in 0..5 {
        tokio::time::sleep(limit / 4).await;
        origin.drip();
        assert_eq!(dripping.chunk().await.unwrap().unwrap(), format!("drip {n}\n"));
    }
}

/// Nor does any limit of a connection count the time that a payment takes.
#[tokio::test]
async fn a_payment_may_take_longer_than_an_answer() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let limit = SHORT * 2;
    let timeouts = Timeouts { answer: limit, idle: limit, connect: limit };
    let wallet = Arc::new(MemoryWallet::new());
    let client = Client::builder(wallet, terms()).payer(buyer.payer()).timeouts(timeouts);
    let client = client.build().unwrap();
    let slow = buyer.next(Act::SlowReply);
    let request = get(&seller.url("/weather"));
    let call = tokio::spawn(async move { client.fetch(&request).await.map(drop) });
    slow.arrived().await;
    tokio::time::sleep(limit + SHORT / 4).await;
    slow.proceed();
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn no_answer_after_payment_keeps_the_proof() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { breaks: true, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));
    let error = client.fetch(&request).await.unwrap_err();
    assert_eq!((kind(&error), error.money_moved()), (HttpErrorKind::Broken, MoneyMoved::Yes));
    assert_eq!(error.payment(), Some(node.received()[0].0));

    seller.rules().breaks = false;
    let response = client.fetch(&request).await.unwrap();
    assert!(matches!(response.payment(), Payment::Token(_)));
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn a_file_is_sent_from_its_start_each_time() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let content = "0123456789".repeat(20_000);
    file.write_all(content.as_bytes()).unwrap();
    let request = Request::new(Method::PUT, seller.url("/store").parse().unwrap()).unwrap();
    let response = client(&buyer).fetch(&request.body(Body::file(file.path()))).await.unwrap();
    assert_eq!(text(response).await, format!("PUT /store {content}"));
    for heard in seller.heard() {
        assert_eq!(heard.headers["content-length"], "200000");
        assert_eq!(heard.body.len(), 200_000);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_said_before_anything_is_sent() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let request = get(&seller.url("/store")).body(Body::file("/nowhere/at/all"));
    let error = client(&buyer).fetch(&request).await.unwrap_err();
    assert_eq!(kind(&error), HttpErrorKind::RequestBody);
    assert!(seller.heard().is_empty());
}

#[tokio::test]
async fn over_tls_http2_is_spoken_to_a_trusted_server_and_to_no_other() {
    let (buyer, node) = FakeNetwork::pair();
    let (seller, certificate) = Seller::start_tls(&node, Rules::default()).await;
    let url = format!("https://localhost:{}/weather", seller.port());
    let error = client(&buyer).fetch(&get(&url)).await.unwrap_err();
    assert_eq!(kind(&error), HttpErrorKind::Connect);
    assert!(seller.heard().is_empty());

    let wallet = Arc::new(MemoryWallet::new());
    let trusting = Client::builder(wallet, terms()).payer(buyer.payer());
    let trusting = trusting.root_certificate(certificate).build().unwrap();
    let response = trusting.fetch(&get(&url)).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert!(matches!(response.payment(), Payment::Bought(_)));
    assert_eq!(text(response).await, "GET /weather ");

    // A token of the https origin is not for http, and a redirect there is not followed.
    let down = format!("http://localhost:{}/weather", seller.port());
    seller.rules().redirects.insert("/down".to_owned(), (302, down));
    let url = format!("https://localhost:{}/down", seller.port());
    let error = trusting.fetch(&get(&url).follow(3)).await.unwrap_err();
    let down = matches!(&error, Error::Redirect { why: RedirectError::Downgrade(_), .. });
    assert!(down, "{error:?}");
}

/// 0.0.0.0 is this machine, and does not say so.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_is_paid_or_shown_over_plain_http_unless_the_caller_insists() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let url = format!("http://0.0.0.0:{}/weather", seller.port());
    let wallet = Arc::new(MemoryWallet::new());
    let careful = Client::builder(wallet.clone(), terms()).payer(buyer.payer());
    let careful = careful.build().unwrap();
    let free = format!("http://0.0.0.0:{}/free", seller.port());
    careful.fetch(&get(&free)).await.unwrap();
    let error = careful.fetch(&get(&url)).await.unwrap_err();
    assert!(matches!(error, Error::Insecure(_)), "{error:?}");
    assert_eq!((error.money_moved(), buyer.orders().len()), (MoneyMoved::No, 0));

    let bold = Client::builder(wallet, terms()).payer(buyer.payer()).allow_plain_http();
    let bold = bold.build().unwrap();
    bold.fetch(&get(&url)).await.unwrap();
    assert!(matches!(bold.fetch(&get(&url)).await.unwrap().payment(), Payment::Token(_)));
    // What the bold one bought, the careful one does not show.
    careful.fetch(&get(&url)).await.unwrap_err();
    assert!(seller.heard().last().unwrap().authorization().is_empty());
}

/// Keeps one cookie, whatever it is told.
#[derive(Debug, Default)]
struct OneCookie(std::sync::Mutex<Option<http::HeaderValue>>);

impl Cookies for OneCookie {
    fn for_url(&self, _: &url::Url) -> Option<http::HeaderValue> {
        self.0.lock().unwrap().clone()
    }

    fn received(&self, _: &url::Url, lines: &mut dyn Iterator<Item = &http::HeaderValue>) {
        *self.0.lock().unwrap() = lines.next().cloned();
    }
}

#[tokio::test]
async fn a_host_that_is_given_an_address_is_not_looked_up_and_is_paid_only_within_this_machine() {
    let origin = Origin::start().await;
    let mut transport = Transport::default();
    let address = (origin.address().ip(), 0).into();
    transport.hosts.insert("nowhere.localhost".to_owned(), vec![address]);
    transport.cookies = Some(Arc::new(OneCookie(Some("a=1".parse().unwrap()).into())));
    let wallet = Arc::new(MemoryWallet::new());
    let client = Client::builder(wallet, terms()).transport(transport).build().unwrap();
    let url = format!("http://nowhere.localhost:{}/x", origin.address().port());
    assert_eq!(client.fetch(&get(&url)).await.unwrap().status(), 200);
    assert_eq!(origin.received()[0].headers["cookie"], "a=1");
}
