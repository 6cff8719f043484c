//! The store of a gateway that has none: right while the process lives, and gone with it. For trying
//! things out, and for services whose tokens are never counted, revoked or good for one request.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use l402::caveat::Counter;
use l402::{PaymentHash, TokenId};

use super::{
    Answer, Bill, By, Claim, Driver, Event, Horizon, OneTime, Pick, SharedStore, Span, StoreError,
    Take, TokenStore, Total, Which, in_order,
    sales::{self, TooMuch, Totals},
    to_millis, until_millis,
};

/// How many bills are kept at most: those of the last while, not a history.
const MOST_BILLS: usize = 10_000;
/// How many uses and claims are kept without a look at their time.
const LEAST_ROOM: usize = 1024;

/// A store in this process's memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    uses: HashMap<[u8; 32], Uses>,
    claims: HashMap<PaymentHash, Claimed>,
    revoked: HashMap<[u8; 32], i64>,
    bills: HashMap<PaymentHash, Bill>,
    by_time: BTreeSet<(i64, PaymentHash)>,
    /// How many uses and claims there may be before those past their time go.
    room: usize,
}

#[derive(Clone, Copy, Debug)]
struct Uses {
    used: u64,
    until: i64,
}

#[derive(Debug)]
struct Claimed {
    request: Option<[u8; 32]>,
    until: i64,
    answer: Option<Answer>,
}

#[derive(Debug)]
pub(super) struct MemoryDriver;

#[async_trait]
impl Driver for MemoryDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["memory"]
    }

    fn check(&self, url: &str) -> Result<(), String> {
        match url {
            "memory:" => Ok(()),
            _ => Err("is `memory:`, with nothing after the colon".to_owned()),
        }
    }

    async fn open(&self, _url: &str) -> Result<SharedStore, StoreError> {
        Ok(Arc::new(MemoryStore::default()))
    }
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    fn name(&self) -> &'static str {
        "memory"
    }

    async fn take(&self, counters: &[Counter], now: SystemTime) -> Result<Take, StoreError> {
        let (counters, now) = (in_order(counters), to_millis(now));
        let mut state = self.state();
        state.make_room(now);
        let uses = &mut state.uses;
        let live = |uses: &HashMap<[u8; 32], Uses>, counter: &Counter| {
            uses.get(&counter.key).filter(|uses| uses.until > now).copied()
        };
        let spent =
            |counter: &Counter| live(uses, counter).map_or(0, |uses| uses.used) >= counter.limit;
        if counters.iter().any(spent) {
            return Ok(Take::Spent);
        }
        for counter in counters {
            let fresh = Uses { used: 0, until: until_millis(counter.until) };
            let Uses { used, until } = live(uses, &counter).unwrap_or(fresh);
            uses.insert(counter.key, Uses { used: used + 1, until });
        }
        Ok(Take::Taken)
    }

    async fn give_back(&self, counters: &[Counter]) -> Result<(), StoreError> {
        let mut state = self.state();
        for Counter { key, .. } in in_order(counters) {
            if let Some(uses) = state.uses.get_mut(&key) {
                uses.used = uses.used.saturating_sub(1);
            }
        }
        Ok(())
    }

    async fn claim(&self, payment: &OneTime, now: SystemTime) -> Result<Claim, StoreError> {
        let mut state = self.state();
        let now = to_millis(now);
        state.make_room(now);
        match state.claims.get(&payment.hash).filter(|claimed| claimed.until > now) {
            None => {
                let until = to_millis(payment.until);
                let claimed = Claimed { request: payment.request, until, answer: None };
                state.claims.insert(payment.hash, claimed);
                Ok(Claim::First)
            }
            Some(claimed) if payment.request.is_none() || claimed.request != payment.request => {
                Ok(Claim::Spent)
            }
            Some(claimed) => Ok(claimed.answer.clone().map_or(Claim::Running, Claim::Answered)),
        }
    }

    async fn answer(&self, hash: PaymentHash, answer: &Answer) -> Result<(), StoreError> {
        if let Some(claimed) = self.state().claims.get_mut(&hash) {
            claimed.answer = Some(answer.clone());
        }
        Ok(())
    }

    async fn release(&self, hash: PaymentHash) -> Result<(), StoreError> {
        self.state().claims.remove(&hash);
        Ok(())
    }

    async fn revoke(&self, token: TokenId, until: Option<SystemTime>) -> Result<(), StoreError> {
        self.state().revoked.insert(token.0, until_millis(until));
        Ok(())
    }

    async fn revoked(&self) -> Result<Vec<TokenId>, StoreError> {
        Ok(self.state().revoked.keys().copied().map(TokenId).collect())
    }

    async fn record(&self, events: &[Event]) -> Result<(), StoreError> {
        let mut state = self.state();
        for event in events {
            state.note(event);
        }
        while state.bills.len() > MOST_BILLS {
            let Some((_, hash)) = state.by_time.pop_first() else { break };
            state.bills.remove(&hash);
        }
        Ok(())
    }

    async fn bills(&self, pick: &Pick) -> Result<Vec<Bill>, StoreError> {
        let state = self.state();
        let bounds = pick.bounds();
        let mut found: Vec<((i64, PaymentHash), &Bill)> = match pick.by {
            // They stand in that order already.
            By::Issued => {
                let range = (bounds.from, PaymentHash([0; 32]))..(bounds.after, bounds.hash);
                let range = if range.is_empty() { None } else { Some(state.by_time.range(range)) };
                let bills = range.into_iter().flatten().rev();
                let bills = bills.filter_map(|key| Some((*key, state.bills.get(&key.1)?)));
                bills.filter(|(_, bill)| pick.is_of(bill)).take(pick.limit as usize).collect()
            }
            By::Settled => {
                let key = |bill: &Bill| Some((to_millis(bill.settled?), bill.hash));
                let bills = state.bills.values().filter(|bill| pick.is_of(bill));
                let bills = bills.filter_map(|bill| Some((key(bill)?, bill)));
                let within = |key: (i64, PaymentHash)| {
                    key.0 >= bounds.from && key < (bounds.after, bounds.hash)
                };
                bills.filter(|(key, _)| within(*key)).collect()
            }
        };
        found.sort_unstable_by_key(|(key, _)| Reverse(*key));
        Ok(found.into_iter().take(pick.limit as usize).map(|(_, bill)| bill.clone()).collect())
    }

    async fn bill(&self, which: Which) -> Result<Option<Bill>, StoreError> {
        let state = self.state();
        Ok(match which {
            Which::Payment(hash) => state.bills.get(&hash).cloned(),
            Which::Token(token) => {
                state.bills.values().find(|bill| bill.token == Some(token)).cloned()
            }
        })
    }

    async fn totals(&self, span: &Span) -> Result<Vec<Total>, StoreError> {
        let state = self.state();
        let (from, to) = span.millis();
        let within = |at: SystemTime| (from..to).contains(&to_millis(at));
        let of = |bill: &&Bill| span.service.as_ref().is_none_or(|name| *name == bill.service);
        let mut totals = Totals::default();
        for bill in state.bills.values().filter(of) {
            if within(bill.issued) {
                totals.of(&bill.service, sales::day(to_millis(bill.issued))).challenges += 1;
            }
            if bill.settled.is_some_and(within) {
                totals.paid(bill).map_err(TooMuch::at("memory"))?;
            }
        }
        Ok(totals.finish())
    }

    async fn prune(&self, horizon: Horizon) -> Result<(), StoreError> {
        let mut state = self.state();
        let now = to_millis(horizon.now);
        state.uses.retain(|_, uses| uses.until > now);
        state.claims.retain(|_, claimed| claimed.until > now);
        state.revoked.retain(|_, until| *until > now);
        let State { bills, by_time, .. } = &mut *state;
        bills.retain(|hash, bill| {
            let kept = match bill.settled {
                Some(settled) => settled >= horizon.paid,
                None => bill.issued >= horizon.unpaid,
            };
            if !kept {
                by_time.remove(&(to_millis(bill.issued), *hash));
            }
            kept
        });
        Ok(())
    }
}

