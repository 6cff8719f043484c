//! The demo: one payment from end to end, told as it happens.

mod weather;
