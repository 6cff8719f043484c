//! Which of two requests came first. A question must not overtake an order: when the answer is "not
//! paid", an order that was sent before the question and is read after it would make that untrue.
//!
//! The system hands out connections in the order in which they were made, so that order counts, and
//! only the first request on a connection has a turn in it. Orders and questions need one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long after its connection was made an order may still begin a payment. An answer must be
/// remembered for as long, and no longer.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(30);

/// The place of a request among all others: a later connection has a later turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(Instant);

/// What a connection has of a turn.
#[derive(Debug)]
pub(crate) struct Connection {
    made: Turn,
    used: AtomicBool,
}

impl Turn {
    /// The turn of a connection that was made then.
    #[cfg(test)]
    pub(crate) fn at(made: Instant) -> Self {
        Self(made)
    }

    /// Whether it was so long ago that nothing may be begun in this turn.
    pub(crate) fn is_over(self, now: Instant) -> bool {
        now.saturating_duration_since(self.0) > ARRIVAL
    }
}

impl Connection {
    /// A connection that was made now.
    pub(crate) fn new() -> Self {
        Self { made: Turn(Instant::now()), used: AtomicBool::new(false) }
    }

    /// The connection's turn, for the first request that asks for it.
    pub(crate) fn turn(&self) -> Option<Turn> {
        let used = self.used.swap(true, Ordering::Relaxed);
        (!used).then_some(self.made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_one_turn_and_it_ends() {
        let (first, second) = (Connection::new(), Connection::new());
        let turn = first.turn().unwrap();
        assert_eq!(first.turn(), None);
        assert!(turn <= second.turn().unwrap());
        let now = Instant::now();
        assert!(!turn.is_over(now));
        assert!(turn.is_over(now + ARRIVAL + Duration::from_secs(1)));
    }
}
