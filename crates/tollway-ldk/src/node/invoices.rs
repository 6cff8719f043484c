//! Being paid. An invoice is built and signed from the node's keys, and nothing is written for it:
//! whether a payment is for one of ours is read from the payment itself, when it comes.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bitcoin::hashes::{Hash, sha256};
use l402::{Invoice, Invoicer, Msat, Network, NodeError, NodeErrorKind, PaymentHash};
use lightning::ln::channelmanager::MIN_FINAL_CLTV_EXPIRY_DELTA;
use lightning::ln::inbound_payment;
use lightning::routing::router::RouteHint;
use lightning::sign::{NodeSigner, Recipient};
use lightning_invoice::{Currency, Description, InvoiceBuilder};

use super::pay::storage;
use super::{DRIVER, EmbeddedNode};
use crate::payments::Received;

#[async_trait]
impl Invoicer for EmbeddedNode {
    fn network(&self) -> Network {
        self.core().network
    }

    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError> {
        let core = self.core();
        core.check()?;
        if !core.needs_provider(amount) {
            return self.build(amount, memo, expiry, &core.hints.get(&core.manager));
        }
        let bought = core.buy_channel(amount).await?;
        let invoice = self.build(amount, memo, expiry, &[bought.hint])?;
        core.agree_on_fee(invoice.payment_hash(), bought.fee).map_err(storage)?;
        Ok(invoice)
    }

    async fn is_settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let received = self.core().store.received(hash).map_err(storage)?;
        Ok(matches!(received, Some(Received::Claimed(_))))
    }
}

impl EmbeddedNode {
    fn build(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
        hints: &[RouteHint],
    ) -> Result<Invoice, NodeError> {
        let core = self.core();
        let refused = |why: &str| NodeError::new(DRIVER, NodeErrorKind::Refused).because(why);
        if amount == Msat::ZERO {
            return Err(refused("an invoice for nothing; ask for at least 1 msat"));
        }
        let seconds = u32::try_from(expiry.as_secs())
            .map_err(|_| refused("the invoice's expiry is longer than 136 years"))?;
        let description = Description::new(memo.to_owned())
            .map_err(|_| refused("the invoice's memo is longer than 639 bytes"))?;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| refused("the clock is before 1970; set it"))?;
        let (hash, secret) = inbound_payment::create(
            &core.keys.get_expanded_key(),
            Some(amount.msat()),
            seconds,
            &core.keys,
            now.as_secs(),
            None,
        )
        .map_err(|()| refused("the amount is more than all bitcoin"))?;
        let builder = InvoiceBuilder::new(currency(core.network))
            .description(description.into_inner().0)
            .duration_since_epoch(now)
            .payee_pub_key(core.id)
            .payment_hash(sha256::Hash::from_byte_array(hash.0))
            .payment_secret(secret)
            .basic_mpp()
            .min_final_cltv_expiry_delta(MIN_FINAL_CLTV_EXPIRY_DELTA.into())
            .expiry_time(expiry)
            .amount_milli_satoshis(amount.msat());
        let builder = hints.iter().cloned().fold(builder, InvoiceBuilder::private_route);
        let failed = |e: &dyn std::fmt::Debug| {
            NodeError::new(DRIVER, NodeErrorKind::Protocol).because(format!("{e:?}"))
        };
        let raw = builder.build_raw().map_err(|e| failed(&e))?;
        let signature = core.keys.sign_invoice(&raw, Recipient::Node);
        let signed = raw.sign(|_| signature).map_err(|()| failed(&"the key did not sign"))?;
        Invoice::issued(&signed).map_err(|e| failed(&e))
    }
}

fn currency(network: Network) -> Currency {
    match network {
        Network::Mainnet => Currency::Bitcoin,
        Network::Testnet => Currency::BitcoinTestnet,
        Network::Signet => Currency::Signet,
        Network::Regtest => Currency::Regtest,
    }
}
