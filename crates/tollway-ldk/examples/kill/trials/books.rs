//! What the payer and the receiver say about each payment, compared.

use std::sync::Arc;
use std::time::{Duration, Instant};

use l402::{Invoice, Preimage};

use super::network::Network;
use super::words::{Ask, End};
use super::{Counts, Failure, MAX_FEE_MSAT};

/// How long a payment may stay in doubt after the restart.
const DOUBT: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(2);

/// One payment, and what its payer told when it ended, unless it died before that.
pub(crate) struct Payment {
    invoice: Invoice,
    msat: u64,
    told: Option<End>,
}

impl Payment {
    pub(crate) fn new(invoice: &str, msat: u64, told: Option<End>) -> Result<Self, Failure> {
        Ok(Self { invoice: invoice.parse()?, msat, told })
    }

    fn hash(&self) -> String {
        self.invoice.payment_hash().to_string()
    }
}

/// All payments of a run.
pub(crate) struct Books {
    network: Arc<Network>,
    pub(crate) payee: usize,
    payments: Vec<(Payment, End)>,
    /// What payer and payee could send before the first payment.
    before: (u64, u64),
}

impl Books {
    pub(crate) async fn open(network: Arc<Network>, payee: usize) -> Result<Self, Failure> {
        let before = (network.outbound(0).await?, network.outbound(payee).await?);
        Ok(Self { network, payee, payments: Vec::new(), before })
    }

    /// Finds out how a payment ended and whether both sides say the same. One that did not happen is
    /// ordered `again` if asked for, and must then be paid.
    pub(crate) async fn enter(
        &mut self,
        payment: Payment,
        again: bool,
        counts: &mut Counts,
    ) -> Result<(), Failure> {
        let mut end = self.end_of(&payment, counts).await?;
        match (&payment.told, &end) {
            (Some(told), end) if told != end => {
                let hash = payment.hash();
                return Err(format!("{hash}: {told:?} before the kill, {end:?} after it").into());
            }
            (Some(End::Paid { .. }), _) => counts.told_paid += 1,
            (Some(_), _) => counts.told_not_paid += 1,
            (None, End::Paid { .. }) => counts.found_paid += 1,
            (None, _) => counts.found_not_paid += 1,
        }
        self.both_agree(&payment, &end).await?;
        if payment.told.is_none() && end == End::NotPaid && again {
            let invoice = payment.invoice.to_string();
            let order = Ask::Pay { invoice, max_fee_msat: MAX_FEE_MSAT };
            end = self.network.node(0).end(order).await?;
            if end == End::NotPaid {
                return Err(format!("{} cannot be paid after a restart", payment.hash()).into());
            }
            self.both_agree(&payment, &end).await?;
            counts.paid_again += 1;
        }
        self.payments.push((payment, end));
        Ok(())
    }

    /// Asks the payer until the payment has ended.
    async fn end_of(&self, payment: &Payment, counts: &mut Counts) -> Result<End, Failure> {
        let (hash, started) = (payment.hash(), Instant::now());
        for asked in 0.. {
            let end = self.network.node(0).end(Ask::Outcome { hash: hash.clone() }).await?;
            if end != End::Pending {
                return Ok(end);
            }
            counts.first_pending += usize::from(asked == 0);
            if started.elapsed() > DOUBT {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        Err(format!("{hash} is in doubt {} s after the restart", DOUBT.as_secs()).into())
    }

    /// Paid is paid on both sides, and not paid on neither.
    async fn both_agree(&self, payment: &Payment, end: &End) -> Result<(), Failure> {
        let (hash, started) = (payment.hash(), Instant::now());
        let receiver = self.network.node(self.payee);
        let End::Paid { preimage, .. } = end else {
            return match receiver.is_settled(&hash).await? {
                true => Err(format!("{hash} is not paid, but the receiver has it").into()),
                false => Ok(()),
            };
        };
        let preimage: Preimage = preimage.parse()?;
        if !preimage.opens(payment.invoice.payment_hash()) {
            return Err(format!("{hash} was paid, but its preimage is another's").into());
        }
        while !receiver.is_settled(&hash).await? {
            if started.elapsed() > DOUBT {
                return Err(format!("{hash} is paid, but the receiver has not got it").into());
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }

    /// Asks after every payment once more, and counts the money.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        let (mut count, mut amount, mut fees) = (0, 0, 0);
        for (payment, end) in &self.payments {
            let now = self.network.node(0).end(Ask::Outcome { hash: payment.hash() }).await?;
            if now != *end {
                return Err(format!("{}: first {end:?}, later {now:?}", payment.hash()).into());
            }
            self.both_agree(payment, end).await?;
            if let End::Paid { fee_msat, .. } = end {
                (count, amount, fees) = (count + 1, amount + payment.msat, fees + fee_msat);
            }
        }
        let expected = (self.before.0 - amount - fees, self.before.1 + amount);
        let settled = |outbound| {
            move |state: &super::words::State| {
                state.channels.iter().map(|channel| channel.outbound_msat).sum::<u64>() == outbound
            }
        };
        self.network.until(0, "what it should have left", settled(expected.0)).await?;
        let receiver = self.network.until(self.payee, "what it was paid", settled(expected.1));
        let received = receiver.await?.received;
        if received != (count, amount) {
            let expected = (count, amount);
            return Err(format!("received {received:?} (count, msat), paid {expected:?}").into());
        }
        Ok(())
    }
}
