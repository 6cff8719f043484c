//! The parts of `tollway get`: what is asked for, read from curl's flags; one transfer from its first
//! try to its end; and where the answer goes.

pub(crate) mod curlrc;
pub(crate) mod decode;
pub(crate) mod deliver;
pub(crate) mod flags;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod refusal;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod sink;
pub(crate) mod talk;
pub(crate) mod transfer;
pub(crate) mod write_out;
