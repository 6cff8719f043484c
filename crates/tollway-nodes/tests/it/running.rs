//! A purse in a runtime of its own, which can be killed whole while the test goes on; and how a node is
//! opened, and waited for.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use l402::{Invoicer, Node, NodeUrl, OpenError, Payer};
use tokio::runtime::Runtime;
use tollway_purse::Purse;

pub(crate) struct Running {
    path: PathBuf,
    runtime: Option<Runtime>,
}

impl Running {
    /// Serves `node` at `path` until it is killed or dropped.
    pub(crate) async fn start(path: PathBuf, node: Node) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let at = path.clone();
        let bound = runtime.spawn(async move { Purse::bind(&at, node).await });
        let purse = bound.await.unwrap().unwrap();
        runtime.spawn(async move {
            let _ = purse.serve(std::future::pending(), Duration::ZERO).await;
        });
        Self { path, runtime: Some(runtime) }
    }

    pub(crate) async fn open(&self) -> Node {
        open(&self.path).await.unwrap()
    }

    pub(crate) async fn payer(&self) -> Arc<dyn Payer> {
        self.open().await.payer.unwrap()
    }

    pub(crate) async fn invoicer(&self) -> Arc<dyn Invoicer> {
        self.open().await.invoicer.unwrap()
    }

    /// Ends it between two instructions, as a kill would: its connections are cut, and its socket is
    /// left behind.
    pub(crate) async fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        let dead = move || runtime.shutdown_timeout(Duration::from_secs(30));
        tokio::task::spawn_blocking(dead).await.unwrap();
        drop(std::os::unix::net::UnixListener::bind(&self.path).unwrap());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A temporary folder that nobody else can enter.
pub(crate) fn private_folder() -> tempfile::TempDir {
    let private = Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().unwrap()
}

pub(crate) async fn open(path: &Path) -> Result<Node, OpenError> {
    open_url(&format!("purse:{}", path.display())).await
}

pub(crate) async fn open_url(url: &str) -> Result<Node, OpenError> {
    l402::node::open(&NodeUrl::new(url), tollway_nodes::DRIVERS).await
}

/// Asks until it is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(60), "in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
