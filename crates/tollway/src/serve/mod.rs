//! The parts of `tollway serve` that go on while it runs.

pub(crate) mod reload;
