//! One relay: a connection that is made again whenever it is lost, that hears the requests to our
//! connections and carries the answers. An answer that the relay did not confirm is sent again.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nostr::event::{Event, EventId, Kind};
use nostr::filter::Filter;
use nostr::message::{ClientMessage, RelayMessage, SubscriptionId};
use nostr::types::Timestamp;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};
use url::{Host, Url};

use super::book::{BookError, Connection};
use super::handle::MOST_AGE;
use super::seal;

/// How long a relay may take to be reached.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a silent connection is tried. One that is silent twice in a row is lost.
const PULSE: Duration = Duration::from_secs(30);
/// The shortest and the longest pause before a lost relay is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(60)];
/// How many answers wait for a relay that is away. Beyond that the oldest are given up: whoever asked
/// has long stopped waiting.
const MOST_WAITING: usize = 1_024;
/// The longest message that is read, in bytes: NIP-44 has room for 64 KiB of text.
const LONGEST: usize = 256 * 1024;

/// Who is there to be asked, as it is now.
pub(crate) type Live = Arc<Vec<Connection>>;

/// A byte stream to a relay.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Socket = WebSocketStream<Box<dyn Stream>>;

/// Refuses what is no relay's address: anything but TLS, unless it is on this machine.
pub(crate) fn check(relay: &str) -> Result<Url, BookError> {
    let wrong = || BookError::NotARelay { relay: relay.to_owned() };
    let url = Url::parse(relay).map_err(|_| wrong())?;
    let here = match url.host().ok_or_else(wrong)? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => IpAddr::V4(address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(address).is_loopback(),
    };
    let fine = url.scheme() == "wss" || url.scheme() == "ws" && here;
    if fine && url.username().is_empty() && url.password().is_none() {
        Ok(url)
    } else {
        Err(wrong())
    }
}

/// A relay of the service's, as its task has it.
pub(crate) struct Relay {
    pub(crate) url: String,
    /// Requests go there, checked for nothing but their form.
    pub(crate) requests: mpsc::Sender<Event>,
    pub(crate) answers: mpsc::UnboundedReceiver<Event>,
    pub(crate) live: watch::Receiver<Live>,
}

