//! Every store keeps the same contract; and what gateways do with one, or without.

/// Makes a test of each of these rules for each store.
macro_rules! for_each_store {
    (@$store:ident $($rule:ident),+) => {
        mod $store {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $rule() {
                    // Where its server is not installed, there is none to test.
                    if let Some(fixture) = crate::store::$store().await {
                        super::$rule(fixture).await;
                    }
                }
            )+
        }
    };
    ($($rule:ident),+ $(,)?) => {
        for_each_store! { @memory $($rule),+ }
        for_each_store! { @sqlite $($rule),+ }
        for_each_store! { @postgres $($rule),+ }
        for_each_store! { @redis $($rule),+ }
    };
}

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
