//! An application at the other end of a Nostr Wallet Connect URL, which does whatever a test wants: it
//! seals in either way, repeats itself, dates its events back and signs with other keys.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nostr::event::{Event, EventBuilder, EventId, FinalizeEvent, Kind, Tag};
use nostr::filter::Filter;
use nostr::key::{Keys, PublicKey, SecretKey};
use nostr::message::{ClientMessage, RelayMessage, SubscriptionId};
use nostr::nips::{nip04, nip44};
use nostr::types::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// When a question is put again that may have come too early.
const SHORT: Duration = Duration::from_millis(500);
/// How long an answer may take that must come; a test that needs it has failed.
const LONG: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealed {
    Nip04,
    Nip44,
}

pub(crate) struct Application {
    socket: WebSocketStream<TcpStream>,
    keys: Keys,
    wallet: PublicKey,
    answers: HashMap<EventId, Value>,
    encryption: Option<String>,
}

impl Application {
    /// Connects to the relay, and waits until the wallet has described itself there and answers. A
    /// relay keeps the description and no requests, so the first ones may come too early.
    pub(crate) async fn connect(url: &str, port: u16) -> Self {
        let (wallet, query) = url.split_once("://").unwrap().1.split_once('?').unwrap();
        let secret = query.split("secret=").nth(1).unwrap().split('&').next().unwrap();
        let keys = Keys::new(SecretKey::from_hex(secret).unwrap());
        let wallet = PublicKey::from_hex(wallet).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        let answers = HashMap::new();
        let mut application = Self { socket, keys, wallet, answers, encryption: None };
        let info = Filter::new().kind(Kind::WalletConnectInfo).author(wallet);
        let answers = Filter::new()
            .kind(Kind::WalletConnectResponse)
            .author(wallet)
            .pubkey(application.keys.public_key());
        for (name, filter) in [("info", info), ("answers", answers)] {
            let subscribe = ClientMessage::req(SubscriptionId::new(name), filter);
            application.socket.send(Message::text(subscribe.as_json())).await.unwrap();
        }
        while application.encryption.is_none() {
            application.hear().await;
        }
        let asking = async {
            loop {
                let event = application.event(Sealed::Nip44, "get_info", json!({}));
                if timeout(SHORT, application.send(&event)).await.is_ok() {
                    break;
                }
            }
        };
        timeout(LONG, asking).await.expect("the wallet answers in time");
        application
    }

    /// Which seals the wallet says it reads.
    pub(crate) fn encryption(&self) -> Option<&str> {
        self.encryption.as_deref()
    }

    pub(crate) fn event(&self, seal: Sealed, method: &str, params: Value) -> Event {
        self.build(seal, method, params).finalize(&self.keys).unwrap()
    }

    /// A request with that word for its encryption.
    pub(crate) fn event_with(&self, encryption: &str, method: &str, params: Value) -> Event {
        let strange = Tag::parse(["encryption", encryption]).unwrap();
        let event = self.build(Sealed::Nip04, method, params).tag(strange);
        event.finalize(&self.keys).unwrap()
    }

    pub(crate) fn aged(&self, age: Duration, method: &str, params: Value) -> Event {
        let then = Timestamp::from_secs(Timestamp::now().as_secs() - age.as_secs());
        let event = self.build(Sealed::Nip44, method, params).custom_created_at(then);
        event.finalize(&self.keys).unwrap()
    }

    /// A request that said itself until when it is good.
    pub(crate) fn expired(&self, method: &str, params: Value) -> Event {
        let end = (Timestamp::now().as_secs() - 1).to_string();
        let end = Tag::parse(["expiration", &end]).unwrap();
        self.build(Sealed::Nip44, method, params).tag(end).finalize(&self.keys).unwrap()
    }

    pub(crate) fn by_a_stranger(&self, method: &str, params: Value) -> Event {
        let stranger = Keys::generate();
        let text = json!({ "method": method, "params": params }).to_string();
        let secret = stranger.secret_key();
        let content = nip44::encrypt(secret, &self.wallet, text, nip44::Version::V2).unwrap();
        EventBuilder::new(Kind::WalletConnectRequest, content)
            .tag(Tag::public_key(self.wallet))
            .tag(Tag::parse(["encryption", "nip44_v2"]).unwrap())
            .finalize(&stranger)
            .unwrap()
    }

    fn build(&self, seal: Sealed, method: &str, params: Value) -> EventBuilder {
        let text = json!({ "method": method, "params": params }).to_string();
        let secret = self.keys.secret_key();
        match seal {
            Sealed::Nip04 => {
                let content = nip04::encrypt(secret, &self.wallet, &text).unwrap();
                EventBuilder::new(Kind::WalletConnectRequest, content)
            }
            Sealed::Nip44 => {
                let version = nip44::Version::V2;
                let content = nip44::encrypt(secret, &self.wallet, text, version).unwrap();
                EventBuilder::new(Kind::WalletConnectRequest, content)
                    .tag(Tag::parse(["encryption", "nip44_v2"]).unwrap())
            }
        }
        .tag(Tag::public_key(self.wallet))
    }

    /// Sends an event and waits for nothing.
    pub(crate) async fn say(&mut self, event: &Event) {
        let event = ClientMessage::event(event.clone()).as_json();
        self.socket.send(Message::text(event)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, event: &Event) -> Value {
        self.say(event).await;
        self.answer(event.id).await
    }

    pub(crate) async fn ask(&mut self, seal: Sealed, method: &str, params: Value) -> Value {
        let event = self.event(seal, method, params);
        self.send(&event).await
    }

    /// The answer to a request, which comes in its own time.
    pub(crate) async fn answer(&mut self, request: EventId) -> Value {
        loop {
            if let Some(answer) = self.answers.remove(&request) {
                return answer;
            }
            self.hear().await;
        }
    }

    async fn hear(&mut self) {
        let heard = timeout(LONG, self.socket.next()).await.expect("an answer comes in time");
        let Message::Text(text) = heard.unwrap().unwrap() else { return };
        let Ok(RelayMessage::Event { event, .. }) = RelayMessage::from_json(text.as_str()) else {
            return;
        };
        if event.kind == Kind::WalletConnectInfo {
            let mut tags = event.tags.iter().map(|tag| tag.as_slice());
            let tag = tags.find(|tag| tag.first().is_some_and(|name| name == "encryption"));
            self.encryption = tag.and_then(|tag| tag.get(1).cloned());
            return;
        }
        let secret = self.keys.secret_key();
        let asked = event.tags.event_ids().next().unwrap();
        let text = match event.content.contains("?iv=") {
            true => nip04::decrypt(secret, &self.wallet, &event.content).unwrap(),
            false => nip44::decrypt(secret, &self.wallet, &event.content).unwrap(),
        };
        self.answers.insert(asked, serde_json::from_str(&text).unwrap());
    }
}
