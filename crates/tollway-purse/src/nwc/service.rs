//! The service as a whole: which relays it needs, and which requests it takes.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use l402::{Msat, Network, Node, NodeErrorKind};
use nostr::event::{Event, Kind};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::book::{Book, BookError, Connection, Connections, now};
use super::known::Known;
use super::pay::UnderWay;
use super::relay::{Live, Relay};

/// How often the book is looked into for connections that were made or revoked.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is too old to matter is forgotten.
const TIDY: Duration = Duration::from_secs(3600);
/// How many requests wait to be taken.
const QUEUE: usize = 256;
/// How many requests of one connection are carried out at a time.
const AT_ONCE: usize = 64;
/// How long an answer may take to leave when the service ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What routing may cost for a payment that an application orders: NIP-47 has no word for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// This share of the amount, in millionths,
    pub share_ppm: u32,
    /// or this much, in millisatoshi, where that is more.
    pub least: Msat,
}

impl Default for Fees {
    /// 1 %, or 10 sat.
    fn default() -> Self {
        Self { share_ppm: 10_000, least: Msat::from_msat(10_000) }
    }
}

impl Fees {
    pub(crate) fn most(self, amount: Msat) -> Msat {
        amount.ppm_ceil(self.share_ppm).max(self.least)
    }
}

/// A wallet service over a node, ready to run.
#[derive(Debug)]
pub struct WalletService {
    wallet: Arc<Wallet>,
    to_relays: watch::Sender<Live>,
}

/// What every request shares.
#[derive(Debug)]
pub(crate) struct Wallet {
    pub(crate) node: Node,
    pub(crate) network: Network,
    pub(crate) book: Book,
    pub(crate) fees: Fees,
    pub(crate) under_way: UnderWay,
    pub(crate) known: Known,
    pub(crate) live: watch::Receiver<Live>,
    outboxes: Mutex<HashMap<String, mpsc::UnboundedSender<Event>>>,
    busy: Mutex<HashMap<i64, Arc<Semaphore>>>,
}

impl WalletService {
    /// Puts a service together. `node` should be the one that a purse serves, so that both pay through
    /// the same [`l402::Payer`].
    ///
    /// # Errors
    /// [`BookError::Storage`].
    ///
    /// # Panics
    /// When the node can neither pay nor be paid.
    pub async fn new(node: Node, connections: Connections, fees: Fees) -> Result<Self, BookError> {
        let network = node.payer.as_ref().map(|payer| payer.network());
        let network = network.or(node.invoicer.as_ref().map(|invoicer| invoicer.network()));
        let network = network.expect("a node that can neither pay nor be paid serves nothing");
        let Connections(book) = connections;
        let (to_relays, live) = watch::channel(Arc::new(book.connections().await?));
        let wallet = Wallet {
            node,
            network,
            book,
            fees,
            under_way: UnderWay::default(),
            known: Known::default(),
            live,
            outboxes: Mutex::default(),
            busy: Mutex::default(),
        };
        Ok(Self { wallet: Arc::new(wallet), to_relays })
    }

    /// Serves until `stop` ends; then nothing more is begun, and payments under way have `grace` to
    /// end. What has not ended by then is held in the book, and asked about after the next start.
    pub async fn run(self, stop: impl Future<Output = ()> + Send, grace: Duration) {
        let Self { wallet, to_relays } = self;
        wallet.resume().await;
        let (requests, mut asked) = mpsc::channel(QUEUE);
        let mut relays: JoinSet<()> = JoinSet::new();
        let mut handling: JoinSet<()> = JoinSet::new();
        let (mut look, mut tidy) = (interval(LOOK), interval(TIDY));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = look.tick() => {
                    wallet.look(&to_relays).await;
                    wallet.connect(&requests, &mut relays);
                }
                _ = tidy.tick() => wallet.tidy().await,
                Some(event) = asked.recv() => {
                    handling.spawn(Arc::clone(&wallet).take(event));
                }
                Some(_) = handling.join_next() => {}
            }
        }
        let ends = async {
            while handling.join_next().await.is_some() {}
            wallet.under_way.idle().await;
        };
        if timeout(grace, ends).await.is_err() {
            tracing::warn!("stopped before every payment of a connection had ended; it is held");
        }
        // Without outboxes the relays' tasks end, after what is in them has left.
        wallet.outboxes.lock().expect("nothing panics under this lock").clear();
        let _ = timeout(LAST_WORDS, async { while relays.join_next().await.is_some() {} }).await;
    }
}

