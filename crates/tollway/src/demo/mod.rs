//! The demo: a private Lightning network, a priced API and a buyer, in one process.

pub(crate) mod stage;
pub(crate) mod story;
mod weather;
