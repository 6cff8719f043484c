//! How often somebody may come: token buckets, kept in this process, per address or per token, and where
//! it is wanted a count in the store besides, so that replicas count together. And a few requests for
//! nothing (freebies), counted there, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use l402::TokenId;
use l402::caveat::Counter;
use sha2::{Digest, Sha256};

use crate::config::{self, By, Freebie, Rate};
use crate::matching::PathMatch;

/// After how many questions buckets that are full again are thrown away.
const SWEEP: u32 = 16 * 1024;

/// Somebody came too often, and may come again after that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooOften(pub(crate) Duration);

/// Buckets of one size, one for each key.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: Rate,
    limiter: DefaultKeyedRateLimiter<Key>,
    asked: AtomicU32,
}

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Token(TokenId),
    All,
}

/// One limit of a service.
#[derive(Debug)]
struct Limit {
    paths: Vec<PathMatch>,
    rate: Rate,
    by: By,
    buckets: Arc<Buckets>,
    /// Whether it is counted in the store as well.
    shared: bool,
}

/// Every limit of one service.
#[derive(Debug, Default)]
pub(crate) struct Limits(Vec<Limit>);

/// How many bills are written for who does not pay, by address and in all.
#[derive(Debug, Default)]
pub(crate) struct Unpaid {
    by_address: Option<Arc<Buckets>>,
    total: Option<Arc<Buckets>>,
    /// Whether they are counted in the store as well.
    shared: bool,
}

impl Buckets {
    fn new(rate: Rate) -> Arc<Self> {
        let period = rate.per.checked_div(rate.count.get()).unwrap_or_default();
        // A quota below a nanosecond is none that anybody could reach.
        let quota = Quota::with_period(period.max(Duration::from_nanos(1)))
            .expect("a period above nothing")
            .allow_burst(rate.burst);
        let limiter = DefaultKeyedRateLimiter::dashmap(quota);
        Arc::new(Self { rate, limiter, asked: AtomicU32::new(0) })
    }

    /// New ones, or the old ones where they are of the same size: who has come too often does not
    /// start afresh because a configuration was read again.
    fn keep(rate: Rate, old: Option<&Arc<Self>>) -> Arc<Self> {
        old.filter(|old| old.rate == rate).map_or_else(|| Self::new(rate), Arc::clone)
    }

    fn take(&self, key: Key) -> Result<(), TooOften> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.limiter.retain_recent();
        }
        self.limiter
            .check_key(&key)
            .map_err(|not_yet| TooOften(not_yet.wait_time_from(DefaultClock::default().now())))
    }
}

impl Limits {
    pub(crate) fn open(config: &[config::Limit], old: Option<&Self>) -> Self {
        let open = |(index, limit): (usize, &config::Limit)| {
            // Where a limit was, the same one is: by its place, its size, and whom it concerns.
            let before = old.and_then(|old| old.0.get(index)).filter(|old| old.by == limit.by);
            let buckets = Buckets::keep(limit.rate, before.map(|limit| &limit.buckets));
            let config::Limit { rate, by, shared, .. } = *limit;
            Limit { paths: limit.paths.clone(), rate, by, buckets, shared }
        };
        Self(config.iter().enumerate().map(open).collect())
    }

    /// Counts one request to `path` that may pass otherwise. Who has no token is known by the address.
    pub(crate) fn take(
        &self,
        path: &str,
        address: Option<IpAddr>,
        token: Option<TokenId>,
    ) -> Result<(), TooOften> {
        let mut covering = self.0.iter().filter(|limit| limit.covers(path));
        covering.try_for_each(|limit| limit.buckets.take(limit.key(address, token)))
    }

    /// The counters in the store of that request, in the windows that `now` is in; most often none.
    pub(crate) fn shared(
        &self,
        service: &str,
        path: &str,
        address: Option<IpAddr>,
        token: Option<TokenId>,
        now: SystemTime,
    ) -> Vec<Counter> {
        let limits = self.0.iter().enumerate();
        limits
            .filter(|(_, limit)| limit.shared && limit.covers(path))
            .map(|(place, limit)| {
                let whose = limit.key(address, token).name();
                let name = format!("limit\0{service}\0{place}\0{whose}");
                counter(&name, limit.rate.count.get(), limit.rate.per, now)
            })
            .collect()
    }
}

impl Limit {
    /// Whether it counts requests to this path.
    fn covers(&self, path: &str) -> bool {
        self.paths.iter().any(|covered| covered.covers(path))
    }

    /// Who has no token is known by the address.
    fn key(&self, address: Option<IpAddr>, token: Option<TokenId>) -> Key {
        match (self.by, token, address) {
            (By::Token, Some(token), _) => Key::Token(token),
            (_, _, Some(address)) => Key::Address(neighbourhood(address, 32, 64)),
            (_, _, None) => Key::All,
        }
    }
}

impl Unpaid {
    pub(crate) fn open(config: &config::Unpaid, old: Option<&Self>) -> Self {
        let keep = |rate: Option<Rate>, old: Option<&Arc<Buckets>>| {
            rate.map(|rate| Buckets::keep(rate, old))
        };
        Self {
            by_address: keep(config.by_address, old.and_then(|old| old.by_address.as_ref())),
            total: keep(config.total, old.and_then(|old| old.total.as_ref())),
            shared: config.shared,
        }
    }

    /// Counts one bill that is about to be written. The address is asked first, so that one that asks
    /// without end does not use up what is there for all.
    pub(crate) fn take(&self, address: Option<IpAddr>) -> Result<(), TooOften> {
        self.counting(address).try_for_each(|(buckets, key)| buckets.take(key))
    }

