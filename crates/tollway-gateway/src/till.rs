//! Asks for money: a price goes in, and out come an invoice from the node and a fresh token that
//! commits to it. The gateway can be paid here and cannot spend: all it holds is an [`Invoicer`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::request::Parts;
use l402::scheme::{Charge, ChargeKeys};
use l402::{Identifier, Invoice, Invoicer, Keyring, Macaroon, Msat, NodeError};

use crate::books::Books;
use crate::gate::Shut;
use crate::known::Known;
use crate::line::{Full, Line};
use crate::metrics::Metrics;
use crate::payment::{self, Binding};
use crate::rule::Terms;
use crate::store;
use crate::tariff::Tariff;
use crate::traces::Parent;

/// What is needed to ask for money and to know it when it was paid.
#[derive(Debug)]
pub(crate) struct Till {
    pub(crate) known: Known,
    pub(crate) invoicer: Arc<dyn Invoicer>,
    pub(crate) books: Arc<Books>,
    /// What one-time challenges are bound with.
    pub(crate) charge_keys: ChargeKeys,
    /// How long the node may take to make an invoice, the wait for a turn included.
    pub(crate) patience: Duration,
    /// Who waits for the node.
    line: Line,
    pub(crate) metrics: Arc<Metrics>,
}

/// What one request is asked for.
#[derive(Debug)]
pub(crate) struct Bill {
    /// Why the request did not pass as it came.
    pub(crate) why: Shut,
    /// What it is for.
    pub(crate) service: String,
    /// A token, and the invoice that pays for it.
    pub(crate) token: Option<(Macaroon, Invoice)>,
    /// A payment that is good for one request, and its invoice: the same, where one payment may
    /// well be used both ways.
    pub(crate) charge: Option<(Charge, Invoice)>,
}

/// What somebody is to be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    pub(crate) tariff: &'a Tariff,
    pub(crate) terms: &'a Terms,
    pub(crate) price: Msat,
    pub(crate) memo: &'a str,
    /// The request.
    pub(crate) head: &'a Parts,
    pub(crate) now: SystemTime,
    /// What the node's span is to hang on.
    pub(crate) parent: Option<&'a Parent>,
}

/// No bill could be made. That is our fault and never theirs, so nobody is asked to pay.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TillError {
    /// The node says why.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node says nothing.
    #[error("the node made no invoice within {0:?}")]
    Silent(Duration),
    /// More invoices are asked for than the node can make.
    #[error("more requests wait for an invoice than the node can make in time")]
    Full,
    /// What the node made is not what it was asked for; handing it out would sell at its price.
    #[error("the node was asked for an invoice over {asked} and made one over {made}")]
    WrongAmount {
        /// The price.
        asked: Msat,
        /// What the invoice says.
        made: Msat,
    },
    /// A one-time challenge cannot be made of it.
    #[error("no one-time challenge can be made for this request")]
    Charge,
    /// A token needs a random number.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Till {
    /// Keys, a node and books.
    pub(crate) fn new(
        keyring: Keyring,
        invoicer: Arc<dyn Invoicer>,
        books: Arc<Books>,
        patience: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let charge_keys = keyring.charge_keys();
        Self {
            known: Known::new(keyring),
            invoicer,
            books,
            charge_keys,
            patience,
            line: Line::default(),
            metrics,
        }
    }

    /// Asks for `price`, which must be above nothing, in the ways that service and client have.
    ///
    /// A plain token opens whatever a one-time payment at the same price opens, and more; so one
    /// invoice is enough for both. A counted one does not, and a price that is not in whole satoshis
    /// is rounded up for the one that counts in them: then there are two.
    pub(crate) async fn ask(&self, order: &Order<'_>, why: Shut) -> Result<Bill, TillError> {
        let Order { tariff, price, .. } = *order;
        let schemes = payment::wanted(tariff.schemes, order.head);
        let caveats = tariff.caveats(order.terms, order.now);
        let counted = caveats.iter().any(|caveat| caveat.starts_with("request_count="));
        let whole = price.sat_ceil().to_msat().unwrap_or(price);
        let shared = !counted && whole == price;
        let mut bill = Bill { why, service: tariff.name.clone(), token: None, charge: None };
        if schemes.l402 {
            let invoice = self.invoice(order, price).await?;
            bill.token = Some((self.token(order, &invoice, caveats)?, invoice));
        }
        if schemes.charge.is_some() {
            let invoice = match &bill.token {
                Some((_, invoice)) if shared => invoice.clone(),
                _ => self.invoice(order, whole).await?,
            };
            bill.charge = Some((self.charge(order, &invoice)?, invoice));
        }
        self.note(order, &bill);
        Ok(bill)
    }

    async fn invoice(&self, order: &Order<'_>, amount: Msat) -> Result<Invoice, TillError> {
        let (began, step) = (Instant::now(), order.parent.map(|parent| parent.step("invoice")));
        let made = async {
            let _turn = self.line.turn().await?;
            Ok(self.invoicer.invoice(amount, order.memo, order.tariff.invoice_expiry).await)
        };
        let made = match tokio::time::timeout(self.patience, made).await {
            Ok(Err(Full)) => return Err(TillError::Full),
            Ok(Ok(made)) => Ok(made),
            Err(late) => Err(late),
        };
        self.metrics.node.answered(matches!(made, Ok(Ok(_))), began.elapsed());
        if let Some(step) = step {
            step.answered(matches!(made, Ok(Ok(_))), None);
        }
        let invoice = made.map_err(|_| TillError::Silent(self.patience))??;
        match invoice.amount() == amount {
            true => Ok(invoice),
            false => Err(TillError::WrongAmount { asked: amount, made: invoice.amount() }),
        }
    }

    fn token(
        &self,
        order: &Order<'_>,
        invoice: &Invoice,
        caveats: Vec<String>,
    ) -> Result<Macaroon, TillError> {
        debug_assert!(order.price <= invoice.amount(), "nobody sells for less");
        let mut nonce = [0; 28];
        getrandom::fill(&mut nonce).map_err(TillError::Random)?;
        Ok(self.known.keyring().mint(invoice.payment_hash(), nonce, caveats))
    }

    fn charge(&self, order: &Order<'_>, invoice: &Invoice) -> Result<Charge, TillError> {
        let binding = Binding::of(order.tariff, order.head).ok_or(TillError::Charge)?;
        let end = order.now.checked_add(order.tariff.invoice_expiry);
        let end = end.into_iter().chain(invoice.expires_at()).min().ok_or(TillError::Charge)?;
        let charge = self.charge_keys.charge(&binding.offer(), order.price, invoice, end);
        charge.ok_or(TillError::Charge)
    }

    /// Writes down what was asked for.
    fn note(&self, order: &Order<'_>, bill: &Bill) {
        let entry = |invoice: &Invoice, token: Option<&Macaroon>| store::Bill {
            hash: invoice.payment_hash(),
            token: token
                .and_then(|token| Identifier::parse(token.identifier()).ok())
                .map(|found| found.token_id),
            service: bill.service.clone(),
            price: Some(invoice.amount()),
            issued: order.now,
            expires: invoice.expires_at(),
            settled: None,
        };
        if let Some((token, invoice)) = &bill.token {
            self.books.asked(|| entry(invoice, Some(token)));
        }
        if let Some((_, invoice)) = &bill.charge
            && bill.token.as_ref().is_none_or(|(_, other)| other != invoice)
        {
            self.books.asked(|| entry(invoice, None));
        }
    }
}
