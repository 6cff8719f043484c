//! The [`Invoicer`] of every node at the other end of a wire.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use l402::{Invoice, Invoicer, Msat, Network, NodeError, NodeErrorKind, PaymentHash};

use super::{Strange, strange};

/// The longest description that BOLT 11 has room for, in bytes.
const LONGEST_MEMO: usize = 639;

/// A node that makes invoices over a wire.
pub(crate) trait Issuer: fmt::Debug + Send + Sync + 'static {
    /// The driver's name in its errors.
    const NAME: &'static str;

    /// The network it is paid on.
    fn network(&self) -> Network;

    /// The text of a fresh invoice. The amount is above zero, the memo fits, and the expiry is a
    /// whole number of seconds above zero.
    fn issue(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> impl Future<Output = Result<String, NodeError>> + Send;

    /// Whether the node has told by itself that this invoice was paid, so that it need not be asked.
    fn has_told_of(&self, hash: PaymentHash) -> bool {
        let _ = hash;
        false
    }

    /// Whether that invoice was paid. `false` for a hash that the node never heard of.
    fn settled(&self, hash: PaymentHash) -> impl Future<Output = Result<bool, NodeError>> + Send;
}

/// A remote node as an [`Invoicer`].
#[derive(Debug)]
pub(crate) struct Invoicing<I>(pub(crate) Arc<I>);

/// Why no invoice was asked for.
#[derive(Debug, thiserror::Error)]
enum NotAsked {
    #[error("an invoice needs an amount above zero")]
    Nothing,
    #[error("the memo has {0} bytes, and an invoice has room for {LONGEST_MEMO}")]
    LongMemo(usize),
    #[error("an invoice must be payable for a second at least")]
    NoTime,
}

#[async_trait]
impl<I: Issuer> Invoicer for Invoicing<I> {
    fn network(&self) -> Network {
        self.0.network()
    }

    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError> {
        let expiry = Duration::from_secs(expiry.as_secs());
        let mistake = match () {
            () if amount == Msat::ZERO => Some(NotAsked::Nothing),
            () if memo.len() > LONGEST_MEMO => Some(NotAsked::LongMemo(memo.len())),
            () if expiry.is_zero() => Some(NotAsked::NoTime),
            () => None,
        };
        if let Some(mistake) = mistake {
            return Err(NodeError::new(I::NAME, NodeErrorKind::Refused).because(mistake));
        }
        let text = self.0.issue(amount, memo, expiry).await?;
        let invoice =
            Invoice::parse(&text).map_err(|error| strange(I::NAME, Strange::Invoice(error)))?;
        let (got, network) = (invoice.amount(), invoice.network());
        if (got, network) != (amount, self.0.network()) {
            return Err(strange(I::NAME, Strange::OtherInvoice { asked: amount, got, network }));
        }
        Ok(invoice)
    }

    async fn is_settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        Ok(self.0.has_told_of(hash) || self.0.settled(hash).await?)
    }
}
