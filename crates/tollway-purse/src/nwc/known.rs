//! The requests that were seen lately. A relay may send an event again, and several relays send the
//! same: what has been taken is not taken again. For payments the book remembers it too.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;

use nostr::event::EventId;

/// How many are remembered. More than can arrive while a request is young enough to be taken.
const MOST: usize = 65_536;

#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    names: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Known {
    /// Whether it is seen for the first time.
    pub(crate) fn is_new(&self, name: EventId) -> bool {
        let mut inner = self.0.lock().expect("nothing panics under this lock");
        if !inner.names.insert(name) {
            return false;
        }
        inner.order.push_back(name);
        if inner.order.len() > MOST
            && let Some(oldest) = inner.order.pop_front()
        {
            inner.names.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_new_once_and_the_memory_has_an_end() {
        let known = Known::default();
        let name = |n: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            EventId::from_byte_array(bytes)
        };
        assert!(known.is_new(name(0)) && !known.is_new(name(0)));
        for n in 1..=u32::try_from(MOST).unwrap() {
            assert!(known.is_new(name(n)));
        }
        assert!(known.is_new(name(0)), "the oldest is forgotten");
        assert_eq!(known.0.lock().unwrap().names.len(), MOST);
    }
}
