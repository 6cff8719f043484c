//! Every store keeps the same contract; and what gateways do with one, or without.

mod asked;
mod contract;
mod counting;
mod opening;
mod sales;
pub(crate) mod server;

use std::sync::Arc;

use tempfile::TempDir;
use tollway_gateway::store::{SharedStore, StoreUrl};

use server::{Postgres, Redis, Server};

/// A store that is empty, and whatever must live as long as it does.
pub(crate) struct Fixture {
    url: String,
    _folder: Option<TempDir>,
    _server: Option<Arc<Server>>,
}

impl Fixture {
    pub(crate) async fn open(&self) -> SharedStore {
        StoreUrl::parse(&self.url).unwrap().open().await.unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

pub(crate) async fn memory() -> Option<Fixture> {
    Some(Fixture { url: "memory:".to_owned(), _folder: None, _server: None })
}

pub(crate) async fn sqlite() -> Option<Fixture> {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("gateway.db").display());
    Some(Fixture { url, _folder: Some(folder), _server: None })
}

pub(crate) async fn postgres() -> Option<Fixture> {
    let server = Server::shared::<Postgres>().await?;
    let url = server.fresh().await;
    Some(Fixture { url, _folder: None, _server: Some(server) })
}

pub(crate) async fn redis() -> Option<Fixture> {
    let server = Arc::new(Server::start::<Redis>().await?);
    let url = server.fresh().await;
    Some(Fixture { url, _folder: None, _server: Some(server) })
}
