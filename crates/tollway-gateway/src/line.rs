//! The line before the node. A node makes only so many invoices a second: beyond that, more questions at
//! once make it slower and none of them faster. So few go to it together, some wait, and whoever comes
//! then is told at once to come again.

use tokio::sync::{Semaphore, SemaphorePermit};

/// How many invoices are asked for at a time. An lnd makes as many a second with 16 as with more.
const AT_ONCE: usize = 32;
/// How many more may wait, at the most. At 1,500 invoices a second that is a third of a second.
const WAITING: usize = 512;

/// Who waits for an invoice.
#[derive(Debug)]
pub(crate) struct Line {
    at_once: Semaphore,
    places: Semaphore,
}

/// A turn at the node. It is over when this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn<'a> {
    _turn: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

/// The line is as long as it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Default for Line {
    fn default() -> Self {
        Self { at_once: Semaphore::new(AT_ONCE), places: Semaphore::new(AT_ONCE + WAITING) }
    }
}

impl Line {
    /// Waits for a turn, in the order in which it was asked for.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Full> {
        let place = self.places.try_acquire().map_err(|_| Full)?;
        let turn = self.at_once.acquire().await.expect("the line is never closed");
        Ok(Turn { _turn: turn, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn few_are_served_together_some_wait_and_the_rest_are_sent_away_at_once() {
        let line = Arc::new(Line::default());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let release = Arc::new(Semaphore::new(0));
        let mut all = JoinSet::new();
        for _ in 0..AT_ONCE + WAITING + 100 {
            let (line, release) = (Arc::clone(&line), Arc::clone(&release));
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            all.spawn(async move {
                let Ok(turn) = line.turn().await else { return false };
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let _served = release.acquire().await.unwrap();
                now.fetch_sub(1, Ordering::SeqCst);
                drop(turn);
                true
            });
        }
        // Those for whom there is no place end although nobody is served.
        for _ in 0..100 {
            assert!(!all.join_next().await.unwrap().unwrap());
        }
        release.add_permits(AT_ONCE);
        let mut served = 0;
        while let Some(done) = all.join_next().await {
            served += usize::from(done.unwrap());
        }
        assert_eq!((served, most.load(Ordering::SeqCst)), (AT_ONCE + WAITING, AT_ONCE));
        assert!(line.turn().await.is_ok(), "and then there is room again");
    }
}
