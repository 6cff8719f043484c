//! A wallet that is forgotten with its process: for programs that buy and are done, and for those
//! that keep one wallet per customer.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use async_trait::async_trait;
use l402::{Msat, Paid, PaymentHash};

use super::ledger::{self, Counted, Counts, Ledger, Reserve};
use super::turn::{Once, Turns};
use super::{
    Adopted, Entry, MOST_OTHERS, Purchase, Receipt, Standing, Token, Turn, Wallet, WalletError,
};
use crate::origin::Origin;
use crate::policy::{Account, Limit};

/// A wallet in memory. A payment whose end is not known when the process ends is known to nobody
/// but the node: use [`SqliteWallet`](super::SqliteWallet) where that matters.
#[derive(Debug, Default)]
pub struct MemoryWallet {
    books: Mutex<Books>,
    turns: Turns,
}

#[derive(Debug, Default)]
struct Books {
    begun: Vec<Purchase>,
    finished: Vec<Token>,
    spending: BTreeMap<PaymentHash, Spending>,
    limits: BTreeMap<String, Limit>,
}

/// What counts against limits for one payment.
#[derive(Debug)]
struct Spending {
    host: String,
    at: SystemTime,
    held: Msat,
    spent: Msat,
}

impl MemoryWallet {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("nothing panics under this lock")
    }
}

#[async_trait]
impl Wallet for MemoryWallet {
    async fn turn(
        &self,
        origin: &Origin,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Turn, WalletError> {
        let turn = self.turns.take(origin, &mut Once::new(waiting)).await;
        Ok(Turn::new(origin.clone(), turn))
    }

    async fn find(&self, origin: &Origin, path: &str) -> Result<Vec<Token>, WalletError> {
        let mut others = 0;
        let kept = |token: &&Token| {
            if token.origin != *origin || token.standing == Standing::Quarantined {
                return false;
            }
            others += usize::from(token.path != path);
            token.path == path || others <= MOST_OTHERS
        };
        Ok(self.books().finished.iter().rev().filter(kept).cloned().collect())
    }

    async fn pending(&self, origin: Option<&Origin>) -> Result<Vec<Purchase>, WalletError> {
        let wanted = |purchase: &&Purchase| origin.is_none_or(|origin| purchase.origin == *origin);
        Ok(self.books().begun.iter().filter(wanted).cloned().collect())
    }

    async fn begin(
        &self,
        turn: &Turn,
        purchase: &Purchase,
        reserve: Reserve<'_>,
    ) -> Result<(), WalletError> {
        turn.covers(purchase)?;
        let (mut books, hash) = (self.books(), purchase.hash());
        if books.finished.iter().any(|token| token.hash == hash) {
            return Err(WalletError::AlreadyPaid(hash));
        }
        let begun = books.begun.iter().find(|begun| begun.hash() == hash);
        let is_new = begun.map(|begun| turn.covers(begun)).transpose()?.is_none();
        books.reserve(purchase, reserve)?;
        if is_new {
            books.begun.push(purchase.clone());
        }
        Ok(())
    }

    async fn finish(
        &self,
        turn: &Turn,
        hash: PaymentHash,
        paid: &Paid,
        at: SystemTime,
    ) -> Result<Receipt, WalletError> {
        let mut books = self.books();
        if let Some(token) = books.finished.iter().find(|token| token.hash == hash) {
            return Ok(token.receipt());
        }
        let begun = books.begun.iter().position(|begun| begun.hash() == hash);
        let begun = begun.ok_or(WalletError::NotBegun(hash))?;
        turn.covers(&books.begun[begun])?;
        let token = Token::bought(books.begun.remove(begun), paid.clone(), at);
        let receipt = token.receipt();
        books.spend(&token);
        books.finished.push(token);
        Ok(receipt)
    }

    async fn forget(&self, turn: &Turn, hash: PaymentHash) -> Result<(), WalletError> {
        let mut books = self.books();
        if let Some(begun) = books.begun.iter().find(|begun| begun.hash() == hash) {
            turn.covers(begun)?;
        }
        let before = books.begun.len();
        books.begun.retain(|begun| begun.hash() != hash);
        if books.begun.len() < before
            && let Some(spending) = books.spending.get_mut(&hash)
        {
            // That there was such a time is not given back.
            spending.held = Msat::ZERO;
        }
        Ok(())
    }

    async fn judge(&self, hash: PaymentHash, standing: Standing) -> Result<(), WalletError> {
        let mut books = self.books();
        let token = books.finished.iter_mut().find(|token| token.hash == hash);
        token.ok_or(WalletError::NotBegun(hash))?.judge(standing);
        Ok(())
    }

    async fn entries(&self) -> Result<Vec<Entry>, WalletError> {
        let books = self.books();
        let begun =
            books.begun.iter().cloned().map(|purchase| (purchase.begun_at, Entry::Begun(purchase)));
        let finished =
            books.finished.iter().cloned().map(|token| (token.paid_at, Entry::Finished(token)));
        let mut entries: Vec<_> = begun.chain(finished).collect();
        entries.reverse();
        entries.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Ok(entries.into_iter().map(|(_, entry)| entry).collect())
    }

    async fn entry(&self, hash: PaymentHash) -> Result<Option<Entry>, WalletError> {
        Ok(self.books().entry(hash))
    }

    async fn adopt(&self, entries: &[Entry]) -> Result<Adopted, WalletError> {
        let (mut books, mut adopted) = (self.books(), Adopted::default());
        for entry in entries {
            match (books.entry(entry.hash()), entry.clone()) {
                (None, Entry::Finished(token)) => {
                    books.finished.push(token);
                    adopted.added += 1;
                }
                (None, Entry::Begun(purchase)) => {
                    books.hold(&purchase, purchase.challenge.invoice.amount());
                    books.begun.push(purchase);
                    adopted.added += 1;
                }
                (Some(Entry::Begun(_)), Entry::Finished(token)) => {
                    books.begun.retain(|begun| begun.hash() != token.hash);
                    books.spend(&token);
                    books.finished.push(token);
                    adopted.proven += 1;
                }
                (Some(_), _) => adopted.known += 1,
            }
        }
        Ok(adopted)
    }
}

impl Books {
    fn entry(&self, hash: PaymentHash) -> Option<Entry> {
        let finished = self.finished.iter().find(|token| token.hash == hash);
        let begun = || self.begun.iter().find(|begun| begun.hash() == hash);
        finished.cloned().map(Entry::Finished).or_else(|| begun().cloned().map(Entry::Begun))
    }

