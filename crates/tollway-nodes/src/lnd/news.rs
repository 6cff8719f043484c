//! lnd tells of payments in a stream, from a count of theirs on (`SubscribeInvoices` with its
//! `settle_index`); from the count zero on, only what comes.

use std::time::Duration;

use l402::NodeError;
use tokio::time::timeout;

use super::rest::Rest;
use super::wire::Changed;
use super::{NAME, macaroon};
use crate::http::Call;
use crate::remote::{Heard, Teller};

/// A stream that is silent for so long is asked for anew: its connection may be dead without a word.
const QUIET: Duration = Duration::from_secs(300);

impl Teller for Rest {
    const NAME: &'static str = NAME;

    async fn tell(&self, heard: &Heard) -> Result<(), NodeError> {
        let call = Call::get(format!("/v1/invoices/subscribe?settle_index={}", heard.count()));
        let asked = timeout(QUIET, self.messages(call, macaroon::SUBSCRIBE)).await;
        let Ok(messages) = asked else { return Ok(()) };
        let mut messages = messages?;
        while let Ok(changed) = timeout(QUIET, messages.next::<Changed>()).await {
            let Some(changed) = changed? else { break };
            if let Some((hash, count)) = changed.settled() {
                heard.add(hash, count);
            }
        }
        Ok(())
    }
}
