//! The blockchain as a node sees it: one seam, [`ChainSource`], and who can answer behind it.

mod source;

pub use source::{ChainError, ChainSource, Tip};
