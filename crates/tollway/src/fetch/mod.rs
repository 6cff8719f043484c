//! The parts of `tollway get`: what to ask, read from curl's flags, and where the answer goes.

pub(crate) mod ask;
pub(crate) mod report;
pub(crate) mod sink;
pub(crate) mod talk;