impl Relay {
    /// Serves until nobody wants it any more: its answers' other end is gone.
    pub(crate) async fn run(mut self) {
        let mut waiting: HashMap<EventId, Event> = HashMap::new();
        let [mut pause, longest] = PAUSES;
        loop {
            match timeout(CONNECT, dial(&self.url)).await {
                Ok(Ok(socket)) => {
                    tracing::info!(relay = self.url, "connected");
                    let since = Instant::now();
                    match self.attend(socket, &mut waiting).await {
                        Ended::NotWanted => return,
                        Ended::Lost => tracing::warn!(relay = self.url, "connection lost"),
                    }
                    // One that takes us in and turns us out again is not asked ever more often.
                    if since.elapsed() > longest {
                        pause = PAUSES[0];
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(relay = self.url, %error, "the relay cannot be reached");
                }
                Err(_) => tracing::warn!(relay = self.url, "the relay does not answer"),
            }
            tokio::select! {
                () = sleep(pause) => {}
                () = self.collect(&mut waiting) => return,
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Takes answers in while there is no connection. Ends when nobody gives any more.
    async fn collect(&mut self, waiting: &mut HashMap<EventId, Event>) {
        while let Some(answer) = self.answers.recv().await {
            keep(waiting, answer);
        }
    }

    /// Hears and answers on one connection.
    async fn attend(&mut self, mut socket: Socket, waiting: &mut HashMap<EventId, Event>) -> Ended {
        let greeting = self.greet(&mut socket, true).await;
        let resent = async {
            for answer in waiting.values() {
                say(&mut socket, &ClientMessage::event(answer.clone())).await?;
            }
            Ok::<_, SocketError>(())
        };
        if greeting.is_err() || resent.await.is_err() {
            return Ended::Lost;
        }
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut alive = true;
        loop {
            let done = tokio::select! {
                answer = self.answers.recv() => match answer {
                    None => return Ended::NotWanted,
                    Some(answer) => {
                        keep(waiting, answer.clone());
                        say(&mut socket, &ClientMessage::event(answer)).await
                    }
                },
                message = socket.next() => match message {
                    Some(Ok(message)) => {
                        alive = true;
                        if self.hear(&message, waiting).await { Ok(()) } else { return Ended::Lost }
                    }
                    Some(Err(error)) => Err(error),
                    None => return Ended::Lost,
                },
                changed = self.live.changed() => match changed {
                    Ok(()) => self.greet(&mut socket, false).await,
                    Err(_) => return Ended::NotWanted,
                },
                _ = pulse.tick() => {
                    if !std::mem::take(&mut alive) {
                        return Ended::Lost;
                    }
                    socket.send(Message::Ping(Vec::new().into())).await
                }
            };
            if done.is_err() {
                return Ended::Lost;
            }
        }
    }

    /// Says who we are, and asks for what is sent to us. Requests that were sent while we were away
    /// are asked for only as far back as they are still taken.
    async fn greet(&mut self, socket: &mut Socket, first: bool) -> Result<(), SocketError> {
        let live = Arc::clone(&self.live.borrow_and_update());
        let mine: Vec<&Connection> =
            live.iter().filter(|connection| connection.relays.contains(&self.url)).collect();
        for connection in &mine {
            match seal::description(&connection.keys, &connection.methods()) {
                Ok(info) => say(socket, &ClientMessage::event(info)).await?,
                Err(error) => tracing::error!(%error, "the wallet cannot describe itself"),
            }
        }
        let name = SubscriptionId::new("requests");
        if mine.is_empty() {
            if !first {
                say(socket, &ClientMessage::close(name)).await?;
            }
            return Ok(());
        }
        let asked = Filter::new()
            .kind(Kind::WalletConnectRequest)
            .pubkeys(mine.iter().map(|connection| connection.keys.public_key()))
            .since(Timestamp::from_secs(super::book::now().saturating_sub(MOST_AGE.as_secs())));
        say(socket, &ClientMessage::req(name, asked)).await
    }

    /// Whether the connection is still of use.
    async fn hear(&self, message: &Message, waiting: &mut HashMap<EventId, Event>) -> bool {
        let Message::Text(text) = message else { return true };
        match RelayMessage::from_json(text.as_str()) {
            Ok(RelayMessage::Event { event, .. }) => {
                // The service takes what it can; a full queue slows the relay down.
                self.requests.send(event.into_owned()).await.is_ok()
            }
            Ok(RelayMessage::Ok { event_id, status, message }) => {
                if !status {
                    tracing::warn!(relay = self.url, %message, "the relay refused an event");
                }
                // One that is slowed down is sent again on the next connection.
                if status || !message.starts_with("rate-limited") {
                    waiting.remove(&event_id);
                }
                true
            }
            Ok(RelayMessage::Closed { message, .. }) => {
                tracing::warn!(relay = self.url, %message, "the relay ended the subscription");
                false
            }
            _ => true,
        }
    }
}

enum Ended {
    NotWanted,
    Lost,
}

fn keep(waiting: &mut HashMap<EventId, Event>, answer: Event) {
    if waiting.len() >= MOST_WAITING
        && let Some(oldest) = waiting.values().min_by_key(|event| event.created_at).map(|e| e.id)
    {
        waiting.remove(&oldest);
    }
    waiting.insert(answer.id, answer);
}

async fn say(socket: &mut Socket, message: &ClientMessage<'_>) -> Result<(), SocketError> {
    socket.send(Message::text(message.as_json())).await
}

async fn dial(relay: &str) -> Result<Socket, Box<dyn std::error::Error + Send + Sync>> {
    let url = check(relay)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let stream = TcpStream::connect((name.as_str(), port)).await?;
    stream.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match url.scheme() {
        "wss" => {
            let connector = TlsConnector::from(trust());
            Box::new(connector.connect(ServerName::try_from(name)?, stream).await?)
        }
        _ if stream.peer_addr()?.ip().to_canonical().is_loopback() => Box::new(stream),
        _ => return Err(io::Error::other("it is not on this machine and speaks no TLS").into()),
    };
    let mut limits = tokio_tungstenite::tungstenite::protocol::WebSocketConfig::default();
    limits.max_message_size = Some(LONGEST);
    limits.max_frame_size = Some(LONGEST);
    let connected =
        tokio_tungstenite::client_async_with_config(url.as_str(), stream, Some(limits)).await;
    Ok(connected?.0)
}

/// The authorities that browsers trust.
fn trust() -> Arc<rustls::ClientConfig> {
    static TRUST: std::sync::OnceLock<Arc<rustls::ClientConfig>> = std::sync::OnceLock::new();
    let settings = || {
        let roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites of both versions")
            .with_root_certificates(rustls::RootCertStore { roots })
            .with_no_client_auth();
        Arc::new(settings)
    };
    Arc::clone(TRUST.get_or_init(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_reached_by_tls_or_is_here() {
        for fine in
            ["wss://relay.example", "wss://r.example:444/x", "ws://127.0.0.1:1", "ws://[::1]"]
        {
            assert!(check(fine).is_ok(), "{fine}");
        }
        for bad in
            ["", "relay.example", "https://r.example", "ws://r.example", "wss://a:b@r.example"]
        {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
