//! The contract of `Ledger`, held by both wallets, and the law of it: whatever happens in whatever
//! order, no limit is exceeded.

use std::time::{Duration, SystemTime};

use http::Method;
use l402::{Invoicer, Msat, Paid, PayOrder, Payer};
use proptest::prelude::*;
use tollway_client::{Limit, Origin, Purchase, Reserve, WalletError, Window};

use crate::books::{Fixture, both_wallets, memory, sqlite};
use crate::buying::sat;
use crate::seller::offer;

both_wallets!(
    what_is_begun_is_held_then_spent_or_given_back,
    a_limit_counts_its_own_hosts_and_its_own_time,
    a_clock_that_is_set_back_opens_no_window_anew,
    what_is_held_counts_in_every_window,
    a_reset_forgets_what_was_spent_and_nothing_else,
    limits_of_the_wallet_hold_for_everybody,
    the_larger_of_two_holds_of_one_payment_stays,
);

/// Noon of some day, and so many seconds.
fn noon(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_014_400 + seconds)
}

const DAY: u64 = 24 * 3600;

impl Fixture {
    async fn purchase(&self, host: &str, amount: Msat, at: SystemTime) -> Purchase {
        let hour = Duration::from_secs(3600);
        let invoice = self.seller.invoice(amount, "a test", hour).await.unwrap();
        let origin: Origin = format!("https://{host}").parse().unwrap();
        let challenge = offer(&invoice, &["services=a:0"]);
        let (method, path) = (Method::GET, "/a".to_owned());
        Purchase {
            origin,
            method,
            path,
            target: None,
            query: None,
            challenge,
            node: None,
            begun_at: at,
        }
    }

    async fn begin(
        &self,
        purchase: &Purchase,
        fee: Msat,
        limits: &[Limit],
    ) -> Result<(), WalletError> {
        let turn = self.wallet.turn(&purchase.origin, &|| {}).await.unwrap();
        let asked = purchase.challenge.invoice.amount().checked_add(fee).unwrap();
        self.wallet.begin(&turn, purchase, Reserve { asked, limits }).await
    }

    async fn finish(&self, purchase: &Purchase, fee: Msat, at: SystemTime) {
        let invoice = &purchase.challenge.invoice;
        let patience = Duration::from_secs(60);
        let order = PayOrder { invoice, max_fee: Msat::SUPPLY, patience };
        let paid = self.buyer.pay(order).await.unwrap();
        let paid = Paid { fee, ..paid };
        let turn = self.wallet.turn(&purchase.origin, &|| {}).await.unwrap();
        self.wallet.finish(&turn, purchase.hash(), &paid, at).await.unwrap();
    }

    async fn forget(&self, purchase: &Purchase) {
        let turn = self.wallet.turn(&purchase.origin, &|| {}).await.unwrap();
        self.wallet.forget(&turn, purchase.hash()).await.unwrap();
    }

    /// Buys something from beginning to end.
    async fn spend(&self, host: &str, amount: u64, at: SystemTime, limits: &[Limit]) -> bool {
        let purchase = self.purchase(host, sat(amount), at).await;
        match self.begin(&purchase, Msat::ZERO, limits).await {
            Ok(()) => self.finish(&purchase, Msat::ZERO, at).await,
            Err(WalletError::OverLimit(_)) => return false,
            Err(error) => panic!("{error}"),
        }
        true
    }

    /// What is spent, held and left of one limit.
    async fn stands(&self, limit: &Limit, at: SystemTime) -> (Msat, Msat, Msat) {
        let accounts = self.wallet.accounts(std::slice::from_ref(limit), at).await.unwrap();
        let account = &accounts[0];
        (account.spent, account.held, account.left())
    }
}

async fn what_is_begun_is_held_then_spent_or_given_back(fixture: Fixture) {
    let limit = Limit::new(sat(100), Window::Day);
    let limits = [limit.clone()];
    let made = fixture.purchase("a.example", sat(60), noon(0)).await;
    fixture.begin(&made, sat(10), &limits).await.unwrap();
    assert_eq!(fixture.stands(&limit, noon(0)).await, (sat(0), sat(70), sat(30)));
    let other = fixture.purchase("b.example", sat(25), noon(1)).await;
    let over = fixture.begin(&other, sat(6), &limits).await.unwrap_err();
    let WalletError::OverLimit(over) = over else { panic!("{over}") };
    assert_eq!((over.asked, over.left), (sat(31), sat(30)));
    // Nothing of what was refused is there.
    assert!(fixture.wallet.entry(other.hash()).await.unwrap().is_none());
    assert_eq!(fixture.stands(&limit, noon(1)).await, (sat(0), sat(70), sat(30)));
    // Its difference comes back when it is made, and all of it when it is not.
    fixture.finish(&made, sat(2), noon(2)).await;
    assert_eq!(fixture.stands(&limit, noon(2)).await, (sat(62), sat(0), sat(38)));
    fixture.begin(&other, sat(6), &limits).await.unwrap();
    fixture.forget(&other).await;
    fixture.forget(&made).await;
    assert_eq!(fixture.stands(&limit, noon(3)).await, (sat(62), sat(0), sat(38)));
}

