//! A digest of the network's channels from a server, and what stays of it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use bitcoin::constants::ChainHash;
use l402::Network;
use tollway_ldk::chain::Simulated;
use tollway_ldk::{Config, DigestUrl, EmbeddedNode};

use crate::line::{log, until};

/// A digest of one channel between two nodes, as
/// <https://github.com/lightningdevkit/rapid-gossip-sync-server> writes version 1.
fn digest() -> Vec<u8> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as u32;
    let mut body = b"LDK\x01".to_vec();
    body.extend(ChainHash::REGTEST.to_bytes());
    body.extend(now.to_be_bytes());
    let ids: [&str; 2] = [
        "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
    ];
    body.extend(2_u32.to_be_bytes());
    for id in ids {
        body.extend(<Vec<u8> as hex::FromHex>::from_hex(id).unwrap());
    }
    body.extend(1_u32.to_be_bytes());
    // No features; the short id's distance from 0; the places of the two nodes.
    body.extend([0, 0, 42, 0, 1]);
    // No updates.
    body.extend(0_u32.to_be_bytes());
    body
}

async fn answer(State(asked): State<Arc<tokio::sync::watch::Sender<String>>>, uri: Uri) -> Vec<u8> {
    asked.send_replace(uri.path().to_owned());
    digest()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_read_and_kept() {
    log();
    let (asked, path) = tokio::sync::watch::channel(String::new());
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/snapshot", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::new(asked));
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let chain = Simulated::in_memory();
    let config = |digest| Config {
        digest,
        ..Config::new(folder.path(), Network::Regtest, Arc::new(chain.clone()))
    };
    let url = DigestUrl::read(&url, Network::Regtest).unwrap();
    let node = EmbeddedNode::open(config(Some(url))).await.unwrap();
    until(async || node.info().known_channels == 1).await;
    assert_eq!(*path.borrow(), "/snapshot/0");
    node.stop().await;
    drop(node);
    server.abort();
    let node = EmbeddedNode::open(config(None)).await.unwrap();
    assert_eq!(node.info().known_channels, 1);
    node.stop().await;
}
