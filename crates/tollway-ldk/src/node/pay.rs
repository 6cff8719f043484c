//! Spending: a payment is written as begun before LDK hears of it, and every end is on the disk
//! before anybody is told.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use l402::{
    Msat, Network, NodeError, NodeErrorKind, Outcome, Paid, PayError, PayOrder, Payer, PaymentHash,
    Why,
};
use lightning::events::PaymentFailureReason;
use lightning::ln::channelmanager::{Bolt11PaymentError, PaymentId, Retry, RetryableSendFailure};
use lightning::routing::router::RouteParametersConfig;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::core::Core;
use super::waits::{End, Order, Stage};
use super::{DRIVER, EmbeddedNode};
use crate::payments::{Sent, Standing};

/// How long a payment waits for a peer of ours to come back before it is said to have no route.
const RECONNECT: Duration = Duration::from_secs(15);
/// The longest it takes to see that a channel has become usable: LDK does not tell.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a payment that came back waits before it is sent again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// So often it is twice as long, and then it stays so.
const LONGEST_PAUSE_AFTER: u32 = 8;
/// How long the end of a payment that was not sent may take to be on the disk.
const LAST_WORD: Duration = Duration::from_secs(5);
/// The longest time in which LDK may try other paths.
const LONGEST_RETRY: Duration = Duration::from_secs(60);

#[async_trait]
impl Payer for EmbeddedNode {
    fn network(&self) -> Network {
        self.core().network
    }

    async fn pay(&self, order: PayOrder<'_>) -> Result<Paid, PayError> {
        let (core, hash) = (self.core(), order.invoice.payment_hash());
        let mut end = match core.begin(order)? {
            Begun::Ended(paid) => return Ok(paid),
            Begun::UnderWay(end) => end,
        };
        let unknown = |source| PayError::Unknown { hash, source };
        let ended = match tokio::time::timeout(order.patience, &mut end).await {
            Ok(ended) => Some(ended),
            Err(_) => core.last_word(hash, &mut end).await,
        };
        match ended {
            Some(Ok(End::Paid(paid))) => Ok(paid),
            Some(Ok(End::NotPaid(why))) => Err(PayError::NotPaid { why, source: None }),
            Some(Ok(End::Stopped) | Err(_)) => {
                let why = core.check().err();
                Err(unknown(why.unwrap_or_else(|| NodeError::new(DRIVER, NodeErrorKind::Timeout))))
            }
            None => Err(unknown(NodeError::new(DRIVER, NodeErrorKind::Timeout))),
        }
    }

    async fn outcome(&self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        self.core().check()?;
        Ok(match self.core().payments.standing(hash).map_err(storage)? {
            Standing::Pending => Outcome::Pending,
            Standing::Paid(paid) => Outcome::Paid(paid),
            Standing::Unheard | Standing::NotPaid => Outcome::NotPaid,
        })
    }
}

enum Begun {
    Ended(Paid),
    UnderWay(oneshot::Receiver<End>),
}

impl Core {
    /// Joins a payment, or begins it.
    fn begin(self: &Arc<Self>, order: PayOrder<'_>) -> Result<Begun, PayError> {
        let (invoice, hash) = (order.invoice, order.invoice.payment_hash());
        let not_paid = |why| Err(PayError::NotPaid { why, source: None });
        let unknown = |source| PayError::Unknown { hash, source };
        if invoice.network() != self.network {
            return not_paid(Why::WrongNetwork);
        }
        self.check().map_err(unknown)?;
        let mut deciding = self.waits.decide();
        if let Some(end) = deciding.join(hash) {
            return Ok(Begun::UnderWay(end));
        }
        match self.payments.standing(hash).map_err(|e| unknown(storage(e)))? {
            Standing::Paid(paid) => return Ok(Begun::Ended(paid)),
            Standing::Pending => return Ok(Begun::UnderWay(deciding.begin(hash, None))),
            Standing::Unheard | Standing::NotPaid => {}
        }
        if !invoice.is_live(SystemTime::now(), Duration::ZERO) {
            return not_paid(Why::Expired);
        }
        if invoice.payee().0 == self.id.serialize() {
            // A payment to oneself needs no channel, and Lightning has no way to make one.
            return not_paid(Why::NoRoute);
        }
        let order = Order {
            invoice: invoice.clone(),
            max_fee: order.max_fee,
            deadline: Instant::now() + order.patience,
            came_back: 0,
        };
        self.payments.note_sent(hash, Sent::Begun { amount: invoice.amount() });
        let end = deciding.begin(hash, Some(order.clone()));
        drop(deciding);
        // On its own, so that dropping `pay` changes nothing about the payment.
        self.spawn(Arc::clone(self).send(order));
        Ok(Begun::UnderWay(end))
    }