async fn a_limit_counts_its_own_hosts_and_its_own_time(fixture: Fixture) {
    let day = [Limit::new(sat(100), Window::Day)];
    let each = [Limit::new(sat(30), Window::Day).each_host()];
    let some = [Limit::new(sat(40), Window::Day).hosts(".example.com".parse().unwrap())];
    let rolling = [Limit::new(sat(100), Window::Rolling(Duration::from_secs(3600)))];
    assert!(fixture.spend("a.example.com", 30, noon(0), &each).await);
    assert!(!fixture.spend("a.example.com:8443", 1, noon(1), &each).await);
    assert!(fixture.spend("b.example.com", 10, noon(2), &[&each[..], &some].concat()).await);
    assert!(!fixture.spend("c.example.com", 1, noon(3), &some).await);
    assert!(fixture.spend("example.org", 60, noon(4), &some).await);
    assert!(!fixture.spend("example.org", 1, noon(5), &day).await);
    assert!(!fixture.spend("example.org", 1, noon(3599), &rolling).await);
    assert!(fixture.spend("example.org", 1, noon(3601), &rolling).await);
    // Midnight, and nothing of all that counts by the day.
    let accounts = fixture.wallet.accounts(&[&day[..], &each].concat(), noon(DAY)).await.unwrap();
    assert_eq!(accounts.len(), 1);
    assert_eq!((accounts[0].spent, accounts[0].until), (sat(0), Some(noon(DAY + DAY / 2))));
    assert!(
        fixture.spend("a.example.com", 30, noon(DAY), &[&day[..], &each, &some].concat()).await
    );
}

async fn a_clock_that_is_set_back_opens_no_window_anew(fixture: Fixture) {
    for per in ["minute", "hour", "day", "month", "rolling 6h"] {
        let limits = [Limit::new(sat(100), per.parse().unwrap())
            .hosts(format!("{}.example", per.replace(' ', "-")).parse().unwrap())];
        let host = format!("{}.example", per.replace(' ', "-"));
        assert!(fixture.spend(&host, 90, noon(0), &limits).await, "{per}");
        for back in [1, 60, 3600, DAY, 40 * DAY] {
            let earlier = noon(0) - Duration::from_secs(back);
            let purchase = fixture.purchase(&host, sat(11), earlier).await;
            let over = fixture.begin(&purchase, Msat::ZERO, &limits).await.unwrap_err();
            let WalletError::OverLimit(over) = over else { panic!("{over}") };
            assert!(over.clock_is_behind, "{per}");
        }
        // What is spent at the wrong time counts at the right one.
        assert!(
            fixture.spend(&host, 10, noon(0) - Duration::from_secs(DAY), &limits).await,
            "{per}"
        );
        assert!(!fixture.spend(&host, 1, noon(0), &limits).await, "{per}");
    }
}

async fn what_is_held_counts_in_every_window(fixture: Fixture) {
    let limits = [Limit::new(sat(100), Window::Day)];
    let unknown = fixture.purchase("a.example", sat(60), noon(0)).await;
    fixture.begin(&unknown, Msat::ZERO, &limits).await.unwrap();
    assert!(!fixture.spend("b.example", 41, noon(9 * DAY), &limits).await);
    // Its end becomes known, and it counts on the day on which it does.
    fixture.finish(&unknown, Msat::ZERO, noon(9 * DAY)).await;
    assert!(!fixture.spend("b.example", 41, noon(9 * DAY), &limits).await);
    assert!(fixture.spend("b.example", 41, noon(10 * DAY), &limits).await);
}

async fn a_reset_forgets_what_was_spent_and_nothing_else(fixture: Fixture) {
    let limit = Limit::new(sat(100), Window::Ever);
    let limits = [limit.clone()];
    assert!(fixture.spend("a.example", 50, noon(9 * DAY), &limits).await);
    let begun = fixture.purchase("a.example", sat(20), noon(9 * DAY)).await;
    fixture.begin(&begun, Msat::ZERO, &limits).await.unwrap();
    assert_eq!(fixture.wallet.reset().await.unwrap(), sat(50));
    assert_eq!(fixture.stands(&limit, noon(0)).await, (sat(0), sat(20), sat(80)));
    assert_eq!(fixture.wallet.receipts().await.unwrap().len(), 1);
    // A clock that was wrong once no longer stands in the way.
    let day = Limit::new(sat(80), Window::Day);
    fixture.finish(&begun, Msat::ZERO, noon(0)).await;
    assert!(fixture.spend("a.example", 60, noon(1), std::slice::from_ref(&day)).await);
    assert!(fixture.spend("a.example", 80, noon(DAY), &[day]).await);
}

