//! What a gateway does with its store: looks up nothing for a plain token, counts uses for a counted
//! one, and writes down what was sold behind the requests' backs, in batches.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use l402::caveat::Counter;
use l402::{Msat, PaymentHash, TokenId};
use tokio::sync::{mpsc, oneshot};

use crate::config::Records;
use crate::metrics::Metrics;
use crate::seen::Seen;
use crate::store::{
    Answer, Bill, Claim, Event, Horizon, OneTime, SharedStore, StoreError, Take, Which, to_millis,
};

/// How many events may wait to be written; after that they are dropped, and that is logged.
const MOST_WAITING: usize = 16 * 1024;
/// The most events in one write.
const BATCH: usize = 512;
/// How often a batch is tried before it is dropped, and how long it waits in between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How often the revoked tokens are read, and how often what is past is forgotten.
const REFRESH: Duration = Duration::from_secs(5);
const PRUNE: Duration = Duration::from_secs(600);

/// A store, and what is kept of it at hand.
#[derive(Debug)]
pub(crate) struct Books {
    store: SharedStore,
    records: Records,
    revoked: ArcSwap<HashSet<TokenId>>,
    notes: mpsc::Sender<Note>,
    metrics: Arc<Metrics>,
    /// Whose payment is written down already.
    paid: Seen,
    /// Of whose payment the node has said that it is settled.
    pub(crate) settled: Seen,
}

/// Something for the writer.
#[derive(Debug)]
enum Note {
    Event(Event),
    /// Say when all before is written.
    Flush(oneshot::Sender<()>),
}

impl Books {
    /// Books in this store. Which tokens are revoked must be known before the first request.
    pub(crate) async fn open(
        store: SharedStore,
        records: Records,
        metrics: Arc<Metrics>,
    ) -> Result<Arc<Self>, StoreError> {
        let revoked = within(&store, records.timeout, &metrics, store.revoked()).await?;
        let (notes, waiting) = mpsc::channel(MOST_WAITING);
        let revoked = ArcSwap::from_pointee(revoked.into_iter().collect());
        let (paid, settled) = (Seen::default(), Seen::default());
        let books = Arc::new(Self { store, records, revoked, notes, metrics, paid, settled });
        let writer = Writer {
            store: Arc::clone(&books.store),
            patience: records.timeout,
            metrics: Arc::clone(&books.metrics),
        };
        tokio::spawn(writer.write(waiting));
        tokio::spawn(refresh(Arc::downgrade(&books)));
        tokio::spawn(prune(Arc::downgrade(&books)));
        Ok(books)
    }

    /// The store itself.
    pub(crate) fn store(&self) -> &SharedStore {
        &self.store
    }

    /// Whether a token is revoked, as of a few seconds ago.
    pub(crate) fn is_revoked(&self, token: TokenId) -> bool {
        self.revoked.load().contains(&token)
    }

    /// Revokes a token: here at once, and for others with the same store in a few seconds.
    pub(crate) async fn revoke(
        &self,
        token: TokenId,
        until: Option<SystemTime>,
    ) -> Result<(), StoreError> {
        self.within(self.store.revoke(token, until)).await?;
        self.revoked.rcu(|revoked| {
            let mut revoked = HashSet::clone(revoked);
            revoked.insert(token);
            revoked
        });
        Ok(())
    }

    /// Takes one use from each counter.
    pub(crate) async fn take(
        &self,
        counters: &[Counter],
        now: SystemTime,
    ) -> Result<Take, StoreError> {
        self.within(self.store.take(counters, now)).await
    }

