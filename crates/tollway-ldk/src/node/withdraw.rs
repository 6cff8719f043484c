//! Money leaves the on-chain wallet for an address of somebody else's, or of one's own elsewhere.

use bitcoin::address::{Address, NetworkUnchecked};
use bitcoin::{FeeRate, ScriptBuf, Transaction, Txid};
use l402::{Network, Sat};
use lightning::chain::chaininterface::BroadcasterInterface;

use super::terms::bitcoin_network;
use super::{EmbeddedNode, reserve};
use crate::onchain::WalletError;

/// Money was not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WithdrawError {
    /// An address of another network. What is sent there is lost.
    #[error("the address is not one of {0}")]
    OtherNetwork(Network),
    /// What the channels may need would be gone.
    #[error(
        "{left} would be left on the chain, and {reserve} must stay there to close channels with; send \
         less, or close channels first"
    )]
    Reserve {
        /// What would be left, before the fee.
        left: Sat,
        /// What must be left.
        reserve: Sat,
    },
    /// The chain source does not answer, so nobody would hear of it.
    #[error("nothing is sent while the chain cannot be followed: {0}")]
    ChainDown(String),
    /// Too little, or the node's file failed.
    #[error(transparent)]
    Wallet(#[from] WalletError),
}

/// What a withdrawal would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawQuote {
    /// What would arrive.
    pub amount: Sat,
    /// The fee.
    pub fee: Sat,
    /// Its rate, in whole satoshi for each virtual byte: a withdrawal at this rate costs as much.
    pub sat_per_vbyte: u32,
}

impl EmbeddedNode {
    /// What [`EmbeddedNode::withdraw`] would cost. Nothing is sent and nothing is kept aside.
    ///
    /// # Errors
    /// See [`WithdrawError`].
    pub fn quote_withdrawal(
        &self,
        to: Address<NetworkUnchecked>,
        amount: Option<Sat>,
        sat_per_vbyte: Option<u32>,
    ) -> Result<WithdrawQuote, WithdrawError> {
        let script = self.may_withdraw(to, amount)?;
        let sat_per_vbyte = self.rate(sat_per_vbyte);
        let quote = self.core().wallet.quote(script, amount, feerate(sat_per_vbyte))?;
        let (amount, fee) = quote;
        Ok(WithdrawQuote { amount, fee, sat_per_vbyte })
    }

    /// Sends on-chain money; no `amount` sends all of it, less the fee, and no rate is the one that
    /// should take it into a block soon. Gives the transaction's id when it is written down and on its
    /// way: it is sent again until a block has it.
    ///
    /// # Errors
    /// See [`WithdrawError`]. Then nothing was sent.
    pub fn withdraw(
        &self,
        to: Address<NetworkUnchecked>,
        amount: Option<Sat>,
        sat_per_vbyte: Option<u32>,
    ) -> Result<Txid, WithdrawError> {
        let script = self.may_withdraw(to, amount)?;
        let core = self.core();
        let feerate = feerate(self.rate(sat_per_vbyte));
        let transaction: Transaction = match amount {
            Some(amount) => core.wallet.fund(script, amount, feerate)?,
            None => core.wallet.empty(script, feerate)?,
        };
        core.broadcaster.broadcast_transactions(&[&transaction]);
        Ok(transaction.compute_txid())
    }

    /// The rate to use: the one that was asked for, or the chain source's, rounded up.
    fn rate(&self, asked: Option<u32>) -> u32 {
        let soon = || self.core().feerates.soon().to_sat_per_vb_ceil();
        asked.unwrap_or_else(|| u32::try_from(soon()).unwrap_or(u32::MAX))
    }

    /// Whether it may be sent there and what stays is enough; the script of the address.
    fn may_withdraw(
        &self,
        to: Address<NetworkUnchecked>,
        amount: Option<Sat>,
    ) -> Result<ScriptBuf, WithdrawError> {
        let core = self.core();
        let network = core.network;
        let to = to.require_network(bitcoin_network(network));
        let script = to.map_err(|_| WithdrawError::OtherNetwork(network))?.script_pubkey();
        if let Some(trouble) = core.health.trouble() {
            return Err(WithdrawError::ChainDown(trouble));
        }
        let has = core.wallet.balance().confirmed;
        let reserve = reserve::for_channels(core.manager.list_channels().len());
        let left = amount.map_or(Sat::from_sat(0), |amount| {
            Sat::from_sat(has.sat().saturating_sub(amount.sat()))
        });
        if left < reserve {
            return Err(WithdrawError::Reserve { left, reserve });
        }
        Ok(script)
    }
}

fn feerate(sat_per_vbyte: u32) -> FeeRate {
    FeeRate::from_sat_per_vb_u32(sat_per_vbyte)
}