    fn reserve(&mut self, purchase: &Purchase, reserve: Reserve<'_>) -> Result<(), WalletError> {
        let (hash, now) = (purchase.hash(), purchase.begun_at);
        self.room(purchase.origin.host(), reserve, Some(hash), now)?;
        self.hold(purchase, reserve.asked);
        Ok(())
    }

    fn hold(&mut self, purchase: &Purchase, asked: Msat) {
        let (host, at) = (purchase.origin.host().to_owned(), self.later(purchase.begun_at));
        let new = || Spending { host, at, held: Msat::ZERO, spent: Msat::ZERO };
        let spending = self.spending.entry(purchase.hash()).or_insert_with(new);
        spending.held = spending.held.max(asked);
    }

    fn spend(&mut self, token: &Token) {
        let at = self.later(token.paid_at);
        if let Some(spending) = self.spending.get_mut(&token.hash) {
            let spent = token.amount.checked_add(token.fee).unwrap_or(Msat::SUPPLY);
            (spending.at, spending.held, spending.spent) = (at, Msat::ZERO, spent);
        }
    }

    fn room(
        &self,
        host: &str,
        reserve: Reserve<'_>,
        payment: Option<PaymentHash>,
        now: SystemTime,
    ) -> Result<(), WalletError> {
        let limits: Vec<_> = reserve.limits.iter().chain(self.limits.values()).cloned().collect();
        let Ok(room) = ledger::check(self, &limits, host, reserve.asked, payment, now);
        Ok(room?)
    }

    fn later(&self, now: SystemTime) -> SystemTime {
        self.spending.values().map(|spending| spending.at).fold(now, SystemTime::max)
    }
}

impl Counts for Books {
    type Error = Infallible;

    fn latest(&self) -> Result<Option<SystemTime>, Infallible> {
        Ok(self.spending.values().map(|spending| spending.at).max())
    }

    fn since(
        &self,
        since: Option<SystemTime>,
        but_for: Option<PaymentHash>,
    ) -> Result<Vec<Counted>, Infallible> {
        let counted = self.spending.iter().map(|(hash, spending)| {
            let in_time = since.is_none_or(|since| spending.at >= since);
            let spent = if in_time { spending.spent } else { Msat::ZERO };
            let held = if but_for == Some(*hash) { Msat::ZERO } else { spending.held };
            Counted { host: spending.host.clone(), spent, held }
        });
        let mut by_host: BTreeMap<String, Counted> = BTreeMap::new();
        for one in counted {
            let add = |a: Msat, b: Msat| a.checked_add(b).unwrap_or(Msat::SUPPLY);
            let sums = by_host.entry(one.host.clone()).or_insert_with(|| Counted {
                host: one.host.clone(),
                spent: Msat::ZERO,
                held: Msat::ZERO,
            });
            (sums.spent, sums.held) = (add(sums.spent, one.spent), add(sums.held, one.held));
        }
        Ok(by_host.into_values().collect())
    }
}

#[async_trait]
impl Ledger for MemoryWallet {
    async fn limits(&self) -> Result<Vec<(String, Limit)>, WalletError> {
        Ok(self.books().limits.clone().into_iter().collect())
    }

    async fn set_limit(&self, name: &str, limit: &Limit) -> Result<(), WalletError> {
        self.books().limits.insert(name.to_owned(), limit.clone());
        Ok(())
    }

    async fn drop_limit(&self, name: &str) -> Result<bool, WalletError> {
        Ok(self.books().limits.remove(name).is_some())
    }

    async fn accounts(
        &self,
        limits: &[Limit],
        now: SystemTime,
    ) -> Result<Vec<Account>, WalletError> {
        let books = self.books();
        let given = limits.iter().map(|limit| (None, limit.clone()));
        let own = books.limits.iter().map(|(name, limit)| (Some(name.clone()), limit.clone()));
        let Ok(accounts) = ledger::accounts(&*books, given.chain(own), now);
        Ok(accounts)
    }

    async fn has_room(
        &self,
        host: &str,
        reserve: Reserve<'_>,
        now: SystemTime,
    ) -> Result<(), WalletError> {
        self.books().room(host, reserve, None, now)
    }

    async fn reset(&self) -> Result<Msat, WalletError> {
        let mut books = self.books();
        let mut spent = books.spending.values().map(|spending| spending.spent);
        let gone = spent.try_fold(Msat::ZERO, Msat::checked_add);
        books.spending.retain(|_, spending| spending.held > Msat::ZERO);
        books.spending.values_mut().for_each(|spending| spending.at = SystemTime::UNIX_EPOCH);
        Ok(gone.unwrap_or(Msat::SUPPLY))
    }
}
