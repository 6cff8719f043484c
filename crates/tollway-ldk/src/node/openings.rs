//! Who waits for a channel of ours to be agreed on.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use lightning::ln::types::ChannelId;
use tokio::sync::oneshot;

/// The channel's id for good, or why there is none.
pub(super) type Opened = Result<ChannelId, String>;

/// Channels by the number that LDK calls them by from the first message to the last.
#[derive(Debug, Default)]
pub(crate) struct Openings(Mutex<HashMap<u128, oneshot::Sender<Opened>>>);

impl Openings {
    fn waiting(&self) -> MutexGuard<'_, HashMap<u128, oneshot::Sender<Opened>>> {
        self.0.lock().expect("no panic while held")
    }

    /// Waits for one that is about to begin.
    pub(super) fn begin(&self, number: u128) -> oneshot::Receiver<Opened> {
        let (sender, receiver) = oneshot::channel();
        self.waiting().insert(number, sender);
        receiver
    }

    /// It has come to something. Whoever waited may have stopped waiting.
    pub(super) fn end(&self, number: u128, opened: Opened) {
        if let Some(waiter) = self.waiting().remove(&number) {
            let _ = waiter.send(opened);
        }
    }
}
