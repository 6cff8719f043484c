//! The stage of every story here: an origin, a gateway in front of it, and a buyer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use l402::{Challenge, Invoicer, Keyring, MasterKey, Msat, Offers, PayOrder, Preimage};
use testkit::{FakeNetwork, FakeNode, Origin};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollway_gateway::{Config, Gateway, Stopped};

pub(crate) type Http = Client<HttpConnector, Full<Bytes>>;

/// A gateway that is open, with all that belongs to it.
pub(crate) struct Shop {
    pub(crate) origin: Origin,
    pub(crate) buyer: FakeNode,
    pub(crate) seller: FakeNode,
    pub(crate) keyring: Keyring,
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) http: Http,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Stopped>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Shop {
    /// One service, `api`, that costs 10 sat; `/free` is free.
    pub(crate) async fn open() -> Self {
        Self::with("free = ['/free', '/open/*']").await
    }

    /// The same, with more keys for the service.
    pub(crate) async fn with(keys: &str) -> Self {
        let service = |upstream: &str| {
            format!("[[service]]\nname='api'\nprice='10 sat'\nupstream='{upstream}'\n{keys}\n")
        };
        Self::configured(|origin| service(&origin.url(""))).await
    }

    /// Whatever the configuration says about that origin.
    pub(crate) async fn configured(text: impl FnOnce(&Origin) -> String) -> Self {
        let (buyer, seller) = FakeNetwork::pair();
        Self::start(buyer, seller.clone(), seller.invoicer(), text).await
    }

    /// The same, with a node of the test's own to be paid on.
    pub(crate) async fn paid_on(
        invoicer: Arc<dyn Invoicer>,
        text: impl FnOnce(&Origin) -> String,
    ) -> Self {
        let (buyer, seller) = FakeNetwork::pair();
        Self::start(buyer, seller, invoicer, text).await
    }

    async fn start(
        buyer: FakeNode,
        seller: FakeNode,
        invoicer: Arc<dyn Invoicer>,
        text: impl FnOnce(&Origin) -> String,
    ) -> Self {
        let origin = Origin::start().await;
        let config = Config::read(&text(&origin)).expect("the test's own configuration");
        let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
        let gateway = Gateway::open(&config, invoicer, keyring.clone()).await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn({
            let gateway = gateway.clone();
            async move { gateway.serve(listener, async { drop(stopped.await) }).await }
        });
        let http = client();
        let stop = Some(stop);
        Self { origin, buyer, seller, keyring, gateway, address, http, stop, task }
    }

    /// Tells the gateway to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("told once").send(()).expect("it is running");
    }

    /// Drops the gateway in the middle of whatever it does.
    pub(crate) fn abandon(&self) {
        self.task.abort();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(&mut self) -> Stopped {
        (&mut self.task).await.unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        Answer::read(self.http.request(request).await.unwrap()).await
    }

    /// `GET` with these headers.
    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(self.request("GET", path, headers)).await
    }

    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Request<Full<Bytes>> {
        let mut builder = Request::builder().method(method).uri(self.url(path));
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(Full::default()).unwrap()
    }

    /// Asks for `path`, pays what it costs, and returns the credential for it, without its scheme:
    /// `<token>:<preimage>`.
    pub(crate) async fn buy(&self, path: &str) -> String {
        let asked = self.get(path, &[]).await;
        let challenge = asked.challenge();
        let preimage = self.pay(&challenge).await;
        format!("{}:{}", challenge.token.as_str(), preimage.expose_hex())
    }

    /// Pays a challenge's invoice over the fake network.
    pub(crate) async fn pay(&self, challenge: &Challenge) -> Preimage {
        let order = PayOrder {
            invoice: &challenge.invoice,
            max_fee: Msat::ZERO,
            patience: Duration::from_secs(10),
        };
        self.buyer.payer().pay(order).await.unwrap().preimage
    }

    /// A credential that this gateway's keys sign, with whatever caveats. No invoice was ever made:
    /// the gateway keeps none, and judges the token alone.
    pub(crate) fn mint(&self, caveats: &[&str]) -> String {
        mint(&self.keyring, caveats)
    }

    /// How often the origin was asked.
    pub(crate) fn hits(&self) -> usize {
        self.origin.received().len()
    }
}

pub(crate) fn mint(keyring: &Keyring, caveats: &[&str]) -> String {
    let preimage = Preimage::new([0x42; 32]);
    let token = keyring.mint(preimage.hash(), [1; 28], caveats);
    format!("{}:{}", token.to_base64(), preimage.expose_hex())
}

/// A client with connections of its own.
pub(crate) fn client() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

pub(crate) fn l402(credential: &str) -> String {
    format!("L402 {credential}")
}

impl Answer {
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.into()).unwrap();
        Self { status: head.status, headers: head.headers, body }
    }

    /// The first challenge that can be paid.
    pub(crate) fn challenge(&self) -> Challenge {
        assert_eq!(self.status, StatusCode::PAYMENT_REQUIRED, "{self:?}");
        let offers = Offers::read(&self.headers);
        offers.challenges.into_iter().next().expect("a challenge")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().map(|line| line.to_str().unwrap()).collect()
    }
}
