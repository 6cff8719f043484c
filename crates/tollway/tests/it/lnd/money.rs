//! Money through the whole stack, with real lnd nodes at one end or at both.

use std::time::Duration;

use l402::{Keyring, MasterKey, NodeUrl};
use tempfile::TempDir;
use testkit::Origin;
use tokio::net::TcpListener;
use tokio::sync::MutexGuard;
use tollway_gateway::{Config, Gateway};

use super::binary::is_there;
use super::rig::{Lnd, Pair, pair};
use crate::gate::{At, Gate};
use crate::market::run;
use crate::run::{Said, tollway};

/// A gateway that is paid on that lnd, at a door of its own.
async fn sell(origin: &Origin, seller: &Lnd) -> Gate {
    let url = NodeUrl::new(seller.url(&seller.macaroon("invoice")));
    let node = l402::node::open(&url, tollway_nodes::DRIVERS).await.unwrap();
    let text = format!(
        "[[service]]\nname = \"weather\"\nupstream = \"{}\"\nprice = \"10 sat\"\n",
        origin.url("")
    );
    let config = Config::read(&text).unwrap();
    let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
    let gateway = Gateway::open(&config, node.invoicer.unwrap(), keyring).await.unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let _ = gateway.serve(listener, std::future::pending()).await;
    });
    Gate::tcp(address).await
}

/// A buyer at home, and something that is sold for ten satoshi.
struct Scene {
    pair: MutexGuard<'static, Pair>,
    home: TempDir,
    origin: Origin,
    door: Gate,
    /// Where it is sold.
    url: String,
    /// The buyer's node.
    buyer: String,
}

impl Scene {
    async fn set(page: &str) -> Self {
        let pair = pair().await;
        let home = tempfile::tempdir().unwrap();
        let origin = Origin::start().await;
        let door = sell(&origin, &pair.seller).await;
        let url = format!("http://{}{page}", door.address());
        let buyer = pair.buyer.url(&pair.buyer.macaroon("admin"));
        Self { pair, home, origin, door, url, buyer }
    }

    /// `tollway get` of it, with that node.
    async fn get(&self, node: &str) -> Said {
        run(tollway(self.home.path(), ["get", &self.url, "--node", node])).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_bought_from_lnd_to_lnd() {
    if !is_there() {
        return;
    }
    let scene = Scene::set("/weather/berlin").await;
    let Scene { pair, home, url, buyer, .. } = &scene;
    let before = pair.seller.received().await;
    let said = scene.get(buyer).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.contains("/weather/berlin"), "{said:?}");
    let said = run(tollway(home.path(), ["get", url])).await;
    assert_eq!(said.code, 0, "the token is kept: {said:?}");
    assert_eq!(pair.seller.received().await.msat() - before.msat(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyers_lnd_killed_in_mid_payment_pays_once_and_its_word_is_waited_for() {
    if !is_there() {
        return;
    }
    let mut scene = Scene::set("/weather/paris").await;
    let before = scene.pair.seller.received().await;
    // The bill is out; the node is killed as soon as the payment is in its books, however far it is.
    scene.door.hold("GET /weather/paris", 0, At::Answer);
    let args = ["get", &scene.url, "--node", &scene.buyer, "--patience", "20"];
    let mut buying = tokio::process::Command::from(tollway(scene.home.path(), args));
    let buying = buying.kill_on_drop(true).spawn().unwrap();
    scene.door.reached().await;
    let path = "/v1/payments?include_incomplete=true&reversed=true&max_payments=1";
    let lnd = &scene.pair.buyer;
    let last = lnd.get(path).await["last_index_offset"].clone();
    scene.door.release();
    let begun = async || lnd.get(path).await["last_index_offset"] != last;
    lnd.until("the payment is begun", begun).await;
    scene.pair.buyer.kill();
    let ended = buying.wait_with_output().await.unwrap();
    assert!(matches!(ended.status.code(), Some(0 | 7)), "paid, or not known: {ended:?}");
    scene.pair.buyer.start();
    scene.pair.buyer.synced().await;
    scene.pair.usable().await;
    let mut said = scene.get(&scene.buyer).await;
    let start = std::time::Instant::now();
    while said.code == 7 && start.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        said = scene.get(&scene.buyer).await;
    }
    let pair = &scene.pair;
    // Where lnd itself was killed before its first message was out, it goes on calling the payment in
    // flight; then nobody else may say otherwise, and nothing may be paid again.
    let status = pair.buyer.get(path).await["payments"][0]["status"].clone();
    match said.code {
        0 => assert_eq!(status, "SUCCEEDED", "{said:?}"),
        7 => assert_eq!(status, "IN_FLIGHT", "{said:?}"),
        _ => panic!("{said:?}, and lnd says {status}"),
    }
    let received = pair.seller.received().await.msat() - before.msat();
    assert!(received == 10_000 || (said.code == 7 && received == 0), "{received} after {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_macaroon_lacks_and_a_swapped_certificate_are_named_by_get() {
    if !is_there() {
        return;
    }
    let scene = Scene::set("/weather/rome").await;
    let Scene { pair, origin, buyer, .. } = &scene;
    let narrow = pair.buyer.bake("unable", &["/lnrpc.Lightning/GetInfo"]).await;
    let said = scene.get(&pair.buyer.url(&narrow)).await;
    assert_eq!(said.code, 9, "{said:?}");
    assert!(said.stderr.contains("uri:/routerrpc.Router/SendPaymentV2"), "{said:?}");
    let other = format!("cert=file:{}", pair.seller.cert().display());
    let right = format!("cert=file:{}", pair.buyer.cert().display());
    let said = scene.get(&buyer.replace(&right, &other)).await;
    assert_eq!(said.code, 9, "{said:?}");
    assert!(said.stderr.contains("certificate that is not trusted"), "{said:?}");
    assert_eq!(origin.received().len(), 0);
}
