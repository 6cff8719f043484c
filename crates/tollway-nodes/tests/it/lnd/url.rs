//! What an `lnd:` URL can say, and what is said when it says something else.

use l402::{NodeErrorKind, OpenError};

use super::rig::open;

async fn bad(url: &str) -> (String, String) {
    match open(url).await {
        Err(error @ OpenError::BadUrl { driver: "lnd", .. }) => {
            let text = format!("{error} {error:?}");
            let OpenError::BadUrl { parameter, .. } = error else { unreachable!("it is that one") };
            (parameter, text)
        }
        other => panic!("{url}: a bad URL was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn what_a_url_cannot_say_is_refused_by_name() {
    for (url, parameter) in [
        ("lnd:", "host"),
        ("lnd:/path", "host"),
        ("lnd://", "host"),
        ("lnd://host\u{7f}/?macaroon=file:/m", "host"),
        ("lnd://h:99999?macaroon=file:/m", "url"),
        ("lnd://me@h?macaroon=file:/m", "user"),
        ("lnd://me:word@h?macaroon=file:/m", "password"),
        ("lnd://h/v1?macaroon=file:/m", "path"),
        ("lnd://h#f", "#"),
        ("lnd://h?macaroon=file:/m&macaroon=file:/n", "macaroon"),
        ("lnd://h?macaroon=file:m", "macaroon"),
        ("lnd://h?cert=file:c&macaroon=file:/m", "cert"),
        ("lnd://h?cert=%ff&macaroon=file:/m", "cert"),
        ("lnd://h?macaroon=file:/m&network=mars", "network"),
        ("lnd://h?macaroon=file:/m&private=maybe", "private"),
        ("lnd://h?macaroon=file:/m&insecure=yes", "insecure"),
    ] {
        assert_eq!(bad(url).await.0, parameter, "{url}");
    }
}

#[tokio::test]
async fn no_macaroon_says_how_to_get_one() {
    let (parameter, text) = bad("lnd://h?cert=/c").await;
    assert_eq!(parameter, "macaroon");
    assert!(text.contains("lncli bakemacaroon --save_to buyer.macaroon uri:"), "{text}");
}

#[tokio::test]
async fn a_secret_in_the_url_itself_is_refused_and_not_repeated() {
    for secret in ["0201036c6e64", "env:MACAROON", "hex:0201036c6e64", "/home/me/m.macaroon"] {
        let (parameter, text) = bad(&format!("lnd://h?macaroon={secret}")).await;
        assert_eq!(parameter, "macaroon");
        assert!(!text.contains(secret) && text.contains("file:/path/to/it"), "{text}");
    }
}

#[tokio::test]
async fn a_macaroon_that_is_none_is_named_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my.macaroon");
    for content in [None, Some(""), Some("not a macaroon"), Some("0201")] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let url = format!("lnd://127.0.0.1:1?macaroon=file:{}", path.display());
        let Err(OpenError::Node(error)) = open(&url).await else { panic!("it is no macaroon") };
        assert_eq!(error.kind, NodeErrorKind::Unauthorized);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("my.macaroon"), "{cause}");
    }
}
