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
    /// How often all of it came back.
    pub(crate) came_back: u32,
}

/// How far a payment under way has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// LDK has none of it, and will not get it after this moment.
    Waiting {
        /// The order's own.
        until: Instant,
    },
    /// LDK is being asked to send it, and may refuse.
    Trying,
    /// LDK has it.
    Sent,
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
    stage: Stage,
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

    /// Waits for a slot until the order's deadline, unless the payment has one. `false` when there
    /// was none in time.
    pub(crate) async fn slot(&self, hash: PaymentHash, deadline: Instant) -> bool {
        if self.active().get(&hash).is_some_and(|active| active.slot.is_some()) {
            return true;
        }
        let slot = Arc::clone(&self.slots).acquire_owned();
        let Ok(Ok(slot)) = tokio::time::timeout_at(deadline, slot).await else { return false };
        if let Some(active) = self.active().get_mut(&hash) {
            active.slot = Some(slot);
        }
        true
    }

    /// Notes how far it has come. What was sent a moment ago may have come back already: then it
    /// stays that way.
    pub(crate) fn reach(&self, hash: PaymentHash, stage: Stage) {
        if let Some(active) = self.active().get_mut(&hash)
            && (stage != Stage::Sent || active.stage == Stage::Trying)
        {
            active.stage = stage;
        }
    }

    /// How far it has come; `None` when it is not under way.
    pub(crate) fn stage(&self, hash: PaymentHash) -> Option<Stage> {
        self.active().get(&hash).map(|active| active.stage)
    }

    /// All of a payment came back. Gives the order behind it, if this process began it.
    pub(crate) fn came_back(&self, hash: PaymentHash) -> Option<Order> {
        let mut active = self.active();
        let active = active.get_mut(&hash)?;
        let order = active.order.as_mut()?;
        order.came_back += 1;
        active.stage = Stage::Waiting { until: order.deadline };
        Some(order.clone())
    }

    /// How many payments LDK holds.
    pub(crate) fn in_flight(&self) -> usize {
        self.active().values().filter(|active| active.stage == Stage::Sent).count()
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
        let stage = match &order {
            Some(order) => Stage::Waiting { until: order.deadline },
            None => Stage::Sent,
        };
        let active = Active { order, stage, waiters: vec![sender], slot: None };
        self.0.insert(hash, active);
        receiver
    }
}
