//! One line for each request, however it ends, and nothing in it that opens anything.

use std::io::Write;
use std::sync::{Arc, Mutex};

use testkit::Link;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::raw::{Raw, get};
use crate::shop::{Shop, l402};

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// Everything this thread logs from now on, and with it everything in a test's own runtime.
    pub(crate) fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn access(&self) -> Vec<String> {
        let text = self.text();
        text.lines().filter(|line| line.contains("tollway::access")).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn each_request_has_one_line_with_its_basis() {
    let (lines, _guard) = Lines::capture();
    let shop = Shop::with("free = ['/free', '/fail']").await;
    let credential = l402(&shop.mint(&["services=api:0"]));
    let paid = [("authorization", credential.as_str())];
    let asked = [("authorization", "L402 x")];
    let story = [
        ("/paid?key=hunter2", &paid[..], "200", "basis=\"paid\""),
        ("/free", &[], "200", "basis=\"free\""),
        ("/x", &[], "402", "basis=\"asked\" why=\"no credential\""),
        ("/x", &asked, "402", "basis=\"asked\" why=\"the credential cannot be read\""),
        ("/fail", &[], "502", "basis=\"free\" why=\"upstream\""),
        ("/a/../b", &[], "400", "basis=\"refused\" why=\"not a plain request\""),
    ];
    for (number, (path, headers, status, basis)) in story.into_iter().enumerate() {
        let mut raw = Raw::connect(shop.address).await;
        let headers: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        raw.write(get(path, &[&headers[..], &["connection: close"]].concat())).await;
        raw.rest().await;
        let access = lines.access();
        assert_eq!(access.len(), number + 1, "{access:#?}");
        let line = &access[number];
        for part in [basis, &format!("status={status}"), "client=127.0.0.1", "ms=", "end=\"whole\""]
        {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(line.contains(path.split('?').next().unwrap()), "{line}");
    }
    shop.seller.set_link(Link::Down);
    shop.get("/x", &[]).await;
    assert!(lines.access()[6].contains("basis=\"failed\" why=\"no invoice\" status=503"));
}

#[tokio::test]
async fn a_client_that_goes_away_has_its_line_too() {
    let (lines, _guard) = Lines::capture();
    let shop = Shop::with("free = '/*'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/drip", &[])).await;
    shop.origin.drip();
    raw.read_to("drip 0").await;
    drop(raw);
    shop.origin.quiet().await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/slow", &[])).await;
    shop.origin.arrived(2).await;
    drop(raw);
    while lines.access().len() < 2 {
        tokio::task::yield_now().await;
    }
    let access = lines.access();
    assert!(access[0].contains("status=200 bytes=7") && access[0].contains("end=\"cut off\""));
    assert!(!access[1].contains("status=") && access[1].contains("end=\"cut off\""), "{access:?}");
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_named_in_the_line() {
    let (lines, _guard) = Lines::capture();
    let shop = Shop::with("free = '/broken'").await;
    let mut raw = Raw::connect(shop.address).await;
    raw.write(get("/broken", &[])).await;
    raw.rest().await;
    let [line] = &lines.access()[..] else { panic!("one request") };
    assert!(line.contains("status=200 bytes=500") && line.contains("end=\"upstream broke off\""));
}

#[tokio::test]
async fn no_log_line_of_any_level_opens_anything() {
    let (lines, _guard) = Lines::capture();
    let shop = Shop::open().await;
    let credential = shop.buy("/x").await;
    let (token, preimage) = credential.split_once(':').unwrap();
    let other = shop.mint(&["services=other:0"]);
    for value in [l402(&credential), l402(&other), format!("L402 {token}:zz{preimage}")] {
        shop.get("/x?secret=hunter2", &[("authorization", &value)]).await;
    }
    let text = lines.text();
    assert!(text.contains("tollway::access"));
    // The client of these tests shares the thread; what other crates say is not ours to judge.
    let ours: String = text.lines().filter(|line| line.contains("tollway")).collect();
    for secret in [token, preimage, "hunter2", "lnbcrt", other.split(':').next().unwrap()] {
        assert!(!ours.contains(secret), "{ours}");
    }
}