    /// The counters in the store of that bill, in the windows that `now` is in; most often none.
    pub(crate) fn shared(&self, address: Option<IpAddr>, now: SystemTime) -> Vec<Counter> {
        if !self.shared {
            return Vec::new();
        }
        self.counting(address)
            .map(|(buckets, key)| {
                let Rate { count, per, .. } = buckets.rate;
                counter(&format!("unpaid\0{}", key.name()), count.get(), per, now)
            })
            .collect()
    }

    /// What counts a bill for that address.
    fn counting(&self, address: Option<IpAddr>) -> impl Iterator<Item = (&Buckets, Key)> {
        let own = self.by_address.as_deref().zip(address);
        let own = own.map(|(own, of)| (own, Key::Address(neighbourhood(of, 32, 64))));
        own.into_iter().chain(self.total.as_deref().map(|all| (all, Key::All)))
    }
}

impl Key {
    /// What it is called in the store.
    fn name(self) -> String {
        match self {
            Self::Address(address) => format!("address {address}"),
            Self::Token(token) => format!("token {token}"),
            Self::All => "all".to_owned(),
        }
    }
}

/// The counter of one neighbourhood's requests for nothing, in the window that `now` is in.
pub(crate) fn freebies(
    service: &str,
    freebie: &Freebie,
    address: IpAddr,
    now: SystemTime,
) -> Counter {
    let name = format!("freebie\0{service}\0{}", neighbourhood(address, 24, 48));
    counter(&name, freebie.requests.get(), freebie.window, now)
}

/// What is counted under this name in the window that `now` is in. Windows have whole seconds.
fn counter(name: &str, limit: u32, window: Duration, now: SystemTime) -> Counter {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let length = window.as_secs().max(1);
    let number = since.as_secs() / length;
    let end = Duration::from_secs(number.saturating_add(1).saturating_mul(length));
    let key = Sha256::new()
        .chain_update("tollway ")
        .chain_update(name)
        .chain_update(number.to_be_bytes())
        .chain_update(length.to_be_bytes())
        .finalize();
    let until = SystemTime::UNIX_EPOCH.checked_add(end);
    Counter { key: key.into(), limit: u64::from(limit), until }
}

/// How long it is until the first of these windows is over: which of them has nothing left is not known.
pub(crate) fn until_next(counters: &[Counter], now: SystemTime) -> TooOften {
    let ends = counters.iter().filter_map(|counter| counter.until);
    let wait = ends.filter_map(|end| end.duration_since(now).ok()).min();
    TooOften(wait.unwrap_or_default())
}

/// An address without its last bits: somebody with one IPv6 address has many.
fn neighbourhood(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - v4).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - v6).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rate(count: u32, burst: u32) -> Rate {
        let some = |number| NonZeroU32::new(number).unwrap();
        Rate { count: some(count), per: Duration::from_secs(3600), burst: some(burst) }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_bucket_holds_its_burst_and_says_how_long_to_wait() {
        let buckets = Buckets::new(rate(60, 2));
        let key = Key::Address(address("192.0.2.1"));
        assert_eq!((buckets.take(key), buckets.take(key)), (Ok(()), Ok(())));
        let TooOften(wait) = buckets.take(key).unwrap_err();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
        assert_eq!(buckets.take(Key::Address(address("192.0.2.2"))), Ok(()));
    }

    #[test]
    fn what_was_used_up_survives_a_new_configuration() {
        let config = |count| {
            let by_address = Some(rate(count, 1));
            config::Unpaid { by_address, total: None, shared: false }
        };
        let old = Unpaid::open(&config(1), None);
        assert!(old.take(Some(address("::1"))).is_ok());
        let same = Unpaid::open(&config(1), Some(&old));
        assert!(same.take(Some(address("::1"))).is_err());
        let other = Unpaid::open(&config(2), Some(&old));
        assert!(other.take(Some(address("::1"))).is_ok());
    }

    #[test]
    fn one_that_asks_without_end_does_not_use_up_what_is_there_for_all() {
        let (by_address, total) = (Some(rate(1, 1)), Some(rate(1, 2)));
        let config = config::Unpaid { by_address, total, shared: false };
        let unpaid = Unpaid::open(&config, None);
        let greedy = (0..100).filter(|_| unpaid.take(Some(address("192.0.2.1"))).is_ok()).count();
        assert_eq!(greedy, 1);
        assert!(unpaid.take(Some(address("192.0.2.2"))).is_ok());
        assert!(unpaid.take(Some(address("192.0.2.3"))).is_err(), "the total is used up");
    }

    #[test]
    fn neighbours_share_their_freebies_and_others_do_not() {
        let freebie = Freebie { requests: NonZeroU32::MIN, window: Duration::from_secs(3600) };
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let key = |ip: &str, now| freebies("api", &freebie, address(ip), at(now)).key;
        assert_eq!(key("192.0.2.1", 0), key("192.0.2.200", 3599));
        assert_eq!(key("192.0.2.1", 0), key("::ffff:192.0.2.9", 0));
        assert_eq!(key("2001:db8:1::1", 0), key("2001:db8:1:ffff::1", 0));
        assert_ne!(key("192.0.2.1", 0), key("192.0.3.1", 0));
        assert_ne!(key("2001:db8:1::1", 0), key("2001:db8:2::1", 0));
        assert_ne!(key("192.0.2.1", 0), key("192.0.2.1", 3600), "a new window");
        let counter = freebies("api", &freebie, address("::1"), at(3700));
        assert_eq!(counter.until, Some(at(7200)));
    }
}
