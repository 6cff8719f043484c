//! The `nostr+walletconnect:` driver, through a real relay in this process, against a wallet service
//! over a fake node.

mod contract;
mod service;
mod strange;
mod url;
