//! LDK's log lines, handed on to `tracing`.

use lightning::util::logger::{Level, Logger, Record};

/// The target of every line that comes from LDK.
pub(crate) const TARGET: &str = "ldk";

/// Hands LDK's lines to `tracing`, at LDK's level.
#[derive(Debug)]
pub(crate) struct Log;

impl Logger for Log {
    fn log(&self, record: Record<'_>) {
        match record.level {
            Level::Gossip | Level::Trace => {
                tracing::trace!(target: TARGET, module = record.module_path, "{}", record.args);
            }
            Level::Debug => {
                tracing::debug!(target: TARGET, module = record.module_path, "{}", record.args);
            }
            Level::Info => {
                tracing::info!(target: TARGET, module = record.module_path, "{}", record.args);
            }
            Level::Warn => {
                tracing::warn!(target: TARGET, module = record.module_path, "{}", record.args);
            }
            Level::Error => {
                tracing::error!(target: TARGET, module = record.module_path, "{}", record.args);
            }
        }
    }
}
