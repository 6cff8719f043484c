//! The writer: one thread that puts the manager and everything queued beside it on the disk as one
//! moment, and only then tells LDK that its updates are safe.
//!
//! The queue is taken first and the manager encoded second, so that the manager on the disk knows
//! every update beside it as in flight: whatever moment the process dies at, what is read back is
//! one consistent state, and no message that depends on a later one has left.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lightning::util::ser::Writeable;

use super::core::Core;
use crate::persist::Batch;

/// Starts the thread. It ends when the queue is stopped and empty, or when the disk fails.
pub(crate) fn start(core: Arc<Core>) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name("node-writer".into()).spawn(move || run(&core))
}

fn run(core: &Arc<Core>) {
    while core.queue.wait() {
        let (batch, manager) = {
            let _moment = core.moment();
            let batch = core.queue.take();
            (batch, core.manager.encode())
        };
        if let Err(error) = core.store.commit(&batch.writes, &manager) {
            core.fail(&error);
            return;
        }
        release(core, &batch);
    }
}

/// Tells everyone who waits that the batch is on the disk.
fn release(core: &Arc<Core>, batch: &Batch) {
    for (hash, end) in core.payments.committed(&batch.writes) {
        core.waits.end(hash, end);
    }
    for (channel, update) in &batch.updates {
        // A channel that has been archived since no longer waits.
        let _ = core.monitors.channel_monitor_updated(*channel, *update);
    }
    if !batch.writes.is_empty() {
        core.step();
    }
}
