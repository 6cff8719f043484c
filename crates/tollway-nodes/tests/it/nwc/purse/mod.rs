//! The purse's own wallet service, through a real relay: by our driver, and by an application that
//! seals with NIP-04, repeats itself and lies.

mod strangers;

use std::path::Path;
use std::time::Duration;

use l402::{Invoice, Invoicer, Msat, Node, Outcome, PayError, PayOrder, Preimage};
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{Act, FakeNetwork, FakeNode};
use tokio::runtime::Runtime;
use tollway_purse::nwc::{Connections, Fees, NewConnection, WalletService};

use super::application::{Application, Sealed};
use super::open_url;
use super::service::Running;
use crate::ends::Ends;

/// A service in a runtime of its own, which is killed whole when this is dropped.
struct Serving {
    runtime: Option<Runtime>,
    connections: Connections,
}

impl Drop for Serving {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(node: Node, folder: &Path) -> Serving {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
    let book = folder.join("nwc.sqlite");
    let connections = Connections::open(&book).await.unwrap();
    let opened = runtime.spawn(async move {
        let connections = Connections::open(book).await.unwrap();
        WalletService::new(node, connections, Fees::default()).await.unwrap()
    });
    let service = opened.await.unwrap();
    runtime.spawn(service.run(std::future::pending(), Duration::ZERO));
    Serving { runtime: Some(runtime), connections }
}

impl Serving {
    async fn connect(&self, name: &str, budget: &str, relay: &Running) -> String {
        let new = NewConnection {
            name: name.to_owned(),
            relays: vec![format!("ws://127.0.0.1:{}", relay.port)],
            budget: (budget != "unlimited").then(|| budget.parse().unwrap()),
        };
        self.connections.add(new).await.unwrap().expose().clone()
    }

    async fn used(&self) -> Msat {
        self.connections.list().await.unwrap()[0].used
    }
}

/// Opens it as soon as the service answers.
async fn open(url: &str, relay: &Running) -> Node {
    Application::connect(url, relay.port).await;
    open_url(&format!("{url}&fees=wallet")).await.unwrap()
}

async fn invoice(seller: &FakeNode, sat: u64) -> Invoice {
    let amount = Msat::from_sat(sat).unwrap();
    seller.invoice(amount, "tea", Duration::from_secs(600)).await.unwrap()
}

/// A buyer's service with one connection, and the application at its other end.
struct Scene {
    folder: TempDir,
    relay: Running,
    buyer: FakeNode,
    seller: FakeNode,
    serving: Option<Serving>,
    url: String,
}

impl Scene {
    async fn set(budget: &str) -> Self {
        let (buyer, seller) = FakeNetwork::pair();
        let (folder, relay) = (tempfile::tempdir().unwrap(), Running::start().await);
        let serving = serve(buyer.both(), folder.path()).await;
        let url = serving.connect("app", budget, &relay).await;
        Self { folder, relay, buyer, seller, serving: Some(serving), url }
    }

    async fn application(&self) -> Application {
        Application::connect(&self.url, self.relay.port).await
    }

    fn serving(&self) -> &Serving {
        self.serving.as_ref().unwrap()
    }

    async fn killed_and_started_again(&mut self) {
        drop(self.serving.take());
        self.serving = Some(serve(self.buyer.both(), self.folder.path()).await);
    }

