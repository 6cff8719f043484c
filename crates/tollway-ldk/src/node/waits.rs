//! Who waits for the end of which payment, in this process. At most one attempt per payment hash is
//! under way; whoever asks for the same payment joins it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use l402::{Invoice, Msat, Paid, PaymentHash, Why};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

/// Payments handed to LDK at the same time. A channel holds up to 483 in each direction (BOLT 2,
/// `max_accepted_htlcs`), and many nodes allow far fewer; the rest queue here, in order.
const AT_ONCE: usize = 100;

/// How a payment ended, on the disk.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Paid(Paid),
    NotPaid(Why),
    /// The node stopped before there was an end.
    Stopped,
}

/// What LDK is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) invoice: Invoice,
    pub(crate) max_fee: Msat,
    /// When to stop trying to send.
    pub(crate) deadline: Instant,
}

#[derive(Debug)]
pub(crate) struct Waits {
    active: Mutex<HashMap<PaymentHash, Active>>,
    slots: Arc<Semaphore>,
}

/// One payment under way.
#[derive(Debug)]
struct Active {
    /// `None` for one that an earlier process began.
    order: Option<Order>,
    /// Whether LDK may have sent something for it.
    handed_over: bool,
    waiters: Vec<oneshot::Sender<End>>,
    /// Given back when the payment ends.
    slot: Option<OwnedSemaphorePermit>,
}

/// The lock, held while it is decided whether a payment is begun.
pub(crate) struct Deciding<'a>(MutexGuard<'a, HashMap<PaymentHash, Active>>);

impl Waits {
    pub(crate) fn new() -> Self {
        Self { active: Mutex::default(), slots: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    fn active(&self) -> MutexGuard<'_, HashMap<PaymentHash, Active>> {
        self.active.lock().expect("no panic while held")
    }

    pub(crate) fn decide(&self) -> Deciding<'_> {
        Deciding(self.active())
    }

    /// Waits for a slot until the order's deadline. `false` when there was none in time.
    pub(crate) async fn slot(&self, hash: PaymentHash, deadline: Instant) -> bool {
        let slot = Arc::clone(&self.slots).acquire_owned();
        let Ok(Ok(slot)) = tokio::time::timeout_at(deadline, slot).await else { return false };
        if let Some(active) = self.active().get_mut(&hash) {
            active.slot = Some(slot);
        }
        true
    }

    /// From here on LDK may send something for it; or, with `false`, it has said that it did not.
    pub(crate) fn hand_over(&self, hash: PaymentHash, handed_over: bool) {
        if let Some(active) = self.active().get_mut(&hash) {
            active.handed_over = handed_over;
        }
    }

    /// Whether LDK may have sent something for it.
    pub(crate) fn is_handed_over(&self, hash: PaymentHash) -> bool {
        self.active().get(&hash).is_some_and(|active| active.handed_over)
    }

    /// The order behind a payment that this process began.
    pub(crate) fn order(&self, hash: PaymentHash) -> Option<Order> {
        self.active().get(&hash).and_then(|active| active.order.clone())
    }

    /// How many payments LDK holds.
    pub(crate) fn in_flight(&self) -> usize {
        self.active().values().filter(|active| active.handed_over).count()
    }

    /// It has ended, and the disk says so.
    pub(crate) fn end(&self, hash: PaymentHash, end: End) {
        let Some(active) = self.active().remove(&hash) else { return };
        for waiter in active.waiters {
            // Whoever stopped waiting asks for the outcome later.
            let _ = waiter.send(end.clone());
        }
    }

    /// The node stops: nobody will hear more.
    pub(crate) fn stop(&self) {
        self.slots.close();
        let all: Vec<_> = self.active().keys().copied().collect();
        all.into_iter().for_each(|hash| self.end(hash, End::Stopped));
    }
}

impl Deciding<'_> {
    /// Joins a payment that is under way in this process.
    pub(crate) fn join(&mut self, hash: PaymentHash) -> Option<oneshot::Receiver<End>> {
        let active = self.0.get_mut(&hash)?;
        let (sender, receiver) = oneshot::channel();
        active.waiters.push(sender);
        Some(receiver)
    }

    /// Begins one: with an order when it is ours to send, without when an earlier process sent it.
    pub(crate) fn begin(
        &mut self,
        hash: PaymentHash,
        order: Option<Order>,
    ) -> oneshot::Receiver<End> {
        let (sender, receiver) = oneshot::channel();
        let handed_over = order.is_none();
        let active = Active { order, handed_over, waiters: vec![sender], slot: None };
        self.0.insert(hash, active);
        receiver
    }
}
