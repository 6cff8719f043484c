//! How the node and its chain source get on.

use std::sync::{Mutex, MutexGuard};

use crate::chain::ChainError;

/// The last word of the chain source.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Option<String>>);

impl Health {
    fn trouble_now(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().expect("no panic while held")
    }

    /// The chain was followed to its tip.
    pub(crate) fn well(&self) {
        if self.trouble_now().take().is_some() {
            tracing::info!("the chain is followed again");
        }
    }

    /// The chain could not be followed.
    pub(crate) fn ill(&self, error: &ChainError) {
        *self.trouble_now() = Some(error.to_string());
    }

    /// What is wrong, if anything.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble_now().clone()
    }
}
