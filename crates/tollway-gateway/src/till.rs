//! Asks for money: a price goes in, and out come an invoice from the node and a fresh token that
//! commits to it. The gateway can be paid here and cannot spend: all it holds is an [`Invoicer`].

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use l402::{Identifier, Invoice, Invoicer, Keyring, Macaroon, Msat, NodeError};

use crate::books::Books;
use crate::gate::Shut;
use crate::rule::Terms;
use crate::store;
use crate::tariff::Tariff;

/// What is needed to ask for money and to know it when it was paid.
#[derive(Debug)]
pub(crate) struct Till {
    pub(crate) keyring: Keyring,
    pub(crate) invoicer: Arc<dyn Invoicer>,
    pub(crate) books: Arc<Books>,
    /// How long the node may take to make an invoice.
    pub(crate) patience: Duration,
}

/// What one request is asked for.
#[derive(Debug)]
pub(crate) struct Bill {
    /// Why the request did not pass as it came.
    pub(crate) why: Shut,
    /// What it is for.
    pub(crate) service: String,
    pub(crate) token: Macaroon,
    pub(crate) invoice: Invoice,
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
    /// What the node made is not what it was asked for; handing it out would sell at its price.
    #[error("the node was asked for an invoice over {asked} and made one over {made}")]
    WrongAmount {
        /// The price.
        asked: Msat,
        /// What the invoice says.
        made: Msat,
    },
    /// A token needs a random number.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

impl Till {
    /// Asks for the price of a token for `tariff`, which must have one above nothing.
    pub(crate) async fn ask(
        &self,
        tariff: &Tariff,
        terms: &Terms,
        price: Msat,
        memo: &str,
        why: Shut,
        now: SystemTime,
    ) -> Result<Bill, TillError> {
        let made = self.invoicer.invoice(price, memo, tariff.invoice_expiry);
        let invoice = tokio::time::timeout(self.patience, made)
            .await
            .map_err(|_| TillError::Silent(self.patience))??;
        if invoice.amount() != price {
            return Err(TillError::WrongAmount { asked: price, made: invoice.amount() });
        }
        let mut nonce = [0; 28];
        getrandom::fill(&mut nonce).map_err(TillError::Random)?;
        let token = self.keyring.mint(invoice.payment_hash(), nonce, tariff.caveats(terms, now));
        self.books.asked(|| store::Bill {
            hash: invoice.payment_hash(),
            token: Identifier::parse(token.identifier()).ok().map(|found| found.token_id),
            service: tariff.name.clone(),
            price: Some(price),
            issued: now,
            settled: None,
        });
        Ok(Bill { why, service: tariff.name.clone(), token, invoice })
    }
}
