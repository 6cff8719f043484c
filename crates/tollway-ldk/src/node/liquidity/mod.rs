//! Channels that are bought when the first payment comes (LSPS2, bLIP-52): a liquidity provider opens
//! one to us as a payment to us arrives, and keeps its price out of that payment. Both sides are here:
//! [`buy`] for those who are paid, [`sell`] for those who open.

mod buy;
mod sell;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bitcoin::secp256k1::PublicKey;
use l402::{Msat, NodeId, Secret};
use lightning_liquidity::events::LiquidityEvent;
use lightning_liquidity::lsps0::ser::LSPSRequestId;
use lightning_liquidity::lsps2::client::LSPS2ClientConfig;
use lightning_liquidity::lsps2::event::LSPS2ClientEvent;
use lightning_liquidity::lsps2::msgs::LSPS2OpeningFeeParams;
use lightning_liquidity::lsps2::service::LSPS2ServiceConfig;
use lightning_liquidity::{LiquidityClientConfig, LiquidityServiceConfig};
use tokio::sync::oneshot;

use super::core::Core;
use crate::types::LiquidityManager;

/// A liquidity provider of ours, and what it may cost.
///
/// Its channels are taken at once, before their transaction is in a block: until then the money in
/// them is only as good as the provider.
#[derive(Clone, Debug)]
pub struct Lsp {
    /// Its public key.
    pub id: NodeId,
    /// Where it is dialled, as `host:port`.
    pub address: String,
    /// What it knows its customers by, if it asks for that.
    pub token: Option<Secret<String>>,
    /// The most that opening a channel may cost.
    pub max_fee: Msat,
    /// The most that it may cost in millionths of the payment that opens it.
    pub max_fee_ppm: u32,
}

impl Lsp {
    /// The limits when nothing else is said: 5,000 sat, and a fifth of the payment.
    pub const MAX_FEE: Msat = Msat::from_msat(5_000_000);
    /// In millionths.
    pub const MAX_FEE_PPM: u32 = 200_000;
}

/// What this node asks for when it opens channels to others as payments to them arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LspOffer {
    /// The least for one channel.
    pub min_fee: Msat,
    /// In millionths of the payment that opens the channel.
    pub fee_ppm: u32,
    /// The smallest payment that opens one.
    pub min_payment: Msat,
    /// The largest.
    pub max_payment: Msat,
}

/// What the provider answered to a question of ours.
type Reply = Result<Told, String>;

#[derive(Debug)]
enum Told {
    Menu(Vec<LSPS2OpeningFeeParams>),
    Hop { short_id: u64, cltv_delta: u32 },
}

/// The two sides, as far as they are in use.
pub(crate) struct Liquidity {
    manager: Arc<LiquidityManager>,
    lsp: Option<(PublicKey, Lsp)>,
    offer: Option<LspOffer>,
    asked: Mutex<HashMap<LSPSRequestId, oneshot::Sender<Reply>>>,
    /// Held while what has changed is written: two at once would count each other wrongly.
    writing: Mutex<()>,
}

/// What LDK's part is made with.
pub(super) fn client_config() -> LiquidityClientConfig {
    LiquidityClientConfig {
        lsps1_client_config: None,
        lsps2_client_config: Some(LSPS2ClientConfig {}),
        lsps5_client_config: None,
    }
}

/// The same for those who sell; `promise_secret` signs what is offered.
pub(super) fn service_config(promise_secret: [u8; 32]) -> LiquidityServiceConfig {
    LiquidityServiceConfig {
        lsps2_service_config: Some(LSPS2ServiceConfig { promise_secret }),
        lsps5_service_config: None,
        advertise_service: true,
    }
}

impl Liquidity {
    pub(super) fn new(
        manager: Arc<LiquidityManager>,
        lsp: Option<(PublicKey, Lsp)>,
        offer: Option<LspOffer>,
    ) -> Self {
        Self { manager, lsp, offer, asked: Mutex::default(), writing: Mutex::default() }
    }

    /// Whether a peer is our provider.
    pub(super) fn is_provider(&self, peer: &PublicKey) -> bool {
        self.lsp.as_ref().is_some_and(|(id, _)| id == peer)
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<LSPSRequestId, oneshot::Sender<Reply>>> {
        self.asked.lock().expect("no panic while held")
    }

    fn told(&self, question: &LSPSRequestId, reply: Reply) {
        if let Some(waiter) = self.asked().remove(question) {
            // Whoever stopped waiting has told its caller so.
            let _ = waiter.send(reply);
        }
    }

    /// Whether there is anything to look after.
    pub(super) fn is_in_use(&self) -> bool {
        self.lsp.is_some() || self.offer.is_some()
    }

    /// Waits for messages to send or something to write; for ever when not in use.
    pub(super) async fn changed(&self) {
        match self.is_in_use() {
            true => self.manager.get_pending_msgs_or_needs_persist_future().await,
            false => std::future::pending().await,
        }
    }
}

impl Core {
    /// Handles what has been said between us and providers or customers.
    pub(super) fn handle_liquidity(self: &Arc<Self>) {
        if !self.liquidity.is_in_use() {
            return;
        }
        for event in self.liquidity.manager.get_and_clear_pending_events() {
            match event {
                LiquidityEvent::LSPS2Client(event) => self.liquidity.answered(event),
                LiquidityEvent::LSPS2Service(event) => self.serve_liquidity(event),
                // Of parts of LSPS that are not in use.
                _ => {}
            }
        }
        let _writing = self.liquidity.writing.lock().expect("no panic while held");
        if let Err(error) = self.liquidity.manager.persist() {
            tracing::error!(%error, "what was agreed with customers cannot be written");
        }
    }
}

impl Liquidity {
    fn answered(&self, event: LSPS2ClientEvent) {
        use LSPS2ClientEvent as Event;
        match event {
            Event::OpeningParametersReady { request_id, opening_fee_params_menu, .. } => {
                self.told(&request_id, Ok(Told::Menu(opening_fee_params_menu)));
            }
            Event::InvoiceParametersReady {
                request_id, intercept_scid, cltv_expiry_delta, ..
            } => {
                let hop = Told::Hop { short_id: intercept_scid, cltv_delta: cltv_expiry_delta };
                self.told(&request_id, Ok(hop));
            }
            Event::GetInfoFailed { request_id, error, .. }
            | Event::BuyRequestFailed { request_id, error, .. } => {
                let why = format!("it says: {} (code {})", error.message, error.code);
                self.told(&request_id, Err(why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use crate::{Devnet, DevnetConfig};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_writer_and_the_heartbeat_may_both_look_after_it_at_once() {
        let devnet = Devnet::start(DevnetConfig::default()).await.unwrap();
        let provider = &devnet.nodes().last().unwrap().node;
        assert!(provider.core.liquidity.is_in_use());
        let look_after = || {
            let core = Arc::clone(&provider.core);
            thread::spawn(move || (0..20_000).for_each(|_| core.handle_liquidity()))
        };
        let threads: Vec<_> = (0..4).map(|_| look_after()).collect();
        for thread in threads {
            thread.join().expect("none stands in another's way");
        }
        devnet.stop().await;
    }
}