    /// What can be said when patience has run out. An order that was never sent has that same
    /// deadline: then its end is being written, and is worth a moment.
    async fn last_word(
        &self,
        hash: PaymentHash,
        end: &mut oneshot::Receiver<End>,
    ) -> Option<Result<End, oneshot::error::RecvError>> {
        let since = Instant::now();
        while since.elapsed() < LAST_WORD {
            match self.waits.stage(hash) {
                Some(Stage::Sent) => break,
                // The order of somebody with more patience.
                Some(Stage::Waiting { until }) if until > since => break,
                Some(Stage::Waiting { .. } | Stage::Trying) | None => {}
            }
            if let Ok(ended) = tokio::time::timeout(LOOK_AGAIN, &mut *end).await {
                return Some(ended);
            }
        }
        None
    }

    /// Hands one payment to LDK, when there is room and a way.
    async fn send(self: Arc<Self>, order: Order) {
        let hash = order.invoice.payment_hash();
        if !self.waits.slot(hash, order.deadline).await {
            return self.give_up(hash, Why::Refused);
        }
        let reconnected_by = order.deadline.min(Instant::now() + RECONNECT);
        while self.check().is_ok() {
            let changed = self.changed.notified();
            // Asked before as well as after: what was in the way may be gone by then, and then the
            // next attempt succeeds.
            let (in_flight, reconnecting) = (self.waits.in_flight() > 0, self.is_reconnecting());
            let why = match self.hand_over(&order) {
                Ok(()) => return,
                Err(why) => why,
            };
            let no_way_yet = match why {
                Why::NoRoute | Why::Balance if in_flight || self.waits.in_flight() > 0 => {
                    order.deadline
                }
                Why::NoRoute | Why::Balance if reconnecting || self.is_reconnecting() => {
                    reconnected_by
                }
                _ => return self.give_up(hash, why),
            };
            if Instant::now() >= no_way_yet {
                return self.give_up(hash, why);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, changed).await;
        }
        self.waits.end(hash, End::Stopped);
    }