    /// Gives uses back because nothing came of them. If that fails they are lost, and that is logged.
    pub(crate) async fn give_back(&self, counters: &[Counter]) {
        if let Err(error) = self.within(self.store.give_back(counters)).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a use could not be given back"
            );
        }
    }

    /// Claims a payment that is good for one request.
    pub(crate) async fn claim(
        &self,
        payment: &OneTime,
        now: SystemTime,
    ) -> Result<Claim, StoreError> {
        self.within(self.store.claim(payment, now)).await
    }

    /// Keeps an answer for whoever asks the same again.
    pub(crate) async fn answer(&self, hash: PaymentHash, answer: &Answer) {
        if let Err(error) = self.within(self.store.answer(hash, answer)).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an answer could not be kept");
        }
    }

    /// Takes back a claim because nothing came of it.
    pub(crate) async fn release(&self, hash: PaymentHash) {
        if let Err(error) = self.within(self.store.release(hash)).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a payment could not be released"
            );
        }
    }

    /// Writes down what a 402 asked for, unless that is not wanted.
    pub(crate) fn asked(&self, bill: impl FnOnce() -> Bill) {
        if self.records.bills {
            self.note(Event::Issued(bill()));
        }
    }

    /// Writes down that a payment was made, the first time that it is seen.
    pub(crate) fn paid(
        &self,
        hash: PaymentHash,
        service: &str,
        price: Option<Msat>,
        at: SystemTime,
    ) {
        if !self.paid.has(hash) {
            self.paid.add(hash);
            self.note(Event::Settled { hash, service: service.to_owned(), price, at });
        }
    }

    fn note(&self, event: Event) {
        // Nobody waits for this, and nothing grows without end.
        if self.notes.try_send(Note::Event(event)).is_err() {
            tracing::warn!("too much waits to be written down; a bill or payment is not");
        }
    }

    /// Returns when everything noted so far is written, or given up.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.notes.send(Note::Flush(done)).await.is_ok() {
            written.await.ok();
        }
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        within(&self.store, self.records.timeout, &self.metrics, work).await
    }
}

async fn within<T>(
    store: &SharedStore,
    patience: Duration,
    metrics: &Metrics,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let said = tokio::time::timeout(patience, work).await;
    let said = said.unwrap_or(Err(StoreError::Silent { store: store.name(), patience }));
    metrics.store.answered(said.is_ok(), began.elapsed());
    said
}

/// Who writes bills and payments down, behind the requests' backs.
struct Writer {
    store: SharedStore,
    patience: Duration,
    metrics: Arc<Metrics>,
}

impl Writer {
    /// Writes what it is told until nobody is left to tell it anything.
    async fn write(self, mut waiting: mpsc::Receiver<Note>) {
        let mut notes = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut notes, BATCH).await > 0 {
            let (mut events, mut flushed) = (Vec::with_capacity(notes.len()), Vec::new());
            for note in notes.drain(..) {
                match note {
                    Note::Event(event) => events.push(event),
                    Note::Flush(done) => flushed.push(done),
                }
            }
            if !events.is_empty() && self.write_batch(&events).await {
                self.count_new(&events).await;
            }
            for done in flushed {
                done.send(()).ok();
            }
        }
    }

    /// Whether it could be written.
    async fn write_batch(&self, events: &[Event]) -> bool {
        for attempt in 1..=TRIES {
            let Err(error) = self.within(self.store.record(events)).await else { return true };
            let error = &error as &dyn std::error::Error;
            if attempt == TRIES {
                let count = events.len();
                tracing::error!(error, count, "bills and payments could not be written down");
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
        false
    }

    /// Counts the payments that nobody had seen before, here or at another gateway or before a restart:
    /// the store keeps the time at which the first of all saw it.
    async fn count_new(&self, events: &[Event]) {
        for event in events {
            let Event::Settled { hash, service, at, .. } = event else { continue };
            match self.within(self.store.bill(Which::Payment(*hash))).await {
                Ok(Some(bill)) if bill.settled.map(to_millis) == Some(to_millis(*at)) => {
                    self.metrics.settled(service, bill.price);
                }
                Ok(_) => {}
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "a payment was written down and could not be counted");
                }
            }
        }
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        within(&self.store, self.patience, &self.metrics, work).await
    }
}

/// Reads the revoked tokens again and again, for as long as the books are open.
async fn refresh(books: Weak<Books>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let Some(books) = books.upgrade() else { return };
        let before = books.revoked.load_full();
        match books.within(books.store.revoked()).await {
            // One that was revoked here in the meantime may not have been read.
            Ok(revoked) => {
                let revoked: Arc<HashSet<_>> = Arc::new(revoked.into_iter().collect());
                books.revoked.compare_and_swap(&before, revoked);
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the revoked tokens could not be read again");
            }
        }
    }
}

/// Forgets what is past, now and then.
async fn prune(books: Weak<Books>) {
    loop {
        tokio::time::sleep(PRUNE).await;
        let Some(books) = books.upgrade() else { return };
        let now = SystemTime::now();
        let before = |age| now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        let Records { keep_unpaid, keep_paid, .. } = books.records;
        let horizon = Horizon { now, unpaid: before(keep_unpaid), paid: before(keep_paid) };
        // It may take longer than a request may wait.
        if let Err(error) = books.store.prune(horizon).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "what is past could not be forgotten");
        }
    }
}
