//! The way to the wallet: one connection to a relay that carries all requests, made when one is to be
//! sent and made anew, at the next relay of the URL, when it is lost. What was sent on a connection that
//! is lost is never sent again.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nostr::event::{Event, EventBuilder, EventId, FinalizeEvent, Kind, Tag};
use nostr::filter::Filter;
use nostr::key::{Keys, PublicKey};
use nostr::message::{ClientMessage, RelayMessage, SubscriptionId};
use nostr::nips::{nip04, nip44};
use nostr::types::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

use super::wire::{Answer, Fault, Trouble};
use crate::http::{Dial, NoAnswer, Stream, Web};

/// How long the wallet may take for an answer that needs no payment.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a relay may take until it has said what it knows.
const GREETING: Duration = Duration::from_secs(10);
/// How often a silent connection is tried. One that is silent twice in a row is lost.
const PULSE: Duration = Duration::from_secs(30);

/// Who speaks with whom, and where.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) relays: Vec<Web>,
    pub(super) keys: Keys,
    pub(super) wallet: PublicKey,
}

/// The task that holds the connection.
#[derive(Debug)]
pub(super) struct Relay(mpsc::Sender<Request>);

/// A request, and who waits for its answer.
struct Request {
    text: String,
    answer: oneshot::Sender<Result<Answer, Fault>>,
}

/// How the wallet wants its messages sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seal {
    Nip04,
    Nip44,
}

struct Connection {
    socket: WebSocketStream<Box<dyn Stream>>,
    seal: Seal,
    waiting: HashMap<EventId, oneshot::Sender<Result<Answer, Fault>>>,
    /// Something was heard since the last pulse.
    alive: bool,
}

impl Relay {
    pub(super) fn start(wire: Wire) -> Self {
        let (sender, requests) = mpsc::channel(64);
        tokio::spawn(run(wire, requests));
        Self(sender)
    }

    /// Asks for something that no money hangs on.
    pub(super) async fn query<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: &Value,
    ) -> Result<T, Fault> {
        match timeout(ANSWER, self.request(method, parameters)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::TimedOut),
        }
    }

    /// Sends a request once, and waits for as long as the wallet takes.
    pub(super) async fn request<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: &Value,
    ) -> Result<T, Fault> {
        let text = json!({ "method": method, "params": parameters }).to_string();
        let (answer, answered) = oneshot::channel();
        let gone = || Fault::Lost(Trouble::RelayLost);
        self.0.send(Request { text, answer }).await.map_err(|_| gone())?;
        match answered.await.map_err(|_| gone())?? {
            Answer { error: Some(refusal), .. } => Err(Fault::Refused(refusal)),
            Answer { result: Some(result), .. } => serde_json::from_value(result)
                .map_err(|error| Fault::Strange(Trouble::Unreadable(error))),
            Answer { .. } => Err(Fault::Strange(Trouble::Empty)),
        }
    }
}

/// Carries requests until nobody can send one any more.
async fn run(wire: Wire, mut requests: mpsc::Receiver<Request>) {
    let mut connection: Option<Connection> = None;
    let mut turn = 0;
    let mut pulse = interval(PULSE);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(live) = &mut connection else {
            let Some(request) = requests.recv().await else { return };
            let relay = &wire.relays[turn % wire.relays.len()];
            match timeout(GREETING, Connection::open(&wire, relay)).await {
                Ok(Ok(mut live)) => {
                    live.send(&wire, request).await;
                    pulse.reset();
                    connection = Some(live);
                }
                Ok(Err(fault)) => {
                    turn += 1;
                    let _ = request.answer.send(Err(fault));
                }
                Err(_) => {
                    turn += 1;
                    let place = relay.host().to_owned();
                    let source = std::io::ErrorKind::TimedOut.into();
                    let silent = Fault::NoRelay(NoAnswer::NotConnected { place, source });
                    let _ = request.answer.send(Err(silent));
                }
            }
            continue;
        };
        if !live.turn(&wire, &mut requests, &mut pulse).await {
            turn += 1;
            if let Some(lost) = connection.take() {
                lost.give_up();
            }
            if requests.is_closed() {
                return;
            }
        }
    }
}

impl Connection {
    /// Connects, learns how the wallet wants its messages sealed, and listens for its answers.
    async fn open(wire: &Wire, relay: &Web) -> Result<Self, Fault> {
        let stream = relay.dial().await.map_err(Fault::NoRelay)?;
        let handshake = async {
            let request = relay.websocket_url().into_client_request()?;
            tokio_tungstenite::client_async(request, stream).await
        };
        let broken = |error| Fault::NotTaken(Trouble::Handshake(Box::new(error)).to_string());
        let (socket, _) = handshake.await.map_err(broken)?;
        let mut connection =
            Self { socket, seal: Seal::Nip04, waiting: HashMap::new(), alive: true };
        let info = Filter::new().kind(Kind::WalletConnectInfo).author(wire.wallet).limit(1);
        let answers = Filter::new()
            .kind(Kind::WalletConnectResponse)
            .author(wire.wallet)
            .pubkey(wire.keys.public_key())
            .since(Timestamp::now());
        for (name, filter) in [("info", info), ("answers", answers)] {
            let subscribe = ClientMessage::req(SubscriptionId::new(name), filter);
            connection.say(&subscribe).await.map_err(|error| broken(*error))?;
        }
        let mut greeted = 0;
        while greeted < 2 {
            match connection.hear().await {
                Some(RelayMessage::EndOfStoredEvents(_)) => greeted += 1,
                Some(RelayMessage::Closed { message, .. }) => {
                    return Err(Fault::NotTaken(message.into_owned()));
                }
                Some(RelayMessage::Event { event, .. }) => connection.learn(wire, &event),
                Some(_) => {}
                None => return Err(Fault::NotTaken("it closed the connection".to_owned())),
            }
        }
        Ok(connection)
    }

