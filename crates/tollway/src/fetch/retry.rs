//! Whether a try that failed is worth another one, and when. Nothing here can pay twice: a payment
//! whose end is not known is never tried again, and what was paid for is used.

use std::time::{Duration, Instant, SystemTime};

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use tollway_client::{Error, HttpErrorKind};

use super::flags::limits::LimitFlags;
use crate::failure::Failure;

/// The longest wait that doubling leads to.
const LONGEST: Duration = Duration::from_secs(600);

/// The tries that are left.
#[derive(Debug)]
pub(crate) struct Retries<'a> {
    limits: &'a LimitFlags,
    started: Instant,
    done: u32,
}

impl<'a> Retries<'a> {
    /// From now on.
    pub(crate) fn new(limits: &'a LimitFlags) -> Self {
        Self { limits, started: Instant::now(), done: 0 }
    }

    /// How many there were.
    pub(crate) const fn done(&self) -> u32 {
        self.done
    }

    /// How long to wait before the next one; `None` when there is none. `said` is what the server
    /// wants us to wait.
    pub(crate) fn next(&mut self, said: Option<Duration>) -> Option<Duration> {
        if self.done >= self.limits.retry {
            return None;
        }
        let doubled = Duration::from_secs(1 << self.done.min(10)).min(LONGEST);
        let wait = said.or(self.limits.retry_delay).unwrap_or(doubled);
        let late = |most| self.started.elapsed().saturating_add(wait) > most;
        if self.limits.retry_max_time.is_some_and(late) {
            return None;
        }
        self.done += 1;
        Some(wait)
    }

    /// Whether that failure may pass by itself.
    pub(crate) fn may_pass(&self, failure: &Failure) -> bool {
        let limits = self.limits;
        match failure {
            Failure::Fetch(error) => match &**error {
                Error::Http(source) | Error::NoAnswer { source, .. } => match source.kind {
                    HttpErrorKind::Timeout => true,
                    HttpErrorKind::Connect => limits.retry_connrefused || limits.retry_all_errors,
                    _ => limits.retry_all_errors,
                },
                // Each of these is decided by somebody, and asking again changes nobody's mind.
                _ => false,
            },
            Failure::TimedOut { .. } => true,
            Failure::BrokeOff(_) | Failure::TooSlow => limits.retry_all_errors,
            _ => false,
        }
    }
}

/// Whether an answer is one of those that pass.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

/// What `Retry-After` says (RFC 9110, 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};
    use http::HeaderValue;

    use super::*;

    fn limits(line: &[&str]) -> LimitFlags {
        let command = LimitFlags::augment_args(clap::Command::new("get"));
        let args = command.try_get_matches_from([&["get"], line].concat()).expect("known flags");
        LimitFlags::from_arg_matches(&args).unwrap()
    }

    #[test]
    fn each_wait_is_twice_as_long_unless_somebody_says_otherwise() {
        let secs = Duration::from_secs;
        let doubling = limits(&["--retry", "3"]);
        let mut retries = Retries::new(&doubling);
        assert_eq!(retries.next(None), Some(secs(1)));
        assert_eq!(retries.next(None), Some(secs(2)));
        assert_eq!(retries.next(Some(secs(7))), Some(secs(7)));
        assert_eq!(retries.next(None), None);
        let fixed = limits(&["--retry", "9", "--retry-delay", "5", "--retry-max-time", "6"]);
        let mut retries = Retries::new(&fixed);
        assert_eq!(retries.next(None), Some(secs(5)));
        assert_eq!(retries.next(Some(secs(60))), None, "later than may be tried");
    }

    #[test]
    fn a_server_says_when_by_seconds_or_by_date() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Thu, 01 Jan 1970 00:00:09 GMT"));
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(Duration::from_secs(9)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("soon"));
        assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), None);
    }
}
