//! A timer that goes off before that of any call, while calls are made.
//!
//! Every call has a time limit, and nearly every one ends long before it. A runtime that sleeps until
//! something happens is woken for a new timer if that is the next to go off, and only then: by a system
//! call, on whichever thread it sleeps. With another timer under way that goes off sooner, the limits of
//! calls come and go without that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::sleep;

/// Shorter than the time limit of any call that is made often.
const SOONER: Duration = Duration::from_secs(5);

/// Whether there is such a timer.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// A call was made since it was looked at last.
    called: AtomicBool,
    is_kept: AtomicBool,
}

impl Pace {
    /// Keeps a timer under way, until for a while nobody has called any more. Nothing depends on it: where
    /// there is none, a call costs a little more.
    pub(super) fn keep(self: &Arc<Self>) {
        self.called.store(true, Relaxed);
        if !self.is_kept.load(Relaxed) && !self.is_kept.swap(true, Relaxed) {
            tokio::spawn(tick(Kept(Arc::clone(self))));
        }
    }
}

async fn tick(kept: Kept) {
    while kept.0.called.swap(false, Relaxed) {
        sleep(SOONER).await;
    }
}

/// A runtime that ends takes the timer along, begun or not, and the next one has its own.
struct Kept(Arc<Pace>);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.is_kept.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_kept_while_there_are_calls_and_a_little_longer() {
        let pace = Arc::new(Pace::default());
        for _ in 0..3 {
            pace.keep();
            sleep(SOONER / 2).await;
            assert!(pace.is_kept.load(Relaxed));
        }
        sleep(3 * SOONER).await;
        assert!(!pace.is_kept.load(Relaxed), "nobody calls any more");
        pace.keep();
        assert!(pace.is_kept.load(Relaxed));
    }

    #[test]
    fn a_runtime_that_ends_does_not_end_it_for_the_next_one() {
        let pace = Arc::new(Pace::default());
        for begins in [true, false] {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                pace.keep();
                if begins {
                    tokio::task::yield_now().await;
                }
                assert!(pace.is_kept.load(Relaxed));
            });
            assert!(!pace.is_kept.load(Relaxed));
        }
    }
}