    /// The wallet's description of itself says which seals it reads; one without a word reads NIP-04.
    fn learn(&mut self, wire: &Wire, event: &Event) {
        let is_info = event.kind == Kind::WalletConnectInfo && event.pubkey == wire.wallet;
        let reads = |tag: &Tag| {
            let tag = tag.as_slice();
            tag.first().is_some_and(|name| name == "encryption")
                && tag.iter().skip(1).any(|seals| seals.split(' ').any(|seal| seal == "nip44_v2"))
        };
        if is_info && event.verify().is_ok() && event.tags.iter().any(reads) {
            self.seal = Seal::Nip44;
        }
    }

    /// Waits for one thing to happen. Whether the connection is still there.
    async fn turn(
        &mut self,
        wire: &Wire,
        requests: &mut mpsc::Receiver<Request>,
        pulse: &mut Interval,
    ) -> bool {
        tokio::select! {
            request = requests.recv() => match request {
                Some(request) => {
                    self.send(wire, request).await;
                    true
                }
                None => false,
            },
            message = self.socket.next() => match message {
                Some(Ok(message)) => {
                    self.alive = true;
                    self.understand(wire, &message);
                    true
                }
                Some(Err(_)) | None => false,
            },
            _ = pulse.tick() => {
                let alive = std::mem::take(&mut self.alive);
                alive && self.socket.send(Message::Ping(Vec::new().into())).await.is_ok()
            }
        }
    }

    /// Sends one request. From here on it may be carried out.
    async fn send(&mut self, wire: &Wire, Request { text, answer }: Request) {
        let event = match self.sealed(wire, &text) {
            Ok(event) => event,
            Err(error) => {
                let _ = answer.send(Err(Fault::NotTaken(error.to_string())));
                return;
            }
        };
        self.waiting.retain(|_, answer| !answer.is_closed());
        self.waiting.insert(event.id, answer);
        if self.say(&ClientMessage::event(event)).await.is_err() {
            // The next turn finds the connection lost, and what was sent with it.
            self.alive = false;
        }
    }

    fn sealed(&self, wire: &Wire, text: &str) -> Result<Event, nostr::error::Error> {
        let (secret, wallet) = (wire.keys.secret_key(), &wire.wallet);
        let (content, encryption) = match self.seal {
            Seal::Nip44 => {
                let tag = Tag::parse(["encryption", "nip44_v2"])?;
                (nip44::encrypt(secret, wallet, text, nip44::Version::V2)?, Some(tag))
            }
            Seal::Nip04 => (nip04::encrypt(secret, wallet, text)?, None),
        };
        EventBuilder::new(Kind::WalletConnectRequest, content)
            .tag(Tag::public_key(wire.wallet))
            .tag_maybe(encryption)
            .finalize(&wire.keys)
    }

    fn understand(&mut self, wire: &Wire, message: &Message) {
        let Message::Text(text) = message else { return };
        match RelayMessage::from_json(text.as_str()) {
            Ok(RelayMessage::Ok { event_id, status: false, message }) => {
                if let Some(answer) = self.waiting.remove(&event_id) {
                    let _ = answer.send(Err(Fault::NotTaken(message.into_owned())));
                }
            }
            Ok(RelayMessage::Event { event, .. }) => self.answer(wire, &event),
            // Without its subscription the connection hears no answer.
            Ok(RelayMessage::Closed { .. }) => self.alive = false,
            _ => {}
        }
    }

    /// Hands an answer to the one who waits for it, if it is the wallet's.
    fn answer(&mut self, wire: &Wire, event: &Event) {
        let from_wallet = event.kind == Kind::WalletConnectResponse && event.pubkey == wire.wallet;
        let asked = event.tags.event_ids().find(|id| self.waiting.contains_key(id));
        let Some(asked) = asked.filter(|_| from_wallet && event.verify().is_ok()) else { return };
        let (secret, wallet) = (wire.keys.secret_key(), &wire.wallet);
        // The seal shows in the text: a wallet may answer in the other one.
        let text = if event.content.contains("?iv=") {
            nip04::decrypt(secret, wallet, &event.content)
        } else {
            nip44::decrypt(secret, wallet, &event.content)
        };
        let answer = match text {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| Fault::Strange(Trouble::Unreadable(error))),
            Err(error) => Err(Fault::Strange(Trouble::Sealed(error))),
        };
        if let Some(waiting) = self.waiting.remove(&asked) {
            let _ = waiting.send(answer);
        }
    }

    async fn say(
        &mut self,
        message: &ClientMessage<'_>,
    ) -> Result<(), Box<tokio_tungstenite::tungstenite::Error>> {
        self.socket.send(Message::text(message.as_json())).await.map_err(Box::new)
    }

    async fn hear(&mut self) -> Option<RelayMessage<'static>> {
        loop {
            match self.socket.next().await?.ok()? {
                Message::Text(text) => {
                    if let Ok(message) = RelayMessage::from_json(text.as_str()) {
                        return Some(message);
                    }
                }
                _ => continue,
            }
        }
    }

    /// Everybody who still waits learns that the answer is lost.
    fn give_up(self) {
        for (_, answer) in self.waiting {
            let _ = answer.send(Err(Fault::Lost(Trouble::RelayLost)));
        }
    }
}
