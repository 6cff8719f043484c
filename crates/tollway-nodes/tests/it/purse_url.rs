//! What a `purse:` URL can say, and what opening one says when there is no purse.

use l402::{Node, NodeErrorKind, OpenError};
use testkit::FakeNetwork;

use crate::running::{Running, open, open_url, private_folder};

async fn bad(url: &str) -> String {
    match open_url(url).await {
        Err(OpenError::BadUrl { driver: "purse", parameter, .. }) => parameter,
        other => panic!("{url}: a bad URL was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn what_a_url_cannot_say_is_refused_by_name() {
    assert_eq!(bad("purse:purse.sock").await, "path");
    assert_eq!(bad("purse:").await, "path");
    assert_eq!(bad("purse:~/purse.sock").await, "path");
    assert_eq!(bad("purse://shop.example/purse.sock").await, "host");
    assert_eq!(bad("purse:/run/purse.sock?budget=5").await, "budget");
    assert_eq!(bad("purse:/run/purse.sock?&grant").await, "grant");
    let other = open_url("wallet:/run/purse.sock").await.unwrap_err();
    assert!(
        matches!(other, OpenError::UnknownScheme { known, .. } if known.iter().any(|url| url.starts_with("purse:/")))
    );
}

#[tokio::test]
async fn no_purse_is_unreachable_and_says_what_to_do() {
    let folder = private_folder();
    let path = folder.path().join("purse.sock");
    for (left_behind, words) in [(false, "there is no purse at"), (true, "not running any more")] {
        if left_behind {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        }
        let Err(OpenError::Node(error)) = open(&path).await else { panic!("nobody is there") };
        assert_eq!(error.kind, NodeErrorKind::Unreachable);
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(words) && cause.contains("`tollway node run`"), "{cause}");
    }
}

#[tokio::test]
async fn a_purse_gives_only_what_it_can() {
    let (buyer, _) = FakeNetwork::pair();
    let folder = private_folder();
    let can = Node { invoicer: Some(buyer.invoicer()), ..Node::default() };
    let purse = Running::start(folder.path().join("purse.sock"), can).await;
    let opened = purse.open().await;
    assert!(opened.payer.is_none());
    assert!(opened.invoicer.is_some());
}
