//! How to reach a node whose channels nobody else knows: the route hints that go into its invoices
//! (BOLT 11, field `r`).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lightning::ln::channel_state::ChannelDetails;
use lightning::ln::channelmanager::Bolt11InvoiceParameters;
use lightning::routing::router::RouteHint;

use crate::types::Manager;

/// A peer may change its fees without our being told more than that; hints older than this are made
/// anew. Making them looks at every channel, which an invoice should not.
const FRESH: Duration = Duration::from_secs(1);

/// The hints of the moment.
#[derive(Debug, Default)]
pub(crate) struct Hints(Mutex<Option<(Instant, Arc<[RouteHint]>)>>);

impl Hints {
    /// A channel has come or gone.
    pub(crate) fn forget(&self) {
        *self.0.lock().expect("no panic while held") = None;
    }

    /// What LDK would put into an invoice of ours now.
    pub(crate) fn get(&self, manager: &Manager) -> Arc<[RouteHint]> {
        let mut kept = self.0.lock().expect("no panic while held");
        match &*kept {
            Some((made, hints)) if made.elapsed() < FRESH => Arc::clone(hints),
            _ => {
                let invoice = manager.create_bolt11_invoice(Bolt11InvoiceParameters::default());
                let hints: Arc<[_]> = invoice.map(|i| i.route_hints()).unwrap_or_default().into();
                let complete = manager.list_usable_channels().iter().all(is_introduced);
                *kept = complete.then(|| (Instant::now(), Arc::clone(&hints)));
                hints
            }
        }
    }
}

/// Whether the peer has told what it takes for forwarding to us: before that nobody can be told how
/// to reach us through it.
pub(super) fn is_introduced(channel: &ChannelDetails) -> bool {
    channel.counterparty.forwarding_info.is_some()
}
