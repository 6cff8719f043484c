//! How long things take, in buckets. (The one of prometheus-client takes a lock for each observation.)

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the buckets, in microseconds. From what a verified token costs to what a slow node
/// takes.
const ENDS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 5_000_000, 30_000_000];

/// Durations, counted by bucket.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// The last is for what lasts longer than all of [`ENDS`].
    buckets: [AtomicU64; ENDS.len() + 1],
    /// In microseconds.
    sum: AtomicU64,
}

/// One look at a histogram.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    /// In seconds.
    pub(super) sum: f64,
    pub(super) count: u64,
    /// Each bucket's upper end in seconds, and how many are in it.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    pub(super) fn observe(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = ENDS.partition_point(|end| *end < micros);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(micros, Ordering::Relaxed);
    }

    pub(super) fn look(&self) -> Seen {
        let seconds = |micros: u64| Duration::from_micros(micros).as_secs_f64();
        let ends = ENDS.iter().map(|end| seconds(*end)).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = ends.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Seen { sum: seconds(self.sum.load(Ordering::Relaxed)), count, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_is_large_enough() {
        let histogram = Histogram::default();
        for micros in [0, 100, 101, 30_000_000, 30_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let seen = histogram.look();
        let filled: Vec<_> = seen.buckets.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [&(0.0001, 2), &(0.00025, 1), &(30.0, 1), &(f64::INFINITY, 1)]);
        assert_eq!((seen.count, seen.sum), (5, 60.000_202));
    }
}
