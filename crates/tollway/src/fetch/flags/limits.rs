//! Redirects, retries, and how long and how fast.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use tollway_client::{Request, Timeouts};

use super::AskError;

/// Nothing ends by itself: as long as anybody will wait.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

#[derive(Debug, Args)]
#[command(next_help_heading = "Redirects, retries and time")]
pub(crate) struct LimitFlags {
    /// Follow redirects; another server is never paid and gets no token
    #[arg(short = 'L', long)]
    location: bool,

    /// How many redirects are followed; -1 is any number
    #[arg(long, value_name = "COUNT", default_value_t = 50, allow_negative_numbers = true)]
    max_redirs: i64,

    /// Send POST again as it is after a 301
    #[arg(long)]
    post301: bool,

    /// Send POST again as it is after a 302
    #[arg(long)]
    post302: bool,

    /// Send POST again as it is after a 303
    #[arg(long)]
    post303: bool,

    /// Try again so often after an error that may pass: 408, 429, 500, 502, 503, 504, or no answer
    /// in time. What was paid for is used again, never paid again
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) retry: u32,

    /// Wait so many seconds between tries; 1, then twice as long each time, unless given. What the
    /// server says in Retry-After goes first
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) retry_delay: Option<Duration>,

    /// Begin no new try after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) retry_max_time: Option<Duration>,

    /// Try again after any error, but those of a payment
    #[arg(long)]
    pub(crate) retry_all_errors: bool,

    /// Try again when nobody listens there, too
    #[arg(long)]
    pub(crate) retry_connrefused: bool,

    /// How many seconds a connection may take
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    connect_timeout: Duration,

    /// How many seconds all of it may take; no limit unless given. A payment on its way is waited for
    #[arg(short = 'm', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) max_time: Option<Duration>,

    /// Send and receive no faster than so many bytes a second; `k`, `M` and `G` may stand behind it
    #[arg(long, value_name = "SPEED", value_parser = size)]
    pub(crate) limit_rate: Option<u64>,

    /// Give up when it is slower than so many bytes a second for --speed-time
    #[arg(short = 'Y', long, value_name = "SPEED", value_parser = size)]
    speed_limit: Option<u64>,

    /// For how many seconds; 30 unless given
    #[arg(short = 'y', long, value_name = "SECONDS", value_parser = seconds)]
    speed_time: Option<Duration>,

    /// Take no longer answer; `k`, `M` and `G` may stand behind it
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub(crate) max_filesize: Option<u64>,
}

impl LimitFlags {
    /// The library's time limits: as curl has it, an answer and a body may take as long as they like.
    pub(crate) fn timeouts(&self) -> Timeouts {
        Timeouts { connect: self.connect_timeout, answer: FOREVER, idle: FOREVER }
    }

    /// The request, with what is to be done about redirects.
    pub(crate) fn follow(&self, mut request: Request) -> Request {
        if let Some(rate) = self.limit_rate.and_then(NonZeroU64::new) {
            request = request.send_rate(rate);
        }
        if self.location {
            request = request.follow(u32::try_from(self.max_redirs).unwrap_or(u32::MAX));
        }
        let kept = [
            (self.post301, StatusCode::MOVED_PERMANENTLY),
            (self.post302, StatusCode::FOUND),
            (self.post303, StatusCode::SEE_OTHER),
        ];
        request.keep_post(kept.into_iter().filter(|(kept, _)| *kept).map(|(_, status)| status))
    }

    /// The least speed in bytes a second, and for how long it must be kept.
    pub(crate) fn least_speed(&self) -> Option<(u64, Duration)> {
        let time = self.speed_time.unwrap_or(Duration::from_secs(30));
        match (self.speed_limit, self.speed_time) {
            (Some(speed), _) => Some((speed, time)),
            (None, Some(_)) => Some((1, time)),
            (None, None) => None,
        }
    }
}

/// Seconds, with a fraction or without.
fn seconds(text: &str) -> Result<Duration, AskError> {
    let problem = "write a number of seconds, as `10` or `0.5`";
    let bad = || AskError::Value { flag: "a time", value: text.to_owned(), problem };
    let count: f64 = text.parse().map_err(|_| bad())?;
    Duration::try_from_secs_f64(count).map(|time| time.min(FOREVER)).map_err(|_| bad())
}

/// Bytes, with a unit of 1024, 1024² or 1024³ behind them or without.
fn size(text: &str) -> Result<u64, AskError> {
    let problem = "write a number of bytes, as `500`, `10k`, `1M` or `2G`";
    let bad = || AskError::Value { flag: "a size", value: text.to_owned(), problem };
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&text[..at], 1 << 30),
        Some((at, 'b' | 'B')) => (&text[..at], 1),
        _ => (text, 1),
    };
    let number: u64 = number.parse().map_err(|_| bad())?;
    number.checked_mul(unit).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        for (text, bytes) in [("500", 500), ("10k", 10_240), ("1M", 1 << 20), ("2G", 2 << 30)] {
            assert_eq!(size(text).unwrap(), bytes);
        }
        assert_eq!(seconds("0.5").unwrap(), Duration::from_millis(500));
        for bad in ["", "x", "-1", "1e99"] {
            assert!(seconds(bad).is_err() && size(bad).is_err(), "{bad}");
        }
    }
}
