//! The client: an HTTP client, a wallet, a node that may never be opened, and what the caller agrees
//! to. What it does with them is in `fetch.rs`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use bytes::Bytes;
use l402::{Budget, Msat, Payer, PaymentHash};
use tokio::sync::OnceCell;
use tower::Service;
use url::Url;

use crate::builder::ClientBuilder;
use crate::error::Error;
use crate::observe::{Observer, Unobserved};
use crate::origin::Origin;
use crate::payer::PayerSource;
use crate::policy::{Account, Approver, Policy};
use crate::quote::Quote;
use crate::redirect::{self, Errand};
use crate::request::Request;
use crate::response::Response;
use crate::resume::Ending;
use crate::terms::Terms;
use crate::wallet::{Entry, Purchase, Receipt, Wallet};
use crate::way::{Given, RequestBody, Way};
use crate::wire::Wire;

/// Sends requests, and pays for those that ask for it. Clones share everything: connections, wallet,
/// node and budget.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
}

/// What all requests of a client have in common.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) wire: Wire,
    pub(crate) wallet: Arc<dyn Wallet>,
    pub(crate) terms: Terms,
    pub(crate) policy: Policy,
    pub(crate) approver: Option<Arc<dyn Approver>>,
    pub(crate) allow_plain_http: bool,
    pub(crate) second_authorization: bool,
    pub(crate) node: Arc<NodeSlot>,
    pub(crate) budget: Arc<Mutex<Budget>>,
}

/// A node that is opened at most once.
#[derive(Default)]
pub(crate) struct NodeSlot {
    pub(crate) source: Option<Box<dyn PayerSource>>,
    pub(crate) opened: OnceCell<Arc<dyn Payer>>,
}

impl Client {
    /// A client that keeps its books in `wallet` and pays within `terms`, once it is given a node.
    pub fn builder(wallet: Arc<dyn Wallet>, terms: Terms) -> ClientBuilder {
        ClientBuilder::new(wallet, terms)
    }

    /// Sends a request. If payment is asked and the terms allow it, pays once and sends the request
    /// once more. Dropping the future changes nothing about a payment that was begun: it is in the
    /// wallet, and the next call for the same thing ends it.
    ///
    /// A response of any status is a response, but for a 402 and for a 401 that refuses the proof of
    /// a payment.
    ///
    /// # Errors
    /// See [`Error`], and [`Error::money_moved`] for what became of the money.
    pub async fn fetch(&self, request: &Request) -> Result<Response, Error> {
        self.fetch_observed(request, &Unobserved).await
    }

