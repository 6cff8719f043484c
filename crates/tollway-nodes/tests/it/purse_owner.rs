//! What a purse's owner is told when an order of theirs has no answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use l402::operator::{
    About, ChannelOrder, Close, Opening, OperateError, Operator, Quote, Rights, Sent, Withdrawal,
    owner_socket,
};
use l402::{Node, NodeErrorKind, NodeId, Sat};
use tempfile::TempDir;
use testkit::FakeNetwork;
use tokio::sync::Notify;

use crate::running::{Running, private_folder};

/// A node that begins to send and never says that it has.
#[derive(Debug, Default)]
struct Silent {
    begun: Notify,
}

#[async_trait]
impl Operator for Silent {
    fn driver(&self) -> &'static str {
        "silent"
    }

    async fn about(&self) -> Result<About, OperateError> {
        Ok(About::default())
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        Err(self.cannot("say its rights"))
    }

    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        Ok(Quote { amount: order.amount, fee: Some(Sat::from_sat(7)), sat_per_vbyte: Some(1) })
    }

    async fn withdraw(&self, _: &Withdrawal) -> Result<Sent, OperateError> {
        self.begun.notify_one();
        std::future::pending().await
    }

    async fn open_channel(&self, _: &ChannelOrder) -> Result<Opening, OperateError> {
        self.begun.notify_one();
        std::future::pending().await
    }
}

/// A purse over such a node, and the owner of both.
struct Scene {
    owner: Arc<dyn Operator>,
    silent: Arc<Silent>,
    purse: Mutex<Option<Running>>,
    path: PathBuf,
    _folder: TempDir,
}

impl Scene {
    async fn set() -> Self {
        let (buyer, _) = FakeNetwork::pair();
        let folder = private_folder();
        let path = folder.path().join("purse.sock");
        let silent = Arc::new(Silent::default());
        let node = Node { operator: Some(Arc::clone(&silent) as _), ..buyer.both() };
        let purse = Running::start(path.clone(), node).await;
        let owner = purse.open().await.operator.unwrap();
        Self { owner, silent, purse: Mutex::new(Some(purse)), path, _folder: folder }
    }

    async fn kill_when_begun(&self) {
        self.silent.begun.notified().await;
        let purse = self.purse.lock().unwrap().take().unwrap();
        purse.kill().await;
    }
}

#[tokio::test]
async fn money_whose_order_has_no_answer_may_have_been_sent_and_other_orders_were_not_given() {
    let scene = Scene::set().await;
    let owner = &scene.owner;
    let amount = Some(Sat::from_sat(5));
    let order = Withdrawal { address: "bcrt1q".to_owned(), amount, sat_per_vbyte: None };
    assert_eq!(owner.quote(&order).await.unwrap().fee, Some(Sat::from_sat(7)));

    let cannot = owner.close_channel("x", Close::Together).await.unwrap_err();
    assert!(matches!(cannot, OperateError::Node(_)), "{cannot:?}");
    let (ended, ()) = tokio::join!(owner.withdraw(&order), scene.kill_when_begun());
    assert!(matches!(ended, Err(OperateError::MayHaveSent(_))), "{ended:?}");

    // Nobody is there any more: nothing was ordered.
    let _ = std::fs::remove_file(owner_socket(&scene.path));
    let Err(OperateError::Node(error)) = owner.withdraw(&order).await else { panic!("not sent") };
    assert_eq!(error.kind, NodeErrorKind::Unreachable);
    let remedy = std::error::Error::source(&error).unwrap().to_string();
    assert!(remedy.contains("where `tollway node run` runs"), "{remedy}");
}

#[tokio::test]
async fn a_channel_whose_order_has_no_answer_may_have_been_opened() {
    let scene = Scene::set().await;
    let owner = &scene.owner;
    let order = ChannelOrder {
        peer: NodeId([2; 33]),
        at: None,
        amount: Sat::from_sat(200_000),
        push: Sat::from_sat(0),
        public: false,
    };
    let (ended, ()) = tokio::join!(owner.open_channel(&order), scene.kill_when_begun());
    assert!(matches!(ended, Err(OperateError::MayHaveOpened(_))), "{ended:?}");
    let _ = std::fs::remove_file(owner_socket(&scene.path));
    let refused = owner.open_channel(&order).await;
    assert!(matches!(refused, Err(OperateError::Node(_))), "nobody is there: {refused:?}");
}
