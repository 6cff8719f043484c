//! Whether one server of an upstream is worth asking: what requests have found (passive), and what is
//! found by asking it now and then (active). Nothing is locked: a server that is counted one request
//! too well or too ill is no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is known of one server.
#[derive(Debug)]
pub(super) struct Health {
    /// Requests whose answer has not come to its end.
    in_flight: AtomicUsize,
    /// Failures in a row.
    failures: AtomicU32,
    /// Until when nobody is sent there, in milliseconds since `born`.
    out_until: AtomicU64,
    /// Whether the last check failed.
    down: AtomicBool,
    /// Failures of all time, and how often it was put out.
    all_failures: AtomicU64,
    ejections: AtomicU64,
    born: Instant,
}

/// When a server is left alone, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ejection {
    pub(super) after: u32,
    pub(super) time: Duration,
}

/// One request at a server, until its answer has come to its end or was given up.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Health>);

impl Health {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            in_flight: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            down: AtomicBool::new(false),
            all_failures: AtomicU64::new(0),
            ejections: AtomicU64::new(0),
            born: Instant::now(),
        })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether requests should go there.
    pub(super) fn is_good(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
            && match self.out_until.load(Ordering::Relaxed) {
                0 => true,
                until => self.age() >= until,
            }
    }

    /// Whether requests are answered there, as far as is known: it is asked, its last check did not fail,
    /// and neither did so many requests in a row.
    pub(super) fn is_well(&self, after: u32) -> bool {
        self.is_good() && self.failures.load(Ordering::Relaxed) < after
    }

    /// Requests that were not answered, since it is known.
    pub(super) fn all_failures(&self) -> u64 {
        self.all_failures.load(Ordering::Relaxed)
    }

    /// How often it was left alone, since it is known.
    pub(super) fn ejections(&self) -> u64 {
        self.ejections.load(Ordering::Relaxed)
    }

    /// A request was answered, whatever the answer.
    pub(super) fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request was not answered. Returns whether that was the last straw.
    pub(super) fn failed(&self, ejection: Ejection) -> bool {
        self.all_failures.fetch_add(1, Ordering::Relaxed);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if failures < ejection.after {
            return false;
        }
        // What was on its way there when it was put out fails too; that is the same once.
        if self.is_good() {
            self.ejections.fetch_add(1, Ordering::Relaxed);
        }
        let time = u64::try_from(ejection.time.as_millis()).unwrap_or(u64::MAX);
        self.out_until.store(self.age().saturating_add(time), Ordering::Relaxed);
        // When its time is over, one more failure puts it out again.
        self.failures.store(ejection.after - 1, Ordering::Relaxed);
        true
    }

    /// The same where there is no other server, and so this one is asked on. Returns whether it is
    /// unwell from now on.
    pub(super) fn failed_alone(&self, after: u32) -> bool {
        self.all_failures.fetch_add(1, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) == after
    }

    /// What a check has found. Returns whether that is news.
    pub(super) fn checked(&self, good: bool) -> bool {
        if good {
            self.out_until.store(0, Ordering::Relaxed);
        }
        self.down.swap(!good, Ordering::Relaxed) == good
    }

    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Busy {
    pub(super) fn at(health: &Arc<Health>) -> Self {
        health.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(health))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Ejection = Ejection { after: 3, time: Duration::from_secs(3600) };

    #[test]
    fn failures_in_a_row_put_a_server_out_and_a_check_brings_it_back() {
        let health = Health::new();
        assert!(!health.failed(LONG) && !health.failed(LONG));
        health.answered();
        assert!(!health.failed(LONG) && !health.failed(LONG) && health.is_good());
        assert!(health.failed(LONG) && !health.is_good());
        assert!(health.failed(LONG), "one that was on its way");
        assert_eq!((health.all_failures(), health.ejections()), (6, 1));
        assert!(!health.checked(true), "it was not down, only out");
        assert!(health.is_good());
    }

    #[test]
    fn a_server_comes_back_by_itself_on_probation() {
        let health = Health::new();
        let short = Ejection { after: 2, time: Duration::ZERO };
        assert!(!health.failed(short) && health.failed(short));
        assert!(health.is_good(), "its time is over");
        assert!(health.failed(LONG.after_two()) && !health.is_good(), "and one failure is enough");
    }

    impl Ejection {
        fn after_two(self) -> Self {
            Self { after: 2, ..self }
        }
    }

    #[test]
    fn one_that_is_alone_is_unwell_until_it_answers_and_is_asked_on() {
        let health = Health::new();
        assert!(!health.failed_alone(2) && health.is_well(2));
        assert!(health.failed_alone(2) && !health.failed_alone(2), "that is news once");
        assert!(!health.is_well(2) && health.is_good());
        health.answered();
        assert!(health.is_well(2));
        assert_eq!((health.all_failures(), health.ejections()), (3, 0));
    }

    #[test]
    fn a_failed_check_puts_a_server_out_until_one_succeeds() {
        let health = Health::new();
        assert!(health.checked(false) && !health.is_good());
        assert!(!health.checked(false));
        assert!(health.checked(true) && health.is_good());
    }

    #[test]
    fn what_is_in_flight_is_counted_until_it_is_dropped() {
        let health = Health::new();
        let busy = [Busy::at(&health), Busy::at(&health)];
        assert_eq!(health.in_flight(), 2);
        drop(busy);
        assert_eq!(health.in_flight(), 0);
    }
}
