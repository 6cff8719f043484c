//! Kills one node of a line at random moments of payments, again and again, and checks after each
//! restart that nothing was lost, nothing made twice, and nothing left in doubt.

mod books;
pub(crate) mod child;
mod network;
mod remote;
mod words;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use tokio::task::JoinSet;

use self::books::{Books, Payment};
use self::network::Network;
use self::remote::Remote;
use self::words::Ask;

/// Everything that can go wrong, with its whole story as text.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Payments under way at the same time.
const AT_ONCE: usize = 6;
/// The longest time from the first payment to the kill.
const LONGEST: Duration = Duration::from_millis(300);
/// The longest time from a start to a kill during it.
const LONGEST_START: Duration = Duration::from_millis(60);
/// One trial in so many kills the node again while it starts.
const AGAIN_WHILE_STARTING: u32 = 4;
/// What routing may cost.
const MAX_FEE_MSAT: u64 = 10_000;

/// Which node of the line is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    Payer,
    Receiver,
    /// The one in the middle of three.
    Forwarder,
}

/// What was done and seen.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) kills: usize,
    pub(crate) kills_while_starting: usize,
    pub(crate) payments: usize,
    /// The payer told that it was paid, and then died or not.
    pub(crate) told_paid: usize,
    /// The payer died before it told, and says after its restart that it was paid.
    pub(crate) found_paid: usize,
    /// Of those, not known at the first question, but soon.
    pub(crate) first_pending: usize,
    /// The payer died before it told, and says that no money left.
    pub(crate) found_not_paid: usize,
    /// Of those, ordered again and paid.
    pub(crate) paid_again: usize,
    /// The payer told that no money left.
    pub(crate) told_not_paid: usize,
    pub(crate) log_lines: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("killed during payments", self.kills),
            ("killed again while starting", self.kills_while_starting),
            ("payments begun", self.payments),
            ("told paid", self.told_paid),
            ("told not paid", self.told_not_paid),
            ("in doubt, then found paid", self.found_paid),
            ("in doubt, then found not paid", self.found_not_paid),
            ("  of those, ordered again and paid", self.paid_again),
            ("pending when first asked after, then known", self.first_pending),
            ("lines of log searched", self.log_lines),
        ];
        for (what, count) in lines {
            writeln!(f, "  {what:<44} {count:>8}")?;
        }
        write!(f, "  channels lost, paid twice, left in doubt: none")
    }
}

/// Kills `victim` so often. Gives the counts if every check held.
pub(crate) async fn run(
    victim: Victim,
    kills: usize,
    seed: u64,
    arguments: &[&'static str],
) -> Result<Counts, Failure> {
    let nodes = if victim == Victim::Forwarder { 3 } else { 2 };
    let network = Arc::new(Network::start(nodes, arguments).await?);
    let mut trials = Trials {
        victim: match victim {
            Victim::Payer => 0,
            Victim::Receiver | Victim::Forwarder => 1,
        },
        books: Books::open(Arc::clone(&network), nodes - 1).await?,
        network,
        dice: StdRng::seed_from_u64(seed),
        counts: Counts::default(),
    };
    match trials.all(kills).await {
        Ok(()) => Ok(trials.counts),
        Err(error) => {
            let counts = trials.counts;
            let network = Arc::into_inner({
                drop(trials.books);
                trials.network
            });
            let kept = network.map(|network| network.keep().display().to_string());
            let kept = kept.unwrap_or_else(|| "nowhere: a payment still runs".to_owned());
            Err(format!("after {} kills: {error}\nseed {seed}; kept in {kept}", counts.kills)
                .into())
        }
    }
}

struct Trials {
    network: Arc<Network>,
    victim: usize,
    books: Books,
    dice: StdRng,
    counts: Counts,
}

impl Trials {
    async fn all(&mut self, kills: usize) -> Result<(), Failure> {
        for _ in 0..kills {
            self.one().await?;
        }
        self.books.close().await?;
        self.counts.log_lines = self.network.search_logs()?;
        Ok(())
    }

    /// Payments, a kill in the midst of them, a restart, and how each payment ended.
    async fn one(&mut self) -> Result<(), Failure> {
        let enough = Arc::new(AtomicBool::new(false));
        let mut payers = JoinSet::new();
        for _ in 0..AT_ONCE {
            let dice = StdRng::seed_from_u64(self.dice.r#gen());
            let (from, to) = (self.network.node(0), self.network.node(self.books.payee));
            payers.spawn(pay_until(Arc::clone(&enough), from, to, dice));
        }
        let moment = self.dice.gen_range(Duration::ZERO..LONGEST);
        tokio::time::sleep(moment).await;
        self.network.kill(self.victim).await?;
        enough.store(true, Ordering::Relaxed);
        self.counts.kills += 1;
        while self.dice.gen_ratio(1, AGAIN_WHILE_STARTING) {
            let after = self.dice.gen_range(Duration::ZERO..LONGEST_START);
            self.network.start_and_kill(self.victim, after).await?;
            self.counts.kills_while_starting += 1;
        }
        self.network.restart(self.victim).await?;
        let mut begun = VecDeque::new();
        while let Some(payments) = payers.join_next().await {
            begun.extend(payments??);
        }
        self.counts.payments += begun.len();
        for payment in begun {
            let again = self.dice.r#gen();
            self.books.enter(payment, again, &mut self.counts).await?;
        }
        self.network.search_logs().map(drop)
    }
}

/// Pays fresh invoices, one after the other, until it is enough or one of the two is gone.
async fn pay_until(
    enough: Arc<AtomicBool>,
    from: Arc<Remote>,
    to: Arc<Remote>,
    mut dice: StdRng,
) -> Result<Vec<Payment>, Failure> {
    let mut begun = Vec::new();
    while !enough.load(Ordering::Relaxed) {
        // Most are below the dust limit, as payments for a request are; some are not.
        let most = if dice.gen_ratio(1, 8) { 1_000_000 } else { 50_000 };
        let msat = dice.gen_range(1_000..most);
        let invoice = match to.text(Ask::Invoice { msat }).await {
            Ok(invoice) => invoice,
            Err(error) if error.is::<remote::Gone>() => break,
            Err(error) => return Err(error),
        };
        let order = Ask::Pay { invoice: invoice.clone(), max_fee_msat: MAX_FEE_MSAT };
        let told = match from.end(order).await {
            Ok(end) => Some(end),
            Err(error) if error.is::<remote::Gone>() => None,
            Err(error) => return Err(error),
        };
        let gone = told.is_none();
        begun.push(Payment::new(&invoice, msat, told)?);
        if gone {
            break;
        }
    }
    Ok(begun)
}
