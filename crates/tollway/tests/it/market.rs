//! A seller and a buyer around the real binary: an API behind a real gateway, a node behind a real
//! purse, and before each a proxy that can hold one exchange. The nodes are fake and keep a ledger.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use l402::{Keyring, MasterKey, Node};
use tempfile::TempDir;
use testkit::{FakeNetwork, FakeNode, Origin};
use tokio::net::TcpListener;
use tollway_gateway::{Config, Gateway};
use tollway_purse::Purse;

use crate::gate::Gate;
use crate::run::{Said, tollway};

pub(crate) struct Market {
    pub(crate) folder: TempDir,
    pub(crate) origin: Origin,
    pub(crate) buyer: FakeNode,
    pub(crate) seller: FakeNode,
    /// The gateway itself, whose answers come as they are made.
    pub(crate) gateway: std::net::SocketAddr,
    /// Before the gateway.
    pub(crate) door: Gate,
    /// Before the buyer's purse.
    pub(crate) purse: Gate,
}

impl Market {
    pub(crate) async fn open() -> Self {
        let network = FakeNetwork::new();
        let balance = "1000 sat".parse().unwrap();
        let (buyer, seller) = (network.node(balance), network.node(balance));
        let private = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let origin = Origin::start().await;
        let gateway = gateway("free = [\"/free/*\"]", &origin, &seller).await;
        let socket = folder.path().join("real.sock");
        serve_purse(&socket, buyer.both()).await;
        serve_purse(&folder.path().join("seller.sock"), seller.both()).await;
        let purse = Gate::unix(&folder.path().join("purse.sock"), &socket).await;
        let door = Gate::tcp(gateway).await;
        Self { folder, origin, buyer, seller, gateway, door, purse }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.door.address())
    }

    pub(crate) fn node(&self) -> String {
        format!("purse:{}", self.purse.address())
    }

    /// The seller's node, for a gateway in a process of its own.
    pub(crate) fn till(&self) -> String {
        format!("purse:{}", self.folder.path().join("seller.sock").display())
    }

    /// `tollway get` for that path, paying with the purse.
    pub(crate) fn get(&self, path: &str, more: &[&str]) -> Command {
        let (url, node) = (self.url(path), self.node());
        let mut args = vec!["get", url.as_str(), "--node", node.as_str()];
        args.extend(more);
        tollway(self.folder.path(), args)
    }

    /// The same, run to its end.
    pub(crate) async fn got(&self, path: &str, more: &[&str]) -> Said {
        run(self.get(path, more)).await
    }

    /// How many payments the seller's node has received.
    pub(crate) fn sold(&self) -> usize {
        self.seller.received().len()
    }
}

/// Runs a command to its end without standing in the way of the servers in this process.
pub(crate) async fn run(command: Command) -> Said {
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).output().await.unwrap().into()
}

/// A gateway that sells `weather` for 10 sat, with more keys of the service.
pub(crate) async fn gateway(
    keys: &str,
    origin: &Origin,
    seller: &FakeNode,
) -> std::net::SocketAddr {
    let text = format!(
        "[[service]]\nname = \"weather\"\nupstream = \"{}\"\nprice = \"10 sat\"\n{keys}\n",
        origin.url("")
    );
    let config = Config::read(&text).unwrap();
    let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
    let gateway = Gateway::open(&config, seller.invoicer(), keyring).await.unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let _ = gateway.serve(listener, std::future::pending()).await;
    });
    address
}

async fn serve_purse(socket: &Path, node: Node) -> PathBuf {
    let purse = Purse::bind(socket, node).await.unwrap();
    let path = purse.path().to_owned();
    tokio::spawn(async move {
        let _ = purse.serve(std::future::pending(), Duration::ZERO).await;
    });
    path
}
