//! The writer: one thread that puts the manager and everything queued beside it on the disk as one
//! moment, and only then tells LDK that its updates are safe.
//!
//! The queue is taken first and the manager encoded second, so that the manager on the disk knows
//! every update beside it as in flight: whatever moment the process dies at, what is read back is
//! one consistent state, and no message that depends on a later one has left.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use lightning::util::ser::Writeable;

use super::core::Core;
use crate::persist::Batch;

/// Starts the thread. It ends when the queue is stopped and empty, or when the disk fails.
pub(crate) fn start(core: Arc<Core>) -> std::io::Result<JoinHandle<()>> {
    let name = "node-writer".to_owned();
    thread::Builder::new().name(name).spawn(move || or_stop(&core, || run(&core)))
}

/// Stops the node where its writer panics: one that nobody writes for would accept payments and end none.
fn or_stop(core: &Arc<Core>, write: impl FnOnce()) {
    if panic::catch_unwind(AssertUnwindSafe(write)).is_err() {
        core.lose_writer();
    }
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

#[cfg(test)]
mod tests {
    use l402::NodeErrorKind;

    use super::or_stop;
    use crate::{Devnet, DevnetConfig};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_node_whose_writer_panics_stops_and_says_so() {
        let devnet = Devnet::start(DevnetConfig::default()).await.unwrap();
        let core = &devnet.nodes()[0].node.core;
        or_stop(core, || {});
        assert!(core.check().is_ok());
        or_stop(core, || panic!("a mistake of ours, or of a library's"));
        assert_eq!(core.check().unwrap_err().kind, NodeErrorKind::Storage);
        devnet.stop().await;
    }
}
