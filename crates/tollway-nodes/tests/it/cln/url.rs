//! What a `cln:` or `cln+https:` URL can say, and what is said when nobody is there.

use l402::{NodeErrorKind, OpenError};

use crate::running::open_url;

async fn bad(url: &str) -> String {
    match open_url(url).await {
        Err(OpenError::BadUrl { driver: "cln", parameter, .. }) => parameter,
        other => panic!("{url}: a bad URL was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn what_a_url_cannot_say_is_refused_by_name() {
    for (url, parameter) in [
        ("cln:", "path"),
        ("cln:lightning-rpc", "path"),
        ("cln://host/lightning-rpc", "path"),
        ("cln:/rpc?rune=file:/r", "rune"),
        ("cln:/rpc?private=1", "private"),
        ("cln+https://h", "rune"),
        ("cln+https://h?rune=AAAA", "rune"),
        ("cln+https://h?rune=env:RUNE", "rune"),
        ("cln+https://h/v1?rune=file:/r", "path"),
        ("cln+https://h?rune=file:/r&insecure", "insecure"),
    ] {
        assert_eq!(bad(url).await, parameter, "{url}");
    }
}

#[tokio::test]
async fn no_node_is_unreachable_and_says_what_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lightning-rpc");
    for left_behind in [false, true] {
        if left_behind {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        }
        let Err(OpenError::Node(error)) = open_url(&format!("cln:{}", path.display())).await else {
            panic!("nobody is there")
        };
        assert_eq!(error.kind, NodeErrorKind::Unreachable);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("is it running"), "{cause}");
    }
}
