//! What long-running commands say while they run: lines on stderr, from `tracing`.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::shell::Shell;

/// Prints lines from now on. `$TOLLWAY_LOG` says which, as `info` or `tollway_ldk=debug,ldk=warn`;
/// without it, what `quiet` says. LDK tells everything about every message it sends, so it speaks
/// only of trouble unless asked.
pub(crate) fn start(shell: &Shell, quiet: &str) {
    let wanted = shell.log_filter().map(str::to_owned);
    let filter = wanted.unwrap_or_else(|| format!("{quiet},ldk=warn"));
    let lines = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_timer(SystemTime)
        .with_env_filter(EnvFilter::new(filter));
    if shell.is_json() {
        // Programs that read our stdout as JSON read our stderr by lines: no colour.
        lines.with_ansi(false).init();
    } else {
        lines.init();
    }
}
