//! One Lightning node of a [`FakeNetwork`]. It keeps the contracts of [`Payer`] and [`Invoicer`] to
//! the letter, and breaks the rest of a payment in whatever way a test asks for.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::secp256k1::SecretKey;
use l402::{
    Invoice, Invoicer, Msat, Network, Node, NodeError, NodeErrorKind, Outcome, Paid, PayError,
    PayOrder, Payer, PaymentHash, Preimage, Why,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::ledger::State;
use crate::network::FakeNetwork;
use crate::script::{Act, Cue, Gate, Signal};
use crate::sign::{self, Terms};

/// The driver's name in its errors.
const DRIVER: &str = "fake";
/// The longest description that BOLT 11 has room for, in bytes.
const LONGEST_MEMO: usize = 639;

/// A node with an account in a [`FakeNetwork`]. Clones are the same node.
#[derive(Clone)]
pub struct FakeNode {
    network: FakeNetwork,
    account: usize,
    inner: Arc<Inner>,
}

struct Inner {
    key: SecretKey,
    link: watch::Sender<Link>,
    script: Mutex<Script>,
}

/// What comes next, and what was asked so far.
#[derive(Debug)]
struct Script {
    next: VecDeque<(Act, Signal)>,
    otherwise: Act,
    orders: Vec<PaymentHash>,
    invoices: u64,
    invoices_fail: Option<NodeErrorKind>,
}

/// Whether a node can be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It answers.
    Up,
    /// No connection can be made. What is in flight stays in flight.
    Down,
    /// It takes every question and answers none, until the link is up again.
    Stuck,
}

impl FakeNode {
    pub(crate) fn new(network: FakeNetwork, account: usize) -> Self {
        let script = Script {
            next: VecDeque::new(),
            otherwise: Act::Pay,
            orders: Vec::new(),
            invoices: 0,
            invoices_fail: None,
        };
        let inner = Inner {
            key: sign::random_key(),
            link: watch::Sender::new(Link::Up),
            script: Mutex::new(script),
        };
        Self { network, account, inner: Arc::new(inner) }
    }

    /// What the first new payment that is not yet scripted will do. Orders for a payment that is
    /// in flight or paid already use up no act: they join that payment.
    pub fn next(&self, act: Act) -> Cue {
        let signal = Signal::new();
        self.script().next.push_back((act, signal.clone()));
        Cue { network: self.network.clone(), payer: self.account, signal }
    }

    /// What every payment that is not scripted will do. [`Act::Pay`] unless told.
    pub fn otherwise(&self, act: Act) {
        self.script().otherwise = act;
    }

    /// Cuts, blocks or mends the way to this node.
    pub fn set_link(&self, link: Link) {
        self.inner.link.send_replace(link);
    }

    /// From now on every new invoice fails in that way, or works again.
    pub fn fail_invoices(&self, how: Option<NodeErrorKind>) {
        self.script().invoices_fail = how;
    }

    /// What it owns and could spend now. Money in flight is not in it.
    pub fn balance(&self) -> Msat {
        self.network.ledger().balance(self.account)
    }

    /// Every payment it received, in order. Two lines of one hash would be a payment made twice.
    pub fn received(&self) -> Vec<(PaymentHash, Msat)> {
        self.network.ledger().received(self.account).to_vec()
    }

    /// The sum of all it received.
    pub fn received_total(&self) -> Msat {
        let sum = |a: Msat, (_, b): (_, Msat)| a.checked_add(b).expect("less than all bitcoin");
        self.received().into_iter().fold(Msat::ZERO, sum)
    }

    /// Every order to pay that reached it, repeats included.
    pub fn orders(&self) -> Vec<PaymentHash> {
        self.script().orders.clone()
    }

    /// How many invoices it has made.
    pub fn invoices(&self) -> u64 {
        self.script().invoices
    }

    /// The network it belongs to.
    pub fn on(&self) -> &FakeNetwork {
        &self.network
    }

    /// This node behind both seams.
    pub fn both(&self) -> Node {
        Node { payer: Some(self.payer()), invoicer: Some(self.invoicer()), operator: None }
    }

    /// This node as something that can spend.
    pub fn payer(&self) -> Arc<dyn Payer> {
        Arc::new(self.clone())
    }

    /// This node as something that can be paid.
    pub fn invoicer(&self) -> Arc<dyn Invoicer> {
        Arc::new(self.clone())
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.inner.script.lock().expect("a panic under this lock already failed the test")
    }

    /// Waits while the node is stuck.
    async fn reach(&self) -> Result<(), NodeError> {
        let mut link = self.inner.link.subscribe();
        let link = link.wait_for(|link| *link != Link::Stuck).await;
        match *link.expect("this node holds the sender") {
            Link::Down => Err(NodeError::new(DRIVER, NodeErrorKind::Unreachable)),
            Link::Up | Link::Stuck => Ok(()),
        }
    }