    /// As [`Client::fetch`], and tells `observer` of each step.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub async fn fetch_observed(
        &self,
        request: &Request,
        observer: &dyn Observer,
    ) -> Result<Response, Error> {
        match self.run(request, observer, Errand::Fetch).await? {
            Quote::Answered(response) => Ok(*response),
            Quote::Price(_) => unreachable!("a fetch ends with a response"),
        }
    }

    /// Sends a request, and where payment is asked says what would be paid instead of paying it. The
    /// request is sent as it is: what is free, or opened by a token in the wallet, is done.
    ///
    /// The node is not opened, and needs not be there.
    ///
    /// # Errors
    /// As [`Client::fetch`]: what the terms or the budget do not allow is an error here too.
    pub async fn quote(&self, request: &Request) -> Result<Quote, Error> {
        self.run(request, &Unobserved, Errand::Quote).await
    }

    /// Sends a request once more that was paid for and brought no answer, with the token of that
    /// `payment`, also where no call has used it yet. Nothing is paid: where it is asked again, the
    /// price is returned. The request is the one of [`Token::request`](crate::Token::request), with
    /// the headers that it needs.
    ///
    /// # Errors
    /// As [`Client::fetch`]. [`Error::StillRefused`] when the server does not take the proof.
    pub async fn collect(
        &self,
        request: &Request,
        payment: PaymentHash,
        observer: &dyn Observer,
    ) -> Result<Quote, Error> {
        self.run(request, observer, Errand::Collect(payment)).await
    }

    async fn run(
        &self,
        request: &Request,
        observer: &dyn Observer,
        errand: Errand,
    ) -> Result<Quote, Error> {
        request.check()?;
        // The future holds a whole conversation: on the heap it does not weigh on the caller's.
        Box::pin(redirect::follow(&self.shared, request, observer, errand)).await
    }

    /// The same client with another wallet: its own tokens and its own turn to buy, over the same
    /// connections, with the same node and a budget of its own as large as this one's was.
    #[must_use]
    pub fn with_wallet(&self, wallet: Arc<dyn Wallet>) -> Self {
        let budget = Budget::new(self.shared.budget().whole());
        let budget = Arc::new(Mutex::new(budget));
        Self { shared: Arc::new(Shared { wallet, budget, ..Shared::clone(&self.shared) }) }
    }

    /// The same client by another way to the servers: a tower service in place of its own connections.
    /// Wallet, node, policy, budget and timeouts stay; proxies, TLS and cookies are the service's own
    /// business, and so is not following redirects.
    #[must_use]
    pub fn with_service<S, B>(&self, service: S) -> Self
    where
        S: Service<http::Request<RequestBody>, Response = http::Response<B>>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.with_way(Arc::new(Given::new(service)))
    }

    pub(crate) fn with_way(&self, way: Arc<dyn Way>) -> Self {
        let wire = self.shared.wire.by(way);
        Self { shared: Arc::new(Shared { wire, ..Shared::clone(&self.shared) }) }
    }

    /// What this client's calls have spent so far, routing included, in millisatoshi.
    pub fn spent(&self) -> Msat {
        self.shared.budget().spent()
    }

    /// What is set aside for payments whose end is not known, in millisatoshi.
    pub fn held(&self) -> Msat {
        self.shared.budget().held()
    }

    /// How the limits stand, those of the policy and those that the wallet itself keeps.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let limits = &self.shared.policy.limits;
        Ok(self.shared.wallet.accounts(limits, SystemTime::now()).await?)
    }

    /// The most that another payment to the origin of that URL may cost, routing included, in
    /// millisatoshi: by the client's budget, by the policy's limits and by the wallet's. `None` where
    /// nothing limits it. A limit's own rules on a single payment are not in it.
    ///
    /// # Errors
    /// The wallet cannot be read, or the URL has no origin.
    pub async fn left_for(&self, url: &Url) -> Result<Option<Msat>, Error> {
        let origin = Origin::of(url)?;
        let own = self.shared.wallet.limits().await?;
        let limits = self.shared.policy.limits.iter().chain(own.iter().map(|(_, limit)| limit));
        // Of one that each host has for itself there is no account before anything counts.
        let whole = limits.filter(|limit| limit.counts(origin.host())).map(|limit| limit.most);
        let accounts = self.accounts().await?;
        let accounts = accounts.iter().filter(|account| {
            let others = account.host.as_deref().is_some_and(|host| host != origin.host());
            account.limit.counts(origin.host()) && !others
        });
        let least = whole.chain(accounts.map(Account::left)).min();
        let budget = self.shared.budget();
        let in_hand = (budget.whole() < Msat::SUPPLY).then(|| budget.left());
        Ok([least, in_hand].into_iter().flatten().min())
    }

    /// The payment of that hash, as far as it got.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub async fn entry(&self, hash: PaymentHash) -> Result<Option<Entry>, Error> {
        Ok(self.shared.wallet.entry(hash).await?)
    }

    /// Every payment in the wallet that was made, the newest first.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub async fn receipts(&self) -> Result<Vec<Receipt>, Error> {
        Ok(self.shared.wallet.receipts().await?)
    }

    /// Every payment in the wallet that was begun and whose end is not written down, the oldest
    /// first.
    ///
    /// # Errors
    /// The wallet cannot be read.
    pub async fn pending(&self) -> Result<Vec<Purchase>, Error> {
        Ok(self.shared.wallet.pending(None).await?)
    }

    /// Asks the node how each of them ended, and writes that down. Nothing is paid and nothing is
    /// sent to a server: this is for payments whose request will not be made again.
    ///
    /// # Errors
    /// The node cannot be opened, or the wallet fails. What was learned by then is written down.
    pub async fn settle(&self) -> Result<Vec<Ending>, Error> {
        self.shared.settle().await
    }
}

impl Shared {
    /// The node, opened if it is not.
    pub(crate) async fn payer(&self) -> Result<Arc<dyn Payer>, Error> {
        let source = self.node.source.as_ref().ok_or(Error::NoPayer)?;
        let opened = self.node.opened.get_or_try_init(|| source.open()).await?;
        Ok(Arc::clone(opened))
    }

    /// What tells the node from others.
    pub(crate) fn node_name(&self) -> Option<String> {
        self.node.source.as_ref().and_then(|source| source.name())
    }

    /// The node, if it is open.
    pub(crate) fn open_payer(&self) -> Option<&Arc<dyn Payer>> {
        self.node.opened.get()
    }

    /// Held for a sum, never while something is waited for.
    pub(crate) fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().expect("nothing panics under this lock")
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("wallet", &self.wallet)
            .field("terms", &self.terms)
            .field("payer", &self.open_payer())
            .finish_non_exhaustive()
    }
}