impl State {
    /// Forgets what is past its time, whenever there is twice as much as was left the last time: so
    /// that it costs little for each, and nobody has to come round for it.
    fn make_room(&mut self, now: i64) {
        if self.uses.len() + self.claims.len() < self.room.max(LEAST_ROOM) {
            return;
        }
        self.uses.retain(|_, uses| uses.until > now);
        self.claims.retain(|_, claimed| claimed.until > now);
        self.room = 2 * (self.uses.len() + self.claims.len());
    }

    fn note(&mut self, event: &Event) {
        let bill = match event {
            Event::Issued(bill) => match self.bills.get_mut(&bill.hash) {
                // Another gateway may have seen the payment before we wrote down the bill.
                Some(seen) => {
                    seen.token = seen.token.or(bill.token);
                    seen.price = seen.price.or(bill.price);
                    seen.expires = seen.expires.or(bill.expires);
                    return;
                }
                None => bill.clone(),
            },
            Event::Settled { hash, service, price, at } => {
                if let Some(bill) = self.bills.get_mut(hash) {
                    bill.settled.get_or_insert(*at);
                    bill.price = bill.price.or(*price);
                    return;
                }
                let (hash, service, price) = (*hash, service.clone(), *price);
                let (issued, settled) = (*at, Some(*at));
                Bill { hash, token: None, service, price, issued, expires: None, settled }
            }
        };
        self.by_time.insert((to_millis(bill.issued), bill.hash));
        self.bills.insert(bill.hash, bill);
    }
}
