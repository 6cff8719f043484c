//! The socket's place: private from the first moment, one purse at a time, nothing of others
//! touched.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use l402::{Msat, Network, Node};
use testkit::FakeNetwork;
use tollway_purse::{BindError, Purse};

use crate::running::{Running, private_folder};

fn node() -> Node {
    FakeNetwork::pair().0.both()
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn socket_and_folder_are_for_their_owner_only() {
    let folder = private_folder();
    let path = folder.path().join("made/on/the/way/purse.sock");
    let purse = Purse::bind(&path, node()).await.unwrap();
    assert_eq!(purse.path(), path);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    drop(purse);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_folder_that_others_can_enter_is_refused() {
    let folder = private_folder();
    for mode in [0o755, 0o710, 0o701] {
        std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let refused = Purse::bind(folder.path().join("purse.sock"), node()).await.unwrap_err();
        assert!(matches!(refused, BindError::OpenFolder { mode: found, .. } if found == mode));
        assert!(refused.to_string().contains("chmod 700"), "{refused}");
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn the_socket_of_a_dead_purse_is_replaced() {
    let folder = private_folder();
    let path = folder.path().join("purse.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "nobody cleaned up after it");
    drop(Purse::bind(&path, node()).await.unwrap());
}

#[tokio::test]
async fn a_living_purse_is_left_alone() {
    let purse = Running::start(node()).await;
    let refused = Purse::bind(purse.path(), node()).await.unwrap_err();
    assert!(matches!(refused, BindError::InUse { .. }), "{refused}");
    assert_eq!(purse.held().await, (0, 0), "it still answers");
}

#[tokio::test]
async fn whatever_answers_or_is_no_socket_is_left_alone() {
    let folder = private_folder();
    let path = folder.path().join("alive.sock");
    let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let refused = Purse::bind(&path, node()).await.unwrap_err();
    assert!(matches!(refused, BindError::InUse { .. }), "{refused}");
    let path = folder.path().join("notes.txt");
    std::fs::write(&path, "dear diary").unwrap();
    let refused = Purse::bind(&path, node()).await.unwrap_err();
    assert!(matches!(refused, BindError::NotASocket { .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary");
    let refused = Purse::bind(folder.path().join("x".repeat(120)), node()).await.unwrap_err();
    assert!(matches!(refused, BindError::PathTooLong { .. }), "{refused}");
}

#[tokio::test]
async fn a_node_that_makes_no_sense_is_refused() {
    let folder = private_folder();
    let path = folder.path().join("purse.sock");
    let refused = Purse::bind(&path, Node::default()).await.unwrap_err();
    assert!(matches!(refused, BindError::NothingToServe));
    let signet = FakeNetwork::on(Network::Signet).node(Msat::ZERO);
    let node = Node { invoicer: Some(signet.invoicer()), ..node() };
    let refused = Purse::bind(&path, node).await.unwrap_err();
    assert!(matches!(refused, BindError::TwoNetworks { .. }));
}
