//! When LDK's slow clocks tick.
//!
//! LDK remembers a finished payment for eight ticks, and all it remembers is in the manager that
//! every commit writes. On a clock alone a busy node would drag tens of thousands of finished
//! payments through every write. So it also ticks after a number of finished payments: then what is
//! dragged along is bounded, and payment 100,000 costs what payment 1,000 did.
//!
//! But two ticks are also how long LDK waits for a peer to answer before it hangs up (three for the
//! other parts of a payment, two for a closing to be agreed). A tick ahead of the clock is therefore
//! only taken while nothing waits that had waited at the tick before.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use lightning::ln::channel_state::ChannelDetails;
use lightning::ln::types::ChannelId;
use tokio::time::Instant;

/// How often it ticks on a quiet node. LDK is made for a minute and below.
pub(super) const TICK: Duration = Duration::from_secs(10);
/// How many finished payments make a tick ahead of the clock.
const PAYMENTS: u32 = 64;
/// No ticks closer than this, for looking at the channels has its price too.
const CLOSEST: Duration = Duration::from_millis(100);

/// One payment in one channel: incoming or not, and its number.
type Htlc = (ChannelId, bool, u64);

#[derive(Debug)]
pub(crate) struct Pace {
    finished: AtomicU32,
    last: Mutex<Last>,
}

/// The last ticks, and how things were at the manager's.
#[derive(Debug)]
struct Last {
    of_the_rest: Instant,
    of_the_manager: Instant,
    htlcs: HashSet<Htlc>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let last = Last { of_the_rest: now, of_the_manager: now, htlcs: HashSet::new() };
        Self { finished: AtomicU32::new(0), last: Mutex::new(last) }
    }

    /// A payment of ours has ended.
    pub(crate) fn finished(&self) {
        self.finished.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it is time for a tick of everything but the manager.
    pub(crate) fn is_time(&self) -> bool {
        let mut last = self.last();
        let is_time = last.of_the_rest.elapsed() >= TICK;
        if is_time {
            last.of_the_rest = Instant::now();
        }
        is_time
    }

    /// Whether it is time for a tick of the manager. Ask again when something has happened or
    /// [`TICK`] has passed.
    pub(crate) fn is_time_for_manager(
        &self,
        channels: impl FnOnce() -> Vec<ChannelDetails>,
    ) -> bool {
        let mut last = self.last();
        let since = last.of_the_manager.elapsed();
        let busy = self.finished.load(Ordering::Relaxed) >= PAYMENTS;
        if since < CLOSEST || (since < TICK && !busy) {
            return false;
        }
        let channels = channels();
        let htlcs: HashSet<_> = channels.iter().flat_map(htlcs).collect();
        let settled = channels.iter().all(|channel| channel.is_usable);
        if since < TICK && !(settled && last.htlcs.is_disjoint(&htlcs)) {
            return false;
        }
        (last.of_the_manager, last.htlcs) = (Instant::now(), htlcs);
        self.finished.store(0, Ordering::Relaxed);
        true
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().expect("no panic while held")
    }
}

fn htlcs(channel: &ChannelDetails) -> impl Iterator<Item = Htlc> {
    let id = channel.channel_id;
    let incoming = channel.pending_inbound_htlcs.iter().map(move |htlc| (id, true, htlc.htlc_id));
    // One that the peer was not told of yet has no number, and waits for nobody but us.
    let outgoing = channel.pending_outbound_htlcs.iter().filter_map(|htlc| htlc.htlc_id);
    incoming.chain(outgoing.map(move |htlc| (id, false, htlc)))
}