    /// Carries out an order as far as it goes without waiting.
    fn begin(&self, order: &PayOrder<'_>) -> Result<Begun, PayError> {
        let hash = order.invoice.payment_hash();
        let expired = !order.invoice.is_live(self.network.now(), Duration::ZERO);
        let mut ledger = self.network.ledger();
        if matches!(ledger.state(self.account, hash), Some(State::InFlight | State::Paid(_))) {
            self.script().orders.push(hash);
            let state = ledger.follow(self.account, hash);
            return Ok(Begun { state, act: Act::Pay, signal: Signal::new() });
        }
        let (act, signal) = self.next_act();
        if act == Act::Unreachable {
            return Err(unreachable());
        }
        self.script().orders.push(hash);
        let refusal = match act {
            Act::Refuse(why) => Some(why),
            _ if order.invoice.network() != self.network.network() => Some(Why::WrongNetwork),
            _ => ledger.refusal(self.account, order, expired),
        };
        signal.arrived.send_replace(Some(hash));
        if let Some(why) = refusal {
            return Err(not_paid(why));
        }
        ledger.begin(self.account, order);
        let said = *signal.gate.borrow();
        match (act, said) {
            (Act::PayLate, Gate::Fail(why)) => ledger.give_back(self.account, hash, why),
            (Act::PayLate, Gate::Closed) | (Act::Hang, _) => {}
            (Act::WrongPreimage, _) => {
                ledger.settle(self.account, hash, Some(Preimage::new(sign::random32())));
            }
            _ => ledger.settle(self.account, hash, None),
        }
        Ok(Begun { state: ledger.follow(self.account, hash), act, signal })
    }

    fn next_act(&self) -> (Act, Signal) {
        let mut script = self.script();
        let scripted = script.next.pop_front();
        scripted.unwrap_or_else(|| (script.otherwise, Signal::new()))
    }

    /// The end of one order, once the node can be spoken to.
    async fn carry_out(&self, order: &PayOrder<'_>) -> Result<Paid, PayError> {
        let hash = order.invoice.payment_hash();
        if let Err(source) = self.reach().await {
            // An order that did not arrive changes nothing about an earlier one that did.
            let begun = self.network.ledger().state(self.account, hash);
            return match begun {
                Some(State::InFlight | State::Paid(_)) => Err(PayError::Unknown { hash, source }),
                Some(State::NotPaid(_)) | None => {
                    Err(PayError::NotPaid { why: Why::Unreachable, source: Some(source) })
                }
            };
        }
        let mut begun = self.begin(order)?;
        match begun.act {
            Act::LoseReply => {
                let source = NodeError::new(DRIVER, NodeErrorKind::Unreachable);
                return Err(PayError::Unknown { hash, source });
            }
            Act::SlowReply => {
                let mut gate = begun.signal.gate.subscribe();
                gate.wait_for(|gate| *gate != Gate::Closed).await.expect("the sender is held here");
            }
            _ => {}
        }
        let ended = begun.state.wait_for(|state| *state != State::InFlight).await;
        match &*ended.expect("the ledger holds the sender") {
            State::Paid(paid) => Ok(paid.clone()),
            State::NotPaid(why) => Err(not_paid(*why)),
            State::InFlight => unreachable!("waited until it is not"),
        }
    }
}

/// An order that the ledger has taken.
struct Begun {
    state: watch::Receiver<State>,
    act: Act,
    signal: Signal,
}

fn not_paid(why: Why) -> PayError {
    PayError::NotPaid { why, source: None }
}

fn unreachable() -> PayError {
    let source = NodeError::new(DRIVER, NodeErrorKind::Unreachable);
    PayError::NotPaid { why: Why::Unreachable, source: Some(source) }
}

#[async_trait]
impl Payer for FakeNode {
    fn network(&self) -> Network {
        self.network.network()
    }

    async fn pay(&self, order: PayOrder<'_>) -> Result<Paid, PayError> {
        match timeout(order.patience, self.carry_out(&order)).await {
            Ok(ended) => ended,
            Err(_) => Err(PayError::Unknown {
                hash: order.invoice.payment_hash(),
                source: NodeError::new(DRIVER, NodeErrorKind::Timeout),
            }),
        }
    }

    async fn outcome(&self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        self.reach().await?;
        Ok(match self.network.ledger().state(self.account, hash) {
            Some(State::InFlight) => Outcome::Pending,
            Some(State::Paid(paid)) => Outcome::Paid(paid),
            Some(State::NotPaid(_)) | None => Outcome::NotPaid,
        })
    }
}

#[async_trait]
impl Invoicer for FakeNode {
    fn network(&self) -> Network {
        self.network.network()
    }

    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError> {
        self.reach().await?;
        if let Some(kind) = self.script().invoices_fail {
            return Err(NodeError::new(DRIVER, kind));
        }
        if amount == Msat::ZERO
            || amount > Msat::SUPPLY
            || memo.len() > LONGEST_MEMO
            || expiry.as_secs() == 0
        {
            return Err(NodeError::new(DRIVER, NodeErrorKind::Refused));
        }
        let preimage = Preimage::new(sign::random32());
        let terms = Terms {
            network: self.network.network(),
            hash: preimage.hash(),
            amount,
            memo,
            created: self.network.now(),
            expiry,
        };
        let invoice = sign::invoice(&self.inner.key, terms);
        self.network.issue(self.account, invoice.clone(), preimage);
        self.script().invoices += 1;
        Ok(invoice)
    }

    async fn is_settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        self.reach().await?;
        Ok(self.network.ledger().is_settled(self.account, hash))
    }
}

impl fmt::Debug for FakeNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeNode({} of {:?})", self.account, self.network)
    }
}
