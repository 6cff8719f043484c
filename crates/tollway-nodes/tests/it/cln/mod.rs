//! The `cln:` and `cln+https:` drivers, against a server that answers as lightningd's manual pages
//! say (`lightning-pay(7)`, `lightning-listpays(7)`, `lightning-invoice(7)`,
//! `lightning-listinvoices(7)`, `lightning-waitanyinvoice(7)`), over a fake node; and against one that misbehaves.

mod contract;
mod lightningd;
mod news;
mod strange;
mod url;
