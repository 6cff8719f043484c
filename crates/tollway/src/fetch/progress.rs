//! A bar on a terminal, once a transfer has taken a second.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter transfers show none.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows how far a transfer is; nothing where nobody would see it.
#[derive(Debug)]
pub(crate) struct Progress {
    wanted: bool,
    started: Instant,
    /// How long it will be in bytes, where that is known.
    length: Option<u64>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows something only where stderr is a terminal.
    pub(crate) fn new(wanted: bool, length: Option<u64>) -> Self {
        let wanted = wanted && std::io::stderr().is_terminal();
        Self { wanted, started: Instant::now(), length, bar: None }
    }

    /// So many bytes are there.
    pub(crate) fn at(&mut self, bytes: u64) {
        if !self.wanted || self.bar.is_none() && self.started.elapsed() < PATIENCE {
            return;
        }
        let length = self.length;
        self.bar.get_or_insert_with(|| bar(length)).set_position(bytes);
    }

    /// It is over, well or not.
    pub(crate) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}

fn bar(length: Option<u64>) -> ProgressBar {
    let template = match length {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        None => "{spinner} {bytes} {bytes_per_sec}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is sound");
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(10));
    bar.with_style(style)
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
