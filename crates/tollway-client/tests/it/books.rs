//! Both wallets, each with two nodes to make payments with: what the contracts of wallets are tested on.

use std::sync::Arc;

use testkit::{FakeNetwork, FakeNode};
use tollway_client::{MemoryWallet, SqliteWallet, Wallet};

/// A wallet, a way to open the same wallet once more, and a seller's node.
pub(crate) struct Fixture {
    pub(crate) wallet: Arc<dyn Wallet>,
    pub(crate) again: Arc<dyn Wallet>,
    pub(crate) buyer: FakeNode,
    pub(crate) seller: FakeNode,
    _folder: tempfile::TempDir,
}

pub(crate) async fn memory() -> Fixture {
    let wallet: Arc<dyn Wallet> = Arc::new(MemoryWallet::new());
    fixture(Arc::clone(&wallet), wallet, tempfile::tempdir().unwrap())
}

pub(crate) async fn sqlite() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/wallet.db");
    let wallet = SqliteWallet::open(&path).await.unwrap();
    let again = SqliteWallet::open(&path).await.unwrap();
    fixture(Arc::new(wallet), Arc::new(again), folder)
}

fn fixture(wallet: Arc<dyn Wallet>, again: Arc<dyn Wallet>, folder: tempfile::TempDir) -> Fixture {
    let (buyer, seller) = FakeNetwork::pair();
    Fixture { wallet, again, buyer, seller, _folder: folder }
}

/// Each of these, with each wallet.
macro_rules! both_wallets {
    ($($test:ident),+ $(,)?) => {
        mod memory_keeps_the_contract {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::books::memory().await).await;
            })+
        }
        mod sqlite_keeps_the_contract {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::books::sqlite().await).await;
            })+
        }
    };
}

pub(crate) use both_wallets;
