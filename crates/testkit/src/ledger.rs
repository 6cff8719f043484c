//! The books of a [`FakeNetwork`](crate::FakeNetwork): who owns what, what was issued, what is on
//! its way. Every millisatoshi is always in exactly one of three places: a node's balance, in
//! flight, or earned by the routers.

use std::collections::HashMap;
use std::time::Duration;

use l402::{Invoice, Msat, Paid, PayOrder, PaymentHash, Preimage, Why};
use tokio::sync::watch;

/// All accounts of one network.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// What every payment costs on top of its amount.
    pub(crate) fee: Msat,
    /// How far the network's clock is ahead of the machine's.
    pub(crate) ahead: Duration,
    accounts: Vec<Account>,
    earned_by_routers: Msat,
    issued: HashMap<PaymentHash, Issued>,
    payments: HashMap<(usize, PaymentHash), Payment>,
}

/// One node's money and what it received.
#[derive(Debug)]
struct Account {
    balance: Msat,
    received: Vec<(PaymentHash, Msat)>,
}

#[derive(Debug)]
struct Issued {
    payee: usize,
    invoice: Invoice,
    preimage: Preimage,
}

/// One payer's payment of one hash. At most one exists, whatever is asked how often.
#[derive(Debug)]
struct Payment {
    amount: Msat,
    fee: Msat,
    state: watch::Sender<State>,
}

/// Where a payment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    InFlight,
    Paid(Paid),
    NotPaid(Why),
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            fee: Msat::ZERO,
            ahead: Duration::ZERO,
            accounts: Vec::new(),
            earned_by_routers: Msat::ZERO,
            issued: HashMap::new(),
            payments: HashMap::new(),
        }
    }

    /// Opens an account, and says its number.
    pub(crate) fn open(&mut self, balance: Msat) -> usize {
        self.accounts.push(Account { balance, received: Vec::new() });
        self.accounts.len() - 1
    }

    pub(crate) fn issue(&mut self, payee: usize, invoice: Invoice, preimage: Preimage) {
        self.issued.insert(invoice.payment_hash(), Issued { payee, invoice, preimage });
    }

    pub(crate) fn balance(&self, node: usize) -> Msat {
        self.accounts[node].balance
    }

    /// What that node was paid, in the order it arrived.
    pub(crate) fn received(&self, node: usize) -> &[(PaymentHash, Msat)] {
        &self.accounts[node].received
    }

    pub(crate) fn is_settled(&self, payee: usize, hash: PaymentHash) -> bool {
        self.accounts[payee].received.iter().any(|(received, _)| *received == hash)
    }

    /// All the money there is, wherever it is. Never changes but by [`Ledger::open`].
    pub(crate) fn total(&self) -> Msat {
        let in_flight = self.payments.values().filter(|p| *p.state.borrow() == State::InFlight);
        let parts = self
            .accounts
            .iter()
            .map(|account| account.balance)
            .chain(in_flight.map(|payment| sum(payment.amount, payment.fee)))
            .chain([self.earned_by_routers]);
        parts.fold(Msat::ZERO, sum)
    }

    /// The state of a payment, if it was ever begun.
    pub(crate) fn state(&self, payer: usize, hash: PaymentHash) -> Option<State> {
        self.payments.get(&(payer, hash)).map(|payment| payment.state.borrow().clone())
    }

    /// Follows a payment that was begun.
    pub(crate) fn follow(&self, payer: usize, hash: PaymentHash) -> watch::Receiver<State> {
        self.payments[&(payer, hash)].state.subscribe()
    }

    /// Why this order cannot be carried out, if it cannot. `expired` is the clock's word.
    pub(crate) fn refusal(&self, payer: usize, order: &PayOrder<'_>, expired: bool) -> Option<Why> {
        let issued = self.issued.get(&order.invoice.payment_hash());
        if expired {
            return Some(Why::Expired);
        }
        let Some(issued) = issued.filter(|issued| issued.payee != payer) else {
            return Some(Why::NoRoute);
        };
        if issued.invoice != *order.invoice
            || self.is_settled(issued.payee, order.invoice.payment_hash())
        {
            return Some(Why::PayeeRefused);
        }
        if self.fee > order.max_fee {
            return Some(Why::NoRoute);
        }
        let cost = order.invoice.amount().checked_add(self.fee);
        cost.is_none_or(|cost| cost > self.balance(payer)).then_some(Why::Balance)
    }

    /// Takes the money out of the payer's account. The order was checked by [`Ledger::refusal`].
    pub(crate) fn begin(&mut self, payer: usize, order: &PayOrder<'_>) {
        let (amount, fee) = (order.invoice.amount(), self.fee);
        self.take(payer, sum(amount, fee));
        let payment = self
            .payments
            .entry((payer, order.invoice.payment_hash()))
            .or_insert_with(|| Payment { amount, fee, state: watch::Sender::new(State::InFlight) });
        (payment.amount, payment.fee) = (amount, fee);
        payment.state.send_replace(State::InFlight);
    }

    /// Gives a payment in flight to its payee. `lie` replaces the preimage that the payer is told.
    pub(crate) fn settle(&mut self, payer: usize, hash: PaymentHash, lie: Option<Preimage>) {
        let Some((amount, fee)) = self.in_flight(payer, hash) else { return };
        let issued = &self.issued[&hash];
        let (payee, preimage) = (issued.payee, lie.unwrap_or_else(|| issued.preimage.clone()));
        if self.is_settled(payee, hash) {
            // Another payer was faster: a payee takes one payment of a hash.
            return self.give_back(payer, hash, Why::PayeeRefused);
        }
        let account = &mut self.accounts[payee];
        account.balance = sum(account.balance, amount);
        account.received.push((hash, amount));
        self.earned_by_routers = sum(self.earned_by_routers, fee);
        self.payments[&(payer, hash)].state.send_replace(State::Paid(Paid { preimage, fee }));
    }

    /// Gives a payment in flight back to its payer.
    pub(crate) fn give_back(&mut self, payer: usize, hash: PaymentHash, why: Why) {
        let Some((amount, fee)) = self.in_flight(payer, hash) else { return };
        let account = &mut self.accounts[payer];
        account.balance = sum(account.balance, sum(amount, fee));
        self.payments[&(payer, hash)].state.send_replace(State::NotPaid(why));
    }

    fn in_flight(&self, payer: usize, hash: PaymentHash) -> Option<(Msat, Msat)> {
        let payment = self.payments.get(&(payer, hash))?;
        let in_flight = *payment.state.borrow() == State::InFlight;
        in_flight.then_some((payment.amount, payment.fee))
    }

    fn take(&mut self, node: usize, amount: Msat) {
        let account = &mut self.accounts[node];
        account.balance = account.balance.checked_sub(amount).expect("the balance was checked");
    }
}

fn sum(a: Msat, b: Msat) -> Msat {
    a.checked_add(b).expect("a test's network holds less than all bitcoin")
}
