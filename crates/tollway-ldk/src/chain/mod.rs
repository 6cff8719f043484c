//! The blockchain as a node sees it: one seam, [`ChainSource`], and who can answer behind it.

mod rpc;
mod simulated;
mod source;

pub use rpc::{Rpc, RpcUrlError};
pub use simulated::{
    BadBlock, FaucetError, OpenChainError, Refusal, ReorgError, RpcLogin, RpcServer, Simulated,
};
pub use source::{ChainError, ChainSource, Tip};