async fn limits_of_the_wallet_hold_for_everybody(fixture: Fixture) {
    let limit = Limit::new(sat(10), Window::Day);
    fixture.wallet.set_limit("food", &Limit::new(sat(5), Window::Ever)).await.unwrap();
    fixture.wallet.set_limit("food", &limit).await.unwrap();
    assert_eq!(fixture.wallet.limits().await.unwrap(), [("food".to_owned(), limit)]);
    assert!(!fixture.spend("a.example", 11, noon(0), &[]).await);
    let asked = Reserve { asked: sat(11), limits: &[] };
    let over = fixture.wallet.has_room("a.example", asked, noon(0)).await.unwrap_err();
    assert!(matches!(over, WalletError::OverLimit(_)), "{over}");
    let accounts = fixture.wallet.accounts(&[], noon(0)).await.unwrap();
    assert_eq!(accounts[0].name.as_deref(), Some("food"));
    assert!(fixture.wallet.drop_limit("food").await.unwrap());
    assert!(!fixture.wallet.drop_limit("food").await.unwrap());
    assert!(fixture.spend("a.example", 11, noon(0), &[]).await);
}

async fn the_larger_of_two_holds_of_one_payment_stays(fixture: Fixture) {
    let limit = Limit::new(sat(100), Window::Ever);
    let limits = [limit.clone()];
    let purchase = fixture.purchase("a.example", sat(50), noon(0)).await;
    for fee in [9, 30, 1] {
        // It does not stand in its own way.
        fixture.begin(&purchase, sat(fee), &limits).await.unwrap();
    }
    assert_eq!(fixture.stands(&limit, noon(0)).await, (sat(0), sat(80), sat(20)));
    assert!(fixture.begin(&purchase, sat(51), &limits).await.is_err());
    assert_eq!(fixture.stands(&limit, noon(0)).await, (sat(0), sat(80), sat(20)));
}

/// One thing that happens to a wallet.
#[derive(Clone, Debug)]
enum Event {
    Begin {
        host: u8,
        amount: u8,
        fee: u8,
    },
    Finish {
        which: usize,
        fee: u8,
    },
    Forget {
        which: usize,
    },
    /// The clock moves by so many seconds, either way.
    Clock(i32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..3u8, 1..60u8, 0..10u8).prop_map(|(host, amount, fee)| Event::Begin { host, amount, fee }),
        3 => (any::<usize>(), 0..10u8).prop_map(|(which, fee)| Event::Finish { which, fee }),
        1 => any::<usize>().prop_map(|which| Event::Forget { which }),
        2 => (-4000..4000i32).prop_map(Event::Clock),
    ]
}

/// Keeps its own books, by the latest time that there was, and never finds a limit exceeded.
async fn run(fixture: &Fixture, events: Vec<Event>) {
    let limits = [
        Limit::new(sat(100), Window::Hour),
        Limit::new(sat(60), Window::Rolling(Duration::from_secs(1800))).each_host(),
        Limit::new(sat(150), Window::Day).hosts("h1.example".parse().unwrap()),
    ];
    // Nothing is written down yet.
    let (mut now, mut latest) = (noon(0), SystemTime::UNIX_EPOCH);
    let mut begun: Vec<(Purchase, u64, u8)> = Vec::new();
    let mut spent: Vec<(SystemTime, u8, u64)> = Vec::new();
    for event in events {
        match event {
            Event::Clock(by) if by < 0 => now -= Duration::from_secs(by.unsigned_abs().into()),
            Event::Clock(by) => now += Duration::from_secs(by.unsigned_abs().into()),
            Event::Begin { host, amount, fee } => {
                let name = format!("h{host}.example");
                let purchase = fixture.purchase(&name, sat(amount.into()), now).await;
                if fixture.begin(&purchase, sat(fee.into()), &limits).await.is_ok() {
                    latest = latest.max(now);
                    begun.push((purchase, u64::from(amount) + u64::from(fee), host));
                }
            }
            Event::Finish { which, fee } if !begun.is_empty() => {
                let (purchase, held, host) = begun.swap_remove(which % begun.len());
                let amount = purchase.challenge.invoice.amount().msat() / 1000;
                // A node keeps to the fee that it was allowed.
                let fee = u64::from(fee).min(held - amount);
                latest = latest.max(now);
                fixture.finish(&purchase, sat(fee), now).await;
                spent.push((latest, host, amount + fee));
            }
            Event::Forget { which } if !begun.is_empty() => {
                let (purchase, ..) = begun.swap_remove(which % begun.len());
                fixture.forget(&purchase).await;
            }
            Event::Finish { .. } | Event::Forget { .. } => {}
        }
        for (limit, of) in limits.iter().zip([None, Some(0..3), Some(1..2)]) {
            for host in of.map_or_else(|| vec![None], |hosts| hosts.map(Some).collect()) {
                let since = limit.per.at(latest).since.unwrap();
                let is = |other: u8| host.is_none_or(|host| host == other);
                let held: u64 =
                    begun.iter().filter(|(.., at)| is(*at)).map(|(_, held, _)| held).sum();
                let counted = spent.iter().filter(|(at, of, _)| *at >= since && is(*of));
                let sum = held + counted.map(|(.., cost)| cost).sum::<u64>();
                assert!(sat(sum) <= limit.most, "{limit}: {sum} sat");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn no_limit_is_exceeded_whatever_happens(events in prop::collection::vec(event(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            run(&memory().await, events.clone()).await;
            run(&sqlite().await, events).await;
        });
    }
}