    /// Sends an order that came back, a while later.
    async fn send_again(self: Arc<Self>, order: Order) {
        let doublings = order.came_back.min(LONGEST_PAUSE_AFTER);
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(doublings)).await;
        self.send(order).await;
    }

    /// One attempt. An error means that nothing was sent.
    fn hand_over(&self, order: &Order) -> Result<(), Why> {
        let (invoice, hash) = (&order.invoice, order.invoice.payment_hash());
        let config = RouteParametersConfig {
            max_total_routing_fee_msat: Some(order.max_fee.msat()),
            ..RouteParametersConfig::default()
        };
        let no_way = || {
            if self.outbound() < invoice.amount() { Why::Balance } else { Why::NoRoute }
        };
        // Cheaper than LDK's own search, which a payment that waits for room repeats.
        if !self.has_room(invoice.amount()) {
            return Err(no_way());
        }
        let left = order.deadline.saturating_duration_since(Instant::now());
        let retry = Retry::Timeout(left.min(LONGEST_RETRY));
        self.waits.reach(hash, Stage::Trying);
        let handed = self.manager.pay_for_bolt11_invoice(
            invoice.bolt11(),
            PaymentId(hash.0),
            None,
            config,
            retry,
        );
        let failure = match handed {
            Ok(()) => {
                self.waits.reach(hash, Stage::Sent);
                return Ok(());
            }
            Err(Bolt11PaymentError::SendingFailed(failure)) => failure,
            // We name no amount: the invoice has one.
            Err(Bolt11PaymentError::InvalidAmount) => RetryableSendFailure::RouteNotFound,
        };
        let why = match failure {
            // LDK has it already, from before a restart: its end will come.
            RetryableSendFailure::DuplicatePayment => {
                self.waits.reach(hash, Stage::Sent);
                return Ok(());
            }
            RetryableSendFailure::PaymentExpired => Why::Expired,
            RetryableSendFailure::OnionPacketSizeExceeded => Why::Refused,
            RetryableSendFailure::RouteNotFound => no_way(),
        };
        self.waits.reach(hash, Stage::Waiting { until: order.deadline });
        Err(why)
    }

    /// Nothing was sent, and nothing will be.
    fn give_up(&self, hash: PaymentHash, why: Why) {
        self.payments.note_sent(hash, Sent::Failed { why });
        if self.check().is_err() {
            self.waits.end(hash, End::Stopped);
        }
    }

    /// LDK says that every part of a payment came back. Another payment may have been in its way:
    /// then it is sent again, for as long as its order allows.
    pub(super) fn came_back(
        self: &Arc<Self>,
        hash: PaymentHash,
        reason: Option<PaymentFailureReason>,
    ) {
        let why = why(reason);
        let Some(order) = self.waits.came_back(hash) else { return self.give_up(hash, why) };
        // What was in the way the first time may be gone by now.
        let in_the_way =
            order.came_back == 1 || self.waits.in_flight() > 0 || self.is_reconnecting();
        if why == Why::NoRoute && in_the_way && Instant::now() < order.deadline {
            self.spawn(Arc::clone(self).send_again(order));
        } else {
            self.give_up(hash, why);
        }
    }

    /// Whether a channel of ours only waits for its peer.
    fn is_reconnecting(&self) -> bool {
        let channels = self.manager.list_channels();
        channels.iter().any(|channel| channel.is_channel_ready && !channel.is_usable)
    }

    /// Whether our channels could send this much at this moment, before fees. A channel that has as
    /// many small payments under way as it may takes larger ones only.
    fn has_room(&self, amount: Msat) -> bool {
        let channels = self.manager.list_usable_channels();
        let takes =
            channels.iter().filter(|one| one.next_outbound_htlc_minimum_msat <= amount.msat());
        let room = takes.map(|channel| channel.next_outbound_htlc_limit_msat).sum();
        amount <= Msat::from_msat(room)
    }

    /// What our channels could send, before fees.
    pub(super) fn outbound(&self) -> Msat {
        let channels = self.manager.list_channels();
        Msat::from_msat(channels.iter().map(|channel| channel.outbound_capacity_msat).sum())
    }
}

pub(super) fn storage(error: rusqlite::Error) -> NodeError {
    NodeError::new(DRIVER, NodeErrorKind::Storage).because(error)
}

fn why(reason: Option<PaymentFailureReason>) -> Why {
    match reason {
        Some(
            PaymentFailureReason::RecipientRejected | PaymentFailureReason::UnknownRequiredFeatures,
        ) => Why::PayeeRefused,
        Some(
            PaymentFailureReason::PaymentExpired | PaymentFailureReason::InvoiceRequestExpired,
        ) => Why::Expired,
        Some(
            PaymentFailureReason::RouteNotFound
            | PaymentFailureReason::RetriesExhausted
            | PaymentFailureReason::BlindedPathCreationFailed,
        ) => Why::NoRoute,
        Some(
            PaymentFailureReason::UserAbandoned
            | PaymentFailureReason::UnexpectedError
            | PaymentFailureReason::InvoiceRequestRejected,
        )
        | None => Why::Refused,
    }
}
