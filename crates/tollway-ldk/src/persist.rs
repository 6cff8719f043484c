//! What LDK wants kept, queued for the writer. Every answer to LDK is `InProgress`: nothing that
//! depends on a write leaves this node before [`crate::writer`] has it on the disk.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard};

use lightning::chain::ChannelMonitorUpdateStatus;
use lightning::chain::chainmonitor::Persist;
use lightning::chain::channelmonitor::{ChannelMonitor, ChannelMonitorUpdate};
use lightning::ln::types::ChannelId;
use lightning::sign::InMemorySigner;
use lightning::util::persist::MonitorName;
use lightning::util::ser::Writeable;

use crate::store::Write;

/// A whole monitor grows with every payment it has seen, an update does not. A whole one is
/// written when the updates since the last weigh as much as it did, and at least this many bytes:
/// so a payment costs the same however many went before it.
const CONSOLIDATE_AFTER: usize = 256 * 1024;

/// What waits to be written, and who wants to be told when it is.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    writes: Vec<Write>,
    updates: Vec<(ChannelId, u64)>,
    weights: HashMap<String, Weight>,
    manager: bool,
    stopping: bool,
}

/// How heavy a monitor was when it was last written whole, and what came since.
#[derive(Clone, Copy, Default)]
struct Weight {
    whole: usize,
    since: usize,
}

/// One batch for the writer.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// What to write.
    pub(crate) writes: Vec<Write>,
    /// What LDK waits for.
    pub(crate) updates: Vec<(ChannelId, u64)>,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({} writes)", self.waiting().writes.len())
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while held")
    }

    pub(crate) fn push(&self, write: Write) {
        self.waiting().writes.push(write);
        self.wake.notify_one();
    }

    /// The manager has changed in a way that should be on the disk.
    pub(crate) fn manager_changed(&self) {
        self.waiting().manager = true;
        self.wake.notify_one();
    }

    /// Lets the writer finish what waits, and end.
    pub(crate) fn stop(&self) {
        self.waiting().stopping = true;
        self.wake.notify_one();
    }

    /// Waits until there is something to write: `false` when there is not and never will be.
    pub(crate) fn wait(&self) -> bool {
        let mut waiting = self.waiting();
        loop {
            if !waiting.writes.is_empty() || waiting.manager {
                return true;
            }
            if waiting.stopping {
                return false;
            }
            waiting = self.wake.wait(waiting).expect("no panic while held");
        }
    }

    pub(crate) fn take(&self) -> Batch {
        let mut waiting = self.waiting();
        waiting.manager = false;
        Batch {
            writes: std::mem::take(&mut waiting.writes),
            updates: std::mem::take(&mut waiting.updates),
        }
    }

    fn whole(
        &self,
        name: MonitorName,
        monitor: &ChannelMonitor<InMemorySigner>,
        update: Option<u64>,
    ) -> ChannelMonitorUpdateStatus {
        let body = monitor.encode();
        let name = name.to_string();
        let mut waiting = self.waiting();
        waiting.weights.insert(name.clone(), Weight { whole: body.len(), since: 0 });
        waiting.writes.push(Write::Monitor { name, body });
        waiting.updates.extend(update.map(|id| (monitor.channel_id(), id)));
        self.wake.notify_one();
        ChannelMonitorUpdateStatus::InProgress
    }

    /// A monitor that was read from the disk: how heavy it was, and the updates after it.
    pub(crate) fn loaded(&self, name: &str, whole: usize, since: usize) {
        self.waiting().weights.insert(name.to_owned(), Weight { whole, since });
    }

    /// Whether the next update of this monitor should be a whole one.
    fn is_heavy(&self, name: &str) -> bool {
        let weight = self.waiting().weights.get(name).copied().unwrap_or_default();
        weight.since > weight.whole.max(CONSOLIDATE_AFTER)
    }
}

impl Persist<InMemorySigner> for Queue {
    fn persist_new_channel(
        &self,
        name: MonitorName,
        monitor: &ChannelMonitor<InMemorySigner>,
    ) -> ChannelMonitorUpdateStatus {
        self.whole(name, monitor, Some(monitor.get_latest_update_id()))
    }

    fn update_persisted_channel(
        &self,
        name: MonitorName,
        update: Option<&ChannelMonitorUpdate>,
        monitor: &ChannelMonitor<InMemorySigner>,
    ) -> ChannelMonitorUpdateStatus {
        // Without an update the monitor has changed with the chain, which only a whole one says.
        let Some(update) = update else { return self.whole(name, monitor, None) };
        let text = name.to_string();
        if self.is_heavy(&text) {
            return self.whole(name, monitor, Some(update.update_id));
        }
        let body = update.encode();
        let mut waiting = self.waiting();
        waiting.weights.entry(text.clone()).or_default().since += body.len();
        waiting.writes.push(Write::Update { name: text, id: update.update_id, body });
        waiting.updates.push((monitor.channel_id(), update.update_id));
        self.wake.notify_one();
        ChannelMonitorUpdateStatus::InProgress
    }

    fn archive_persisted_channel(&self, name: MonitorName) {
        self.push(Write::Archive { name: name.to_string() });
    }
}