impl Wallet {
    /// Tells the relays when connections were made or revoked.
    async fn look(&self, to_relays: &watch::Sender<Live>) {
        let found = match self.book.connections().await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "the connections cannot be read; those known before are kept");
                return;
            }
        };
        to_relays.send_if_modified(|live| {
            let ids = |all: &[Connection]| all.iter().map(|one| one.id).collect::<Vec<_>>();
            let changed = ids(live) != ids(&found);
            *live = Arc::new(found);
            changed
        });
    }

    /// A task for every relay that is needed, and none for one that is not.
    fn connect(&self, requests: &mpsc::Sender<Event>, relays: &mut JoinSet<()>) {
        while relays.try_join_next().is_some() {}
        let live = Arc::clone(&self.live.borrow());
        let mut outboxes = self.outboxes.lock().expect("nothing panics under this lock");
        let needed = |url: &String| live.iter().any(|connection| connection.relays.contains(url));
        outboxes.retain(|url, outbox| needed(url) && !outbox.is_closed());
        for url in live.iter().flat_map(|connection| &connection.relays) {
            if outboxes.contains_key(url) {
                continue;
            }
            let (outbox, answers) = mpsc::unbounded_channel();
            outboxes.insert(url.clone(), outbox);
            let (url, requests) = (url.clone(), requests.clone());
            relays.spawn(Relay { url, requests, answers, live: self.live.clone() }.run());
        }
    }

    async fn tidy(&self) {
        let before = now().saturating_sub(24 * 3600);
        if let Err(error) = self.book.forget_requests(before).await {
            tracing::error!(%error, "old requests cannot be forgotten");
        }
    }

    /// The connection that a request is for, if it is one's at all.
    pub(crate) fn connection_of(&self, event: &Event) -> Option<Connection> {
        if event.kind != Kind::WalletConnectRequest {
            return None;
        }
        let live = self.live.borrow();
        let ours = |connection: &&Connection| {
            let key = connection.keys.public_key();
            connection.client == event.pubkey && event.tags.public_keys().any(|to| to == key)
        };
        live.iter().find(ours).cloned()
    }

    /// A place among the requests of that connection that are carried out now.
    pub(crate) fn room(
        &self,
        connection: &Connection,
    ) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let mut busy = self.busy.lock().expect("nothing panics under this lock");
        let room = busy.entry(connection.id).or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        Arc::clone(room).try_acquire_owned().ok()
    }

    /// Sends an answer by way of all relays of its connection.
    pub(crate) fn send(&self, connection: &Connection, answer: &Event) {
        let outboxes = self.outboxes.lock().expect("nothing panics under this lock");
        for relay in &connection.relays {
            if let Some(outbox) = outboxes.get(relay) {
                // A relay whose task has ended is connected to anew at the next look.
                let _ = outbox.send(answer.clone());
            }
        }
    }

    /// What a connection reads of an error of the node's: the node's own words stay here.
    pub(crate) fn node_failed(error: &l402::NodeError) -> super::wire::No {
        tracing::warn!(%error, source = ?error.source, "the node failed");
        let text = match error.kind {
            NodeErrorKind::Refused => "the wallet's node refused",
            _ => "the wallet's node cannot be asked now; try again later",
        };
        super::wire::No::Internal(text.to_owned())
    }
}
