//! Money leaves the on-chain wallet for an address of somebody else's, or of one's own elsewhere.

use bitcoin::address::{Address, NetworkUnchecked};
use bitcoin::{Transaction, Txid};
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

impl EmbeddedNode {
    /// Sends on-chain money; `None` sends all of it, less the fee. Gives the transaction's id when it is
    /// written down and on its way: it is sent again until a block has it.
    ///
    /// # Errors
    /// See [`WithdrawError`]. Then nothing was sent.
    pub fn withdraw(
        &self,
        to: Address<NetworkUnchecked>,
        amount: Option<Sat>,
    ) -> Result<Txid, WithdrawError> {
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
        let feerate = core.feerates.soon();
        let transaction: Transaction = match amount {
            Some(amount) => core.wallet.fund(script, amount, feerate)?,
            None => core.wallet.empty(script, feerate)?,
        };
        core.broadcaster.broadcast_transactions(&[&transaction]);
        Ok(transaction.compute_txid())
    }
}
