//! A Lightning network in one `Arc`: [`FakeNode`]s that can pay one another, and a clock that a test
//! can move.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use l402::{Invoice, Msat, Network, PaymentHash, Preimage};

use crate::ledger::Ledger;
use crate::node::FakeNode;
use crate::script::{Gate, Signal};
use crate::sign::{self, Terms};

/// A private network of [`FakeNode`]s. Clones are the same network.
#[derive(Clone)]
pub struct FakeNetwork {
    network: Network,
    ledger: Arc<Mutex<Ledger>>,
}

impl FakeNetwork {
    /// An empty regtest network without routing fees.
    pub fn new() -> Self {
        Self::on(Network::Regtest)
    }

    /// An empty network whose invoices say `network`.
    pub fn on(network: Network) -> Self {
        Self { network, ledger: Arc::new(Mutex::new(Ledger::new())) }
    }

    /// A buyer with a million sat and a seller with nothing, on a regtest network of their own.
    pub fn pair() -> (FakeNode, FakeNode) {
        let network = Self::new();
        let million = Msat::from_sat(1_000_000).expect("less than all bitcoin");
        (network.node(million), network.node(Msat::ZERO))
    }

    /// A new node with that much money.
    pub fn node(&self, balance: Msat) -> FakeNode {
        FakeNode::new(self.clone(), self.ledger().open(balance))
    }

    /// What each payment costs its payer from now on, in millisatoshi on top of the amount.
    pub fn set_fee(&self, fee: Msat) {
        self.ledger().fee = fee;
    }

    /// Moves the network's clock forward: invoices grow old.
    pub fn advance(&self, by: Duration) {
        self.ledger().ahead += by;
    }

    /// What the network's clock says.
    pub fn now(&self) -> SystemTime {
        SystemTime::now() + self.ledger().ahead
    }

    /// Which network its invoices are for.
    pub fn network(&self) -> Network {
        self.network
    }

    /// All the money in it: balances, in flight, and what routing cost. No payment changes it.
    pub fn total(&self) -> Msat {
        self.ledger().total()
    }

    /// A signed invoice of a node that nobody can reach, made `age` ago, payable for `expiry`
    /// (whole seconds) from then.
    ///
    /// # Panics
    /// When `amount` is zero or more than all bitcoin.
    pub fn foreign_invoice(&self, amount: Msat, age: Duration, expiry: Duration) -> Invoice {
        let terms = Terms {
            network: self.network,
            hash: PaymentHash(sign::random32()),
            amount,
            memo: "from far away",
            created: self.now() - age,
            expiry,
        };
        sign::invoice(&sign::random_key(), terms)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("a panic under this lock already failed the test")
    }

    /// A cue's word. Under the ledger's lock, so that it is heard exactly once whether the payment
    /// is already there or not.
    pub(crate) fn cue(&self, payer: usize, signal: &Signal, gate: Gate) {
        let mut ledger = self.ledger();
        signal.gate.send_replace(gate);
        let arrived = *signal.arrived.borrow();
        match (arrived, gate) {
            (Some(hash), Gate::Proceed) => ledger.settle(payer, hash, None),
            (Some(hash), Gate::Fail(why)) => ledger.give_back(payer, hash, why),
            (None, _) | (_, Gate::Closed) => {}
        }
    }

    pub(crate) fn issue(&self, payee: usize, invoice: Invoice, preimage: Preimage) {
        self.ledger().issue(payee, invoice, preimage);
    }
}

impl Default for FakeNetwork {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeNetwork({})", self.network)
    }
}
