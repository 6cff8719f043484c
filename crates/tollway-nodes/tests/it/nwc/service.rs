//! A wallet service over a fake node: it answers NIP-47's requests through a relay, with the
//! `nostr` crate's own types where the driver has none of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use l402::{
    Invoice, Invoicer as _, Msat, Outcome, PayError, PayOrder, Payer as _, PaymentHash, Why,
};
use nostr::event::{Event, EventBuilder, FinalizeEvent, Kind, Tag};
use nostr::filter::Filter;
use nostr::key::Keys;
use nostr::message::{ClientMessage, RelayMessage, SubscriptionId};
use nostr::nips::{nip04, nip44};
use nostr_relay_builder::builder::RateLimit;
use nostr_relay_builder::{LocalRelay, RelayBuilder};
use serde_json::{Value, json};
use testkit::FakeNode;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::lnd::binary::free_port;

/// Which encryption the wallet says it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Nip04,
    Nip44,
}

/// What the wallet does with `pay_invoice`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pays {
    AsItShould,
    /// Pays, and never says so.
    InSilence,
    /// Pays, and gives no preimage.
    WithoutPreimage,
}

/// A relay in this process, behind a door whose port stays its own while the relay is away: a port that
/// is given back may be anybody's in the next moment.
pub(crate) struct Running {
    pub(crate) relay: LocalRelay,
    pub(crate) port: u16,
    /// Where the relay itself is.
    behind: watch::Sender<u16>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = door.local_addr().unwrap().port();
        let (relay, at) = fresh().await;
        let behind = watch::Sender::new(at);
        let to = behind.subscribe();
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = door.accept().await {
                let at = *to.borrow();
                tokio::spawn(async move {
                    let mut relay = TcpStream::connect(("127.0.0.1", at)).await?;
                    tokio::io::copy_bidirectional(&mut caller, &mut relay).await
                });
            }
        });
        Self { relay, port, behind }
    }

    /// A new one in the same place.
    pub(crate) async fn replace(&mut self) {
        let (relay, at) = fresh().await;
        self.relay = relay;
        self.behind.send_replace(at);
    }
}

