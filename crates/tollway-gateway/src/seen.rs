//! Remembers which payments were seen before, without a lock and in little room. It may forget, never
//! for long and never wrongly the other way: what it was not told, it has not seen. (Two in some
//! billion are taken for each other.)

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use l402::PaymentHash;

/// Places that one payment can be in: half a cache line.
const WAYS: usize = 8;
/// How many places there are at first, and at most.
const LEAST: usize = 1 << 13;
const MOST: usize = 1 << 21;

/// A set of payments that forgets the odd one.
#[derive(Debug)]
pub(crate) struct Seen {
    table: ArcSwap<Table>,
}

#[derive(Debug)]
struct Table {
    places: Box<[AtomicU32]>,
    filled: AtomicUsize,
}

impl Default for Seen {
    fn default() -> Self {
        Self { table: ArcSwap::from_pointee(Table::new(LEAST)) }
    }
}

impl Seen {
    /// Whether it has seen this payment.
    pub(crate) fn has(&self, hash: PaymentHash) -> bool {
        let (table, (at, mark)) = (self.table.load(), words(hash));
        table.ways(at).iter().any(|place| place.load(Ordering::Relaxed) == mark)
    }

    /// Tells it of a payment.
    pub(crate) fn add(&self, hash: PaymentHash) {
        let (table, (at, mark)) = (self.table.load(), words(hash));
        let ways = table.ways(at);
        let free = |place: &&AtomicU32| {
            place.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if ways.iter().find(free).is_none() {
            // Any other may be told again.
            ways[mark as usize % WAYS].store(mark, Ordering::Relaxed);
            return;
        }
        let filled = table.filled.fetch_add(1, Ordering::Relaxed) + 1;
        if filled == table.places.len() / 2 && filled < MOST / 2 {
            // A larger one, in which all are told once more.
            self.table.store(Arc::new(Table::new(2 * table.places.len())));
        }
    }
}

impl Table {
    fn new(places: usize) -> Self {
        let places = std::iter::repeat_with(|| AtomicU32::new(0)).take(places).collect();
        Self { places, filled: AtomicUsize::new(0) }
    }

    fn ways(&self, at: usize) -> &[AtomicU32] {
        let start = at % (self.places.len() / WAYS) * WAYS;
        &self.places[start..start + WAYS]
    }
}

/// Where a payment is looked for, and by which mark. Payment hashes are random as they come.
fn words(hash: PaymentHash) -> (usize, u32) {
    let word = |at: usize| {
        u32::from_be_bytes([hash.0[at], hash.0[at + 1], hash.0[at + 2], hash.0[at + 3]])
    };
    (word(0) as usize, word(4).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u32) -> PaymentHash {
        let mut bytes = [0; 32];
        // As random as real ones: a multiplicative hash in two words.
        bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
        bytes[4..8].copy_from_slice(&number.wrapping_mul(0x85eb_ca6b).to_be_bytes());
        PaymentHash(bytes)
    }

    #[test]
    fn it_has_seen_what_it_was_told_and_nothing_else() {
        let seen = Seen::default();
        for number in 1..100 {
            assert!(!seen.has(hash(number)), "{number}");
            seen.add(hash(number));
            assert!(seen.has(hash(number)), "{number}");
        }
    }

    #[test]
    fn of_many_it_forgets_few_and_invents_none() {
        let seen = Seen::default();
        let all = 1..200_000;
        // Told again and again, as requests come: whenever it grows it begins anew.
        for number in std::iter::repeat_n(all.clone(), 4).flatten() {
            if !seen.has(hash(number)) {
                seen.add(hash(number));
            }
        }
        let kept = all.clone().filter(|number| seen.has(hash(*number))).count();
        assert!(kept > all.len() * 9 / 10, "{kept}");
        assert!((300_000..400_000).all(|number| !seen.has(hash(number))));
    }
}
