//! The blockchain as a node sees it: one seam, [`ChainSource`], and who can answer behind it.

mod simulated;
mod source;

pub use simulated::{BadBlock, FaucetError, OpenChainError, Refusal, ReorgError, Simulated};
pub use source::{ChainError, ChainSource, Tip};