/// A relay at a port that was free.
async fn fresh() -> (LocalRelay, u16) {
    let begun = Instant::now();
    loop {
        let port = free_port();
        let limit = RateLimit { max_reqs: 10_000, notes_per_minute: 1_000_000 };
        let local = [127, 0, 0, 1].into();
        let relay = RelayBuilder::default().addr(local).port(port).rate_limit(limit);
        let relay = LocalRelay::new(relay);
        match relay.run().await {
            Ok(()) => return (relay, port),
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{port}: {error}"),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Service {
    node: FakeNode,
    keys: Keys,
    reads: Reads,
    pays: Pays,
    methods: &'static [&'static str],
}

pub(crate) const ALL: &[&str] = &["get_info", "pay_invoice", "make_invoice", "lookup_invoice"];

impl Service {
    pub(crate) fn over(node: FakeNode) -> Self {
        Self {
            node,
            keys: Keys::generate(),
            reads: Reads::Nip44,
            pays: Pays::AsItShould,
            methods: ALL,
        }
    }

    pub(crate) fn reading(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    pub(crate) fn paying(self, pays: Pays) -> Self {
        Self { pays, ..self }
    }

    pub(crate) fn with_methods(self, methods: &'static [&'static str]) -> Self {
        Self { methods, ..self }
    }

    /// Serves at that relay, and gives the URL that such a wallet shows.
    pub(crate) async fn serve(self, port: u16) -> String {
        let secret = Keys::generate();
        let url = format!(
            "nostr+walletconnect://{}?relay=ws%3A%2F%2F127.0.0.1%3A{port}&secret={}",
            self.keys.public_key().to_hex(),
            secret.secret_key().to_secret_hex()
        );
        Arc::new(self).attend(port).await;
        url
    }

    /// Connects to the relay, says what it can, and answers from then on.
    async fn attend(self: Arc<Self>, port: u16) {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let info = EventBuilder::new(Kind::WalletConnectInfo, self.methods.join(" "));
        let info = match self.reads {
            Reads::Nip04 => info,
            Reads::Nip44 => info.tag(Tag::parse(["encryption", "nip44_v2 nip04"]).unwrap()),
        };
        let info = ClientMessage::event(info.finalize(&self.keys).unwrap());
        socket.send(Message::text(info.as_json())).await.unwrap();
        let asked = Filter::new().kind(Kind::WalletConnectRequest).pubkey(self.keys.public_key());
        let asked = ClientMessage::req(SubscriptionId::new("requests"), asked);
        socket.send(Message::text(asked.as_json())).await.unwrap();
        loop {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
            if let Ok(RelayMessage::EndOfStoredEvents(_)) = RelayMessage::from_json(text.as_str()) {
                break;
            }
        }
        tokio::spawn(self.answer_all(socket));
    }

    async fn answer_all(self: Arc<Self>, mut socket: WebSocketStream<TcpStream>) {
        let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel::<Event>();
        loop {
            tokio::select! {
                message = socket.next() => {
                    let Some(Ok(message)) = message else { return };
                    let Message::Text(text) = message else { continue };
                    let Ok(RelayMessage::Event { event, .. }) = RelayMessage::from_json(text.as_str())
                        else { continue };
                    let (wallet, sender) = (Arc::clone(&self), sender.clone());
                    let event = event.into_owned();
                    tokio::spawn(async move {
                        if let Some(answer) = wallet.answer(&event).await {
                            let _ = sender.send(answer);
                        }
                    });
                }
                Some(answer) = answers.recv() => {
                    let answer = ClientMessage::event(answer).as_json();
                    if socket.send(Message::text(answer)).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    async fn answer(&self, event: &Event) -> Option<Event> {
        let secret = self.keys.secret_key();
        let sealed44 = !event.content.contains("?iv=");
        assert_eq!(sealed44, self.reads == Reads::Nip44, "the best seal that both know");
        let text = match self.reads {
            Reads::Nip04 => nip04::decrypt(secret, &event.pubkey, &event.content).unwrap(),
            Reads::Nip44 => nip44::decrypt(secret, &event.pubkey, &event.content).unwrap(),
        };
        let request: Value = serde_json::from_str(&text).unwrap();
        let method = request["method"].as_str().unwrap();
        let mut answer = json!({ "result_type": method });
        match self.carry_out(method, &request["params"]).await? {
            Ok(result) => answer["result"] = result,
            Err((code, message)) => answer["error"] = json!({ "code": code, "message": message }),
        }
        let text = answer.to_string();
        let content = match self.reads {
            Reads::Nip04 => nip04::encrypt(secret, &event.pubkey, &text).unwrap(),
            Reads::Nip44 => {
                nip44::encrypt(secret, &event.pubkey, &text, nip44::Version::V2).unwrap()
            }
        };
        let answer = EventBuilder::new(Kind::WalletConnectResponse, content)
            .tag(Tag::public_key(event.pubkey))
            .tag(Tag::event(event.id));
        Some(answer.finalize(&self.keys).unwrap())
    }

    async fn carry_out(
        &self,
        method: &str,
        parameters: &Value,
    ) -> Option<Result<Value, (&'static str, String)>> {
        Some(match method {
            "get_info" => Ok(json!({ "network": "regtest", "methods": self.methods })),
            "pay_invoice" => {
                let paid = self.pay(parameters["invoice"].as_str().unwrap()).await;
                match self.pays {
                    Pays::AsItShould => paid,
                    Pays::InSilence => return None,
                    Pays::WithoutPreimage => Ok(json!({ "preimage": "" })),
                }
            }
            "make_invoice" => {
                let amount = Msat::from_msat(parameters["amount"].as_u64().unwrap());
                let expiry = Duration::from_secs(parameters["expiry"].as_u64().unwrap());
                let memo = parameters["description"].as_str().unwrap();
                let invoice = self.node.invoice(amount, memo, expiry).await.unwrap();
                Ok(json!({ "type": "incoming", "invoice": invoice.as_str() }))
            }
            "lookup_invoice" => {
                self.look_up(parameters["payment_hash"].as_str().unwrap().parse().unwrap()).await
            }
            other => Err(("NOT_IMPLEMENTED", other.to_owned())),
        })
    }

    async fn pay(&self, invoice: &str) -> Result<Value, (&'static str, String)> {
        let invoice = Invoice::parse(invoice).unwrap();
        let max_fee = Msat::from_msat(100_000);
        let order = PayOrder { invoice: &invoice, max_fee, patience: Duration::from_secs(60) };
        match self.node.pay(order).await {
            Ok(paid) => Ok(json!({
                "preimage": paid.preimage.expose_hex(), "fees_paid": paid.fee,
            })),
            Err(PayError::NotPaid { why: Why::Balance, .. }) => {
                Err(("INSUFFICIENT_BALANCE", "not enough".to_owned()))
            }
            Err(error) => Err(("PAYMENT_FAILED", error.to_string())),
        }
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<Value, (&'static str, String)> {
        let row = |kind: &str, state: &str| json!({ "type": kind, "state": state, "payment_hash": hash, "created_at": 1 });
        if self.node.orders().contains(&hash) {
            return Ok(match self.node.outcome(hash).await.unwrap() {
                Outcome::Pending => row("outgoing", "pending"),
                Outcome::NotPaid => row("outgoing", "failed"),
                Outcome::Paid(paid) => {
                    let mut row = row("outgoing", "settled");
                    row["preimage"] = paid.preimage.expose_hex().into();
                    row["fees_paid"] = json!(paid.fee);
                    row
                }
            });
        }
        match self.node.is_settled(hash).await.unwrap() {
            true => Ok(row("incoming", "settled")),
            false => Err(("NOT_FOUND", "no such invoice".to_owned())),
        }
    }
}
