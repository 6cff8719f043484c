//! The blockchain as a node sees it: one seam, [`ChainSource`], and who can answer behind it.

mod address;
mod choose;
mod electrum;
mod esplora;
mod rpc;
mod simulated;
mod source;

use std::time::Duration;

use bitcoin::{BlockHash, FeeRate};
use lightning_transaction_sync::TxSyncError;

pub use address::ServerUrlError;
pub use choose::{ChainUrlError, ChosenChain};
pub use electrum::Electrum;
pub use esplora::Esplora;
pub use rpc::{Rpc, RpcUrlError};
pub use simulated::{
    BadBlock, ElectrumServer, EsploraServer, FaucetError, OpenChainError, Refusal, ReorgError,
    RpcLogin, RpcServer, Simulated,
};
pub use source::{Blocks, ChainError, ChainSource, Follow, Part, Tip, Transactions};

/// LDK's own floor, just above bitcoind's relay minimum of one satoshi per virtual byte.
const FLOOR: FeeRate = FeeRate::from_sat_per_kwu(253);
/// A wallet that is looked for has no more than so many unused addresses in a row.
const STOP_GAP: usize = 20;

/// Asks a server for its newest block every `poll` until that is not `seen`, or until it fails: whoever
/// asks it next is told how.
async fn polled<F>(poll: Duration, seen: BlockHash, newest: impl Fn() -> F)
where
    F: Future<Output = Result<BlockHash, ChainError>>,
{
    loop {
        match newest().await {
            Ok(tip) if tip != seen => return,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "the newest block cannot be asked for");
                return;
            }
        }
        tokio::time::sleep(poll).await;
    }
}

/// LDK's own client says no more than that it failed; it has logged why.
fn not_followed(address: &str, error: TxSyncError) -> ChainError {
    ChainError::Unreachable { address: address.to_owned(), source: Box::new(error) }
}

/// A fee rate in satoshi per virtual byte as servers tell it, never below the floor. One that they
/// do not know, or that makes no sense, is the floor.
fn feerate_from(sat_per_vbyte: Option<f64>) -> FeeRate {
    // A float becomes the nearest integer that there is, and what is no number becomes 0.
    let per_kwu = (sat_per_vbyte.unwrap_or_default() * 250.0).ceil() as u64;
    FeeRate::from_sat_per_kwu(per_kwu).max(FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_rate_is_rounded_up_and_has_a_floor() {
        let rates = [(Some(2.0), 500), (Some(1.5), 375), (Some(1.0021), 253), (Some(10.001), 2501)];
        for (heard, taken) in rates {
            assert_eq!(feerate_from(heard).to_sat_per_kwu(), taken, "{heard:?}");
        }
        for nonsense in [None, Some(0.0), Some(-1.0), Some(f64::NAN)] {
            assert_eq!(feerate_from(nonsense), FLOOR, "{nonsense:?}");
        }
    }
}
