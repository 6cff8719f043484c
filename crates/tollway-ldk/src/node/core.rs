//! What one running node is made of, and its heartbeat: what has happened is handled, what came of
//! it is queued for the disk, and messages leave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use bitcoin::secp256k1::PublicKey;
use l402::{Network, NodeError, NodeErrorKind};
use lightning::events::EventsProvider;
use lightning::sign::KeysManager;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::DRIVER;
use super::health::Health;
use super::hints::Hints;
use super::liquidity::Liquidity;
use super::openings::Openings;
use super::pace::{Pace, TICK};
use super::recover::Recovery;
use super::upkeep::Public;
use super::waits::Waits;
use crate::broadcast::{Broadcaster, Feerates};
use crate::chain::{ChainSource, Transactions};
use crate::onchain::Wallet;
use crate::payments::Payments;
use crate::persist::Queue;
use crate::store::Store;
use crate::types::{Bumper, Graph, Manager, Monitors, Peers, Scorer, Sweeper};

/// The parts of a running node.
pub(crate) struct Core {
    pub(crate) network: Network,
    pub(crate) id: PublicKey,
    pub(crate) keys: Arc<KeysManager>,
    pub(crate) manager: Arc<Manager>,
    pub(crate) monitors: Arc<Monitors>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) sweeper: Arc<Sweeper>,
    pub(crate) bumper: Bumper,
    pub(crate) chain: Arc<dyn ChainSource>,
    /// For a source that is asked about what is ours.
    pub(crate) transactions: Option<Arc<dyn Transactions>>,
    pub(crate) feerates: Arc<Feerates>,
    pub(crate) broadcaster: Arc<Broadcaster>,
    pub(crate) store: Arc<Store>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) payments: Payments,
    pub(crate) waits: Waits,
    pub(crate) hints: Hints,
    pub(crate) openings: Openings,
    pub(crate) health: Health,
    pub(crate) recovery: Recovery,
    pub(crate) graph: Arc<Graph>,
    pub(crate) scorer: Arc<RwLock<Scorer>>,
    pub(crate) public: Public,
    pub(crate) liquidity: Liquidity,
    /// Something has changed that may let a waiting payment go.
    pub(crate) changed: Notify,
    pub(crate) pace: Pace,
    /// For the writer's thread, which starts tasks and is not in the runtime.
    pub(crate) runtime: Handle,
    pub(crate) tasks: TaskTracker,
    pub(crate) stopped: CancellationToken,
    pub(crate) moment: Mutex<()>,
    pub(crate) failed: AtomicBool,
}

impl Core {
    /// While this is held, an event's row in the payment log and its removal from the manager are
    /// in the same batch: the writer takes its batch under the same lock.
    pub(super) fn moment(&self) -> MutexGuard<'_, ()> {
        self.moment.lock().expect("no panic while held")
    }

    /// Runs something until the node stops. May be called from any thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stopped = self.stopped.clone();
        let task = async move {
            stopped.run_until_cancelled(task).await;
        };
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Ends all tasks and all connections.
    pub(super) async fn hang_up(&self) {
        self.cut_off();
        self.tasks.wait().await;
        // A call may have been taken in the meantime.
        self.peers.disconnect_all_peers();
    }

    /// The same at once, as far as that goes, and the rest in the background.
    pub(super) fn drop_everything(self: &Arc<Self>) {
        self.cut_off();
        let core = Arc::clone(self);
        self.runtime.spawn(async move { core.hang_up().await });
    }

    fn cut_off(&self) {
        self.stopped.cancel();
        self.tasks.close();
        self.peers.disconnect_all_peers();
    }

    /// The disk has failed: nothing more may leave this node.
    pub(crate) fn fail(self: &Arc<Self>, error: &rusqlite::Error) {
        tracing::error!(%error, "the node's file cannot be written: the node stops. Make room or mend the disk, and start it again; what was in flight is asked for then");
        self.nothing_leaves();
    }

    /// There is no writer any more, by a mistake in the program.
    pub(super) fn lose_writer(self: &Arc<Self>) {
        tracing::error!(
            "the node's writer panicked: the node stops. Start it again; what was in flight is asked for then"
        );
        self.nothing_leaves();
    }

    fn nothing_leaves(self: &Arc<Self>) {
        self.failed.store(true, Ordering::Release);
        self.drop_everything();
        self.waits.stop();
    }

    /// Whether the disk can still be written.
    pub(super) fn check_disk(&self) -> bool {
        !self.failed.load(Ordering::Acquire)
    }

    /// # Errors
    /// The node has stopped, because its disk failed or because it was told to.
    pub(crate) fn check(&self) -> Result<(), NodeError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(NodeError::new(DRIVER, NodeErrorKind::Storage));
        }
        if self.stopped.is_cancelled() {
            return Err(
                NodeError::new(DRIVER, NodeErrorKind::Unreachable).because("it has stopped")
            );
        }
        Ok(())
    }

    /// Handles what has happened and lets messages leave. Called from the heartbeat and, so that a
    /// payment does not wait for a thread to wake, from the writer after each commit.
    pub(crate) fn step(self: &Arc<Self>) {
        if self.failed.load(Ordering::Acquire) {
            return;
        }
        self.handle_events();
        self.handle_liquidity();
        self.peers.process_events();
        if self.manager.needs_pending_htlc_processing() {
            self.manager.process_pending_htlc_forwards();
            self.handle_events();
            self.peers.process_events();
        }
        self.changed.notify_waiters();
    }

    fn handle_events(self: &Arc<Self>) {
        let _moment = self.moment();
        self.manager.process_pending_events(&|event| self.handle(event));
        self.monitors.process_pending_events(&|event| self.handle(event));
    }

    /// Runs until it is aborted.
    pub(crate) async fn beat(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.manager.get_event_or_persistence_needed_future() => {}
                () = self.monitors.get_update_future() => {}
                () = self.liquidity.changed() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            self.step();
            if self.pace.is_time_for_manager(|| self.manager.list_channels()) {
                self.manager.timer_tick_occurred();
            }
            if self.pace.is_time() {
                self.tick();
            }
            if self.manager.get_and_clear_needs_persistence() {
                self.queue.manager_changed();
            }
        }
    }

    /// Pings, and what should be on the chain by now.
    fn tick(&self) {
        self.peers.timer_tick_occurred();
        self.monitors.rebroadcast_pending_claims();
        self.sweep();
    }

    /// Sends what is left of closed channels to the wallet.
    pub(super) fn sweep(&self) {
        self.recover();
        if self.sweeper.regenerate_and_broadcast_spend_if_necessary().is_err() {
            tracing::warn!("outputs of closed channels cannot be swept now; it is tried again");
        }
    }
}
