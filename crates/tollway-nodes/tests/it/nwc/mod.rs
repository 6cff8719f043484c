//! The `nostr+walletconnect:` driver, through a real relay in this process, against a wallet service
//! over a fake node.

mod application;
mod contract;
mod purse;
mod service;
mod strange;
mod url;

use l402::{Node, NodeUrl, OpenError, Secret};

/// Opens a wallet by the URL that it shows, kept where only its owner looks.
async fn open_url(shown: &str) -> Result<Node, OpenError> {
    let url = NodeUrl::new("nostr+walletconnect:env:WALLET");
    let url = url.with_secret("env:WALLET", Secret::new(shown.to_owned()));
    l402::node::open(&url, tollway_nodes::DRIVERS).await
}
