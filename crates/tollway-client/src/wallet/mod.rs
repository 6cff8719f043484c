//! Where a client writes what it is about to pay for, and keeps what it has paid for. Two wallets
//! are here, one in memory and one in a file; both keep the same contract.

mod entry;
mod error;
mod ledger;
mod memory;
mod seal;
mod sqlite;
pub mod transfer;
mod turn;

use std::fmt;
use std::time::SystemTime;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use l402::{Challenge, Invoice, Manner, Msat, Paid, PaymentHash, Preimage, Scheme, Secret};
use url::Url;

use crate::origin::Origin;
use crate::request::Request;
use crate::target::Target;

pub use entry::{Adopted, Entry};
pub use error::WalletError;
pub use ledger::{Ledger, Reserve};
pub use memory::MemoryWallet;
pub use seal::{KeyError, KeySource, WalletKey};
pub use sqlite::SqliteWallet;
pub use turn::Turn;

/// How many tokens of other paths a wallet finds for a request: a server that sells one token for
/// each of a million paths does not make each request slower than the one before.
pub const MOST_OTHERS: usize = 64;

/// The buyer's books. What [`begin`](Self::begin) and [`finish`](Self::finish) wrote is on disk when
/// they return, in a wallet that has a disk.
///
/// A payment is *begun* before the money leaves and *finished* when the proof is there. One that is
/// begun and not finished may have been paid: only the node knows, and it is asked before anything
/// else is bought from there. Nothing that was finished is ever deleted.
#[async_trait]
pub trait Wallet: Ledger + fmt::Debug + Send + Sync {
    /// Waits until nobody else buys from this origin with this wallet, in this process or another
    /// one, and keeps it so until the turn is dropped or its process ends. `waiting` is called once
    /// when there is somebody to wait for.
    async fn turn(
        &self,
        origin: &Origin,
        waiting: &(dyn Fn() + Send + Sync),
    ) -> Result<Turn, WalletError>;

    /// What was finished for this origin and is not [`Standing::Quarantined`], the newest first:
    /// everything that was bought for `path`, and of the rest the newest [`MOST_OTHERS`].
    async fn find(&self, origin: &Origin, path: &str) -> Result<Vec<Token>, WalletError>;

    /// What was begun and not finished, the oldest first; of one origin, or of all.
    async fn pending(&self, origin: Option<&Origin>) -> Result<Vec<Purchase>, WalletError>;

    /// Writes down what is about to be paid for, and sets aside what it may cost, both or neither.
    /// Of what is begun once more the record stays, and of the two sums the larger is set aside.
    ///
    /// # Errors
    /// [`WalletError::OverLimit`] when a limit does not allow it, [`WalletError::AlreadyPaid`] when a
    /// payment of that hash was finished earlier, and [`WalletError::WrongTurn`] when one was begun
    /// for another origin.
    async fn begin(
        &self,
        turn: &Turn,
        purchase: &Purchase,
        reserve: Reserve<'_>,
    ) -> Result<(), WalletError>;

    /// Writes down the proof, and what was spent. Finishing once more changes nothing.
    ///
    /// # Errors
    /// [`WalletError::NotBegun`].
    async fn finish(
        &self,
        turn: &Turn,
        hash: PaymentHash,
        paid: &Paid,
        at: SystemTime,
    ) -> Result<Receipt, WalletError>;

    /// Strikes out a payment that was begun and, by the node's word, not made, and gives back what was
    /// set aside. What was finished stays.
    async fn forget(&self, turn: &Turn, hash: PaymentHash) -> Result<(), WalletError>;

    /// Writes down what the server made of a token.
    async fn judge(&self, hash: PaymentHash, standing: Standing) -> Result<(), WalletError>;

    /// Every payment, begun or finished, the newest first.
    async fn entries(&self) -> Result<Vec<Entry>, WalletError>;

    /// The payment of that hash.
    async fn entry(&self, hash: PaymentHash) -> Result<Option<Entry>, WalletError>;

    /// Takes over what another wallet knows, all of it or nothing. What is here already stays as it
    /// is, but for what was begun here and is proven there. What was paid elsewhere counts against no
    /// limit; what was begun elsewhere is set aside.
    async fn adopt(&self, entries: &[Entry]) -> Result<Adopted, WalletError>;

    /// Every payment that was finished, the newest first.
    async fn receipts(&self) -> Result<Vec<Receipt>, WalletError> {
        let entries = self.entries().await?;
        Ok(entries.iter().filter_map(Entry::token).map(Token::receipt).collect())
    }
}

/// What is being bought: which request led to which challenge.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// Who issued the challenge.
    pub origin: Origin,
    /// The method of the request that it answered.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Which request it is, where the token is to be good for that one only.
    pub target: Option<Target>,
    /// The query of a request without a body, empty where it has none: by it the request can be sent
    /// again. Kept until an answer has come, because it may hold a secret.
    pub query: Option<Secret<String>>,
    /// Token and invoice.
    pub challenge: Challenge,
    /// Which node is to pay, where that was said: see [`PayerSource::name`](crate::PayerSource::name).
    pub node: Option<String>,
    /// When it was written down.
    pub begun_at: SystemTime,
}