    async fn used_becomes(&self, sat: u64) {
        let wanted = Msat::from_sat(sat).unwrap();
        while self.serving().used().await != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or("none")
}

async fn wallets() -> Ends {
    let (buyer, seller) = FakeNetwork::pair();
    let relay = Running::start().await;
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let serving = [
        serve(buyer.both(), folders[0].path()).await,
        serve(seller.both(), folders[1].path()).await,
    ];
    let paying = serving[0].connect("buyer", "unlimited", &relay).await;
    let selling = serving[1].connect("seller", "0", &relay).await;
    let payer = open(&paying, &relay).await.payer.unwrap();
    let selling = open(&selling, &relay).await;
    assert!(selling.payer.is_none(), "without a budget it is paid only");
    let invoicer = selling.invoicer.unwrap();
    let kept = Box::new((serving, folders, relay));
    Ends { payer, invoicer, seller, fee: Msat::ZERO, _kept: kept }
}

testkit::payer_contract!(wallets);
testkit::invoicer_contract!(wallets);

#[tokio::test(flavor = "multi_thread")]
async fn either_seal_is_read_and_the_answer_has_the_same() {
    let scene = Scene::set("1000 sat").await;
    let mut application = scene.application().await;
    for seal in [Sealed::Nip04, Sealed::Nip44] {
        let invoice = invoice(&scene.seller, 7).await;
        let pay = json!({ "invoice": invoice.as_str() });
        let answer = application.ask(seal, "pay_invoice", pay).await;
        let preimage: Preimage = answer["result"]["preimage"].as_str().unwrap().parse().unwrap();
        assert!(preimage.opens(invoice.payment_hash()));
        assert_eq!(answer["result_type"], "pay_invoice");
    }
    let info = application.ask(Sealed::Nip44, "get_info", json!({})).await;
    assert_eq!(info["result"]["network"], "regtest");
    assert!(info["result"]["methods"].as_array().unwrap().contains(&json!("pay_invoice")));
    assert_eq!(application.encryption(), Some("nip44_v2 nip04"));
    let strange = application.event_with("rot13", "get_info", json!({}));
    assert_eq!(code(&application.send(&strange).await), "UNSUPPORTED_ENCRYPTION");
    let unknown = application.ask(Sealed::Nip44, "multi_pay_keysend", json!({})).await;
    assert_eq!(code(&unknown), "NOT_IMPLEMENTED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_not_overdrawn_and_counts_what_is_held() {
    let scene = Scene::set("50 sat").await;
    let mut application = scene.application().await;
    let first = json!({ "invoice": invoice(&scene.seller, 30).await.as_str() });
    let second = json!({ "invoice": invoice(&scene.seller, 15).await.as_str() });

    // 30 sat and up to 10 sat for routing are held, so 15 and 10 do not fit beside them.
    let cue = scene.buyer.next(Act::PayLate);
    let ordered = application.event(Sealed::Nip44, "pay_invoice", first);
    application.say(&ordered).await;
    cue.arrived().await;
    scene.used_becomes(40).await;
    let answer = application.ask(Sealed::Nip44, "pay_invoice", second.clone()).await;
    assert_eq!(code(&answer), "QUOTA_EXCEEDED");
    cue.proceed();
    assert!(application.answer(ordered.id).await["result"]["preimage"].is_string());
    scene.used_becomes(30).await;

    let answer = application.ask(Sealed::Nip44, "pay_invoice", second).await;
    assert_eq!(code(&answer), "QUOTA_EXCEEDED", "15 and 10 do not fit beside 30 either");
    let small = json!({ "invoice": invoice(&scene.seller, 10).await.as_str() });
    assert!(application.ask(Sealed::Nip44, "pay_invoice", small).await["error"].is_null());
    let budget = application.ask(Sealed::Nip44, "get_budget", json!({})).await;
    let wanted =
        json!({ "used_budget": 40_000, "total_budget": 50_000, "renewal_period": "never" });
    assert_eq!(budget["result"], wanted);
    let balance = application.ask(Sealed::Nip44, "get_balance", json!({})).await;
    assert_eq!(balance["result"]["balance"], 10_000);
    assert_eq!(scene.seller.received().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_paid_is_given_back() {
    let scene = Scene::set("50 sat").await;
    let mut application = scene.application().await;
    scene.buyer.next(Act::Refuse(l402::Why::NoRoute));
    let invoice = invoice(&scene.seller, 30).await;
    let pay = json!({ "invoice": invoice.as_str() });
    let answer = application.ask(Sealed::Nip44, "pay_invoice", pay.clone()).await;
    assert_eq!(code(&answer), "PAYMENT_FAILED");
    assert_eq!(scene.serving().used().await, Msat::ZERO);
    // What was not paid can be ordered again, by a request of its own.
    let answer = application.ask(Sealed::Nip44, "pay_invoice", pay).await;
    assert!(answer["error"].is_null(), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_carried_out_once_however_often_it_comes() {
    let mut scene = Scene::set("1000 sat").await;
    let mut application = scene.application().await;
    let invoice = invoice(&scene.seller, 20).await;
    let pay = json!({ "invoice": invoice.as_str() });
    let event = application.event(Sealed::Nip44, "pay_invoice", pay.clone());
    let first = application.send(&event).await;
    application.say(&event).await;
    // Another request for the same invoice gets the same proof, and nothing is paid.
    let again = application.ask(Sealed::Nip44, "pay_invoice", pay).await;
    assert_eq!(first["result"]["preimage"], again["result"]["preimage"]);
    scene.killed_and_started_again().await;
    let mut later = scene.application().await;
    later.say(&event).await;
    later.ask(Sealed::Nip44, "get_info", json!({})).await;
    assert_eq!(scene.buyer.orders().len(), 1);
    assert_eq!(scene.serving().used().await, Msat::from_msat(20_000));

    // One whose payment was refused is not carried out later either.
    scene.buyer.next(Act::Refuse(l402::Why::NoRoute));
    let other = json!({ "invoice": self::invoice(&scene.seller, 5).await.as_str() });
    let refused = later.event(Sealed::Nip44, "pay_invoice", other);
    assert_eq!(code(&later.send(&refused).await), "PAYMENT_FAILED");
    scene.killed_and_started_again().await;
    let mut last = scene.application().await;
    last.say(&refused).await;
    last.ask(Sealed::Nip44, "get_info", json!({})).await;
    assert_eq!(scene.seller.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_killed_in_mid_payment_finds_its_hold_and_the_end_again() {
    let mut scene = Scene::set("1000 sat").await;
    let mut application = scene.application().await;
    let invoice = invoice(&scene.seller, 20).await;
    let cue = scene.buyer.next(Act::PayLate);
    let event =
        application.event(Sealed::Nip44, "pay_invoice", json!({ "invoice": invoice.as_str() }));
    application.say(&event).await;
    cue.arrived().await;
    scene.killed_and_started_again().await;
    assert_eq!(scene.serving().used().await, Msat::from_msat(30_000), "it stays held");
    let mut application = scene.application().await;
    let hash = json!({ "payment_hash": invoice.payment_hash() });
    let row = application.ask(Sealed::Nip44, "lookup_invoice", hash.clone()).await;
    assert_eq!(row["result"]["state"], "pending");
    cue.proceed();
    scene.used_becomes(20).await;
    let row = application.ask(Sealed::Nip44, "lookup_invoice", hash).await;
    assert_eq!(row["result"]["state"], "settled");
    let preimage: Preimage = row["result"]["preimage"].as_str().unwrap().parse().unwrap();
    assert!(preimage.opens(invoice.payment_hash()));
    assert_eq!(scene.buyer.orders().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_end_is_held_and_answered_when_it_is_known() {
    let scene = Scene::set("1000 sat").await;
    let mut application = scene.application().await;
    scene.buyer.next(Act::LoseReply);
    let invoice = invoice(&scene.seller, 20).await;
    let pay = json!({ "invoice": invoice.as_str() });
    let answer = application.ask(Sealed::Nip44, "pay_invoice", pay).await;
    assert!(answer["result"]["preimage"].is_string(), "{answer}");
    assert_eq!(scene.seller.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_lost_in_mid_payment_costs_an_answer_and_no_money() {
    let mut scene = Scene::set("1000 sat").await;
    let payer = open(&scene.url, &scene.relay).await.payer.unwrap();
    let invoice = invoice(&scene.seller, 20).await;
    let cue = scene.buyer.next(Act::PayLate);
    let order =
        PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: Duration::from_secs(60) };
    let cut = async {
        cue.arrived().await;
        scene.relay.relay.shutdown();
    };
    let (ended, ()) = tokio::join!(payer.pay(order), cut);
    assert!(matches!(ended, Err(PayError::Unknown { .. })), "{ended:?}");
    cue.proceed();
    scene.relay.replace().await;
    // The service comes back to the relay in its own time.
    scene.application().await;
    let Outcome::Paid(found) = payer.outcome(invoice.payment_hash()).await.unwrap() else {
        panic!("the money has left and arrived")
    };
    assert!(found.preimage.opens(invoice.payment_hash()));
    assert_eq!(scene.seller.received().len(), 1);
}
