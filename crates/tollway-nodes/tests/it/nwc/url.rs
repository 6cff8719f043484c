//! What a `nostr+walletconnect:` URL can say, and what is said when there is no relay.

use l402::{NodeErrorKind, OpenError};
use testkit::FakeNetwork;

use super::open_url;
use super::service::{Running, Service};

const KEY: &str = "7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e";

async fn bad(url: &str) -> String {
    match open_url(url).await {
        Err(error @ OpenError::BadUrl { driver: "nwc", .. }) => {
            assert!(!format!("{error} {error:?}").contains("5ec4e7"), "{error}");
            let OpenError::BadUrl { parameter, .. } = error else { unreachable!("it is that one") };
            parameter
        }
        other => panic!("{url}: a bad URL was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn what_a_url_cannot_say_is_refused_by_name() {
    let relay = "relay=wss%3A%2F%2Fr.example";
    let secret = format!("secret={}", "71".repeat(32));
    for (url, parameter) in [
        (format!("nostr+walletconnect://abc?{relay}&{secret}"), "wallet's key"),
        (format!("nostr+walletconnect://{KEY}:1?{relay}&{secret}"), "port"),
        (format!("nostr+walletconnect://{KEY}?{secret}"), "relay"),
        (format!("nostr+walletconnect://{KEY}?relay=https://r&{secret}"), "relay"),
        (format!("nostr+walletconnect://{KEY}?{relay}"), "secret"),
        (format!("nostr+walletconnect://{KEY}?{relay}&secret=5ec4e7"), "secret"),
        (format!("nostr+walletconnect://{KEY}?{relay}&secret=file:/no/such/5ecret"), "secret"),
        (format!("nostr+walletconnect://{KEY}?{relay}&{secret}&fees=0"), "fees"),
        (format!("nostr+walletconnect://{KEY}?{relay}&{secret}&network=x"), "network"),
        (format!("nostr+walletconnect://{KEY}?{relay}&{secret}&budget=1"), "budget"),
        ("https://wallet.example".to_owned(), "url"),
    ] {
        assert_eq!(bad(&url).await, parameter, "{url}");
    }
}

#[tokio::test]
async fn a_wallets_url_is_a_secret_and_is_kept_at_a_place() {
    let secret = "71".repeat(32);
    let shown = format!("nostr+walletconnect://{KEY}?relay=ws://127.0.0.1:1&secret={secret}");
    let Err(OpenError::BadUrl { parameter, problem, .. }) = crate::running::open_url(&shown).await
    else {
        panic!("others see a URL")
    };
    assert_eq!(parameter, "secret");
    assert!(problem.contains("file:/path") && !problem.contains(&secret), "{problem}");

    let folder = tempfile::tempdir().unwrap();
    let (whole, part) = (folder.path().join("url"), folder.path().join("secret"));
    std::fs::write(&whole, format!("{shown}\n")).unwrap();
    std::fs::write(&part, secret).unwrap();
    for url in [
        format!("nostr+walletconnect:file:{}?fees=wallet", whole.display()),
        format!("{}file:{}", shown.split_once("71").unwrap().0, part.display()),
    ] {
        // It is read, and then nobody is there.
        let Err(OpenError::Node(error)) = crate::running::open_url(&url).await else {
            panic!("{url}")
        };
        assert_eq!(error.kind, NodeErrorKind::Unreachable);
    }
    for nothing in ["nostr+walletconnect:file:/no/such/file", "nostr+walletconnect:env:UNSET"] {
        let nothing = crate::running::open_url(nothing).await;
        assert!(matches!(nothing, Err(OpenError::BadUrl { parameter, .. }) if parameter == "url"));
    }
}

#[tokio::test]
async fn no_relay_is_unreachable_and_another_network_is_refused() {
    let (buyer, _) = FakeNetwork::pair();
    let relay = Running::start().await;
    let url = Service::over(buyer).serve(relay.port).await;
    let dead = url.replace(&relay.port.to_string(), "1");
    let Err(OpenError::Node(error)) = open_url(&dead).await else { panic!("nobody is there") };
    assert_eq!(error.kind, NodeErrorKind::Unreachable);
    assert!(open_url(&format!("{url}&network=regtest")).await.is_ok());
    assert_eq!(bad(&format!("{url}&network=mainnet")).await, "network");
}