/// A token that was paid for, with its proof.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who issued it.
    pub origin: Origin,
    /// The method of the request that it was bought for.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// Which request it was, where the token is good for that one only.
    pub target: Option<Target>,
    /// The query of a request without a body, empty where it has none: by it the request can be sent
    /// again. Kept until an answer has come, because it may hold a secret.
    pub query: Option<Secret<String>>,
    /// The scheme in which it was asked for.
    pub scheme: &'static dyn Scheme,
    /// To be sent back with the proof, letter for letter.
    pub token: l402::Token,
    /// Which payment it was bought by.
    pub hash: PaymentHash,
    /// What the invoice asked for, in millisatoshi.
    pub amount: Msat,
    /// The invoice; a token that another program has bought may come without.
    pub invoice: Option<Invoice>,
    /// Which node paid, where that was said.
    pub node: Option<String>,
    /// When the purchase was written down.
    pub begun_at: SystemTime,
    /// The proof.
    pub preimage: Preimage,
    /// What routing cost, in millisatoshi.
    pub fee: Msat,
    /// When the proof was written down.
    pub paid_at: SystemTime,
    /// What the server made of it so far.
    pub standing: Standing,
}

/// What a server made of a token that was paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Paid for; no answer to it is known.
    Fresh,
    /// It opened something.
    Honoured,
    /// It never opened anything, and was refused where it should have.
    InVain,
    /// Refused where it once was honoured, or given up: kept, and sent no more.
    Quarantined,
}

impl Standing {
    /// As it is written in a wallet and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Honoured => "honoured",
            Self::InVain => "in_vain",
            Self::Quarantined => "quarantined",
        }
    }

    /// The standing of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::Fresh, Self::Honoured, Self::InVain, Self::Quarantined];
        all.into_iter().find(|standing| standing.name() == name)
    }
}

/// What a client remembers of a payment. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Which payment.
    pub hash: PaymentHash,
    /// Who was paid.
    pub origin: Origin,
    /// The method of the request that it was for.
    pub method: Method,
    /// Its path, without the query.
    pub path: String,
    /// What the invoice asked for, in millisatoshi.
    pub amount: Msat,
    /// What routing cost on top, in millisatoshi.
    pub fee: Msat,
    /// What the seller said it was for. Hostile text: escape it before a terminal sees it.
    pub description: Option<String>,
    /// The scheme in which it was asked for.
    pub scheme: &'static str,
    /// When the proof was written down.
    pub paid_at: SystemTime,
    /// What the server made of the token.
    pub standing: Standing,
}

impl Purchase {
    /// Which payment.
    pub fn hash(&self) -> PaymentHash {
        self.challenge.invoice.payment_hash()
    }
}

impl Token {
    /// What a purchase has brought.
    pub fn bought(purchase: Purchase, paid: Paid, at: SystemTime) -> Self {
        let Purchase { origin, method, path, target, query, challenge, node, begun_at } = purchase;
        let Challenge { scheme, token, invoice, .. } = challenge;
        Self {
            origin,
            method,
            path,
            target,
            query,
            scheme,
            token,
            hash: invoice.payment_hash(),
            amount: invoice.amount(),
            invoice: Some(invoice),
            node,
            begun_at,
            preimage: paid.preimage,
            fee: paid.fee,
            paid_at: at,
            standing: Standing::Fresh,
        }
    }

    /// What opens what was paid for: the header's name and its value.
    pub fn credential(&self) -> (&'static HeaderName, HeaderValue) {
        let value = self.scheme.authorization(&self.token, &self.preimage);
        (self.manner().field.name(), value)
    }

    /// The request that it was bought for, where the wallet still knows it: one without a body that
    /// was not answered. Headers of the request's own are not kept.
    pub fn request(&self) -> Option<Request> {
        let query = self.query.as_ref()?.expose();
        let mut url: Url = self.origin.as_str().parse().ok()?;
        url.set_path(&self.path);
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        Request::new(self.method.clone(), url).ok()
    }

    /// Writes down what the server made of it. What was answered needs not be asked again.
    pub(crate) fn judge(&mut self, standing: Standing) {
        self.standing = standing;
        if standing == Standing::Honoured {
            self.query = None;
        }
    }

    /// How it is to be used.
    pub fn manner(&self) -> Manner {
        self.scheme.manner(&self.token)
    }

    /// What may be shown of it.
    pub fn receipt(&self) -> Receipt {
        Receipt {
            hash: self.hash,
            origin: self.origin.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            amount: self.amount,
            fee: self.fee,
            description: self.invoice.as_ref().and_then(Invoice::description),
            scheme: self.scheme.name(),
            paid_at: self.paid_at,
            standing: self.standing,
        }
    }
}
