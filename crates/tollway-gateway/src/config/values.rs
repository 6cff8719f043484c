//! How the values of the configuration are written: durations, hosts, prefixes, upstream addresses.

use std::time::Duration;

use l402::path;
use url::Url;

/// The longest duration that a configuration may name: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads `250ms`, `30s`, `10m`, `24h` or `7d`.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXAMPLE: &str = "write a whole number and a unit: `250ms`, `30s`, `10m`, `24h` or `7d`";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| EXAMPLE)?;
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 3600 * 1000,
        "d" => 24 * 3600 * 1000,
        _ => return Err(EXAMPLE),
    };
    match number.checked_mul(millis).map(Duration::from_millis) {
        Some(Duration::ZERO) => Err("it must be longer than nothing"),
        Some(duration) if duration <= LONGEST => Ok(duration),
        _ => Err("nobody waits that long; write at most 100 years"),
    }
}

/// A host's name as it is compared: lower case, no port.
pub(super) fn host(text: &str) -> Result<String, &'static str> {
    if text.contains("://") || text.contains('/') {
        return Err("write the host's name alone, for example `api.example.com`");
    }
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err("write an IPv6 address in brackets: `[::1]`");
    }
    if text.contains('*') {
        return Err("a host is one name, without `*`; leave `host` out to answer for every host");
    }
    match text.parse::<http::uri::Authority>() {
        Ok(authority) if authority.port().is_some() => Err("write the host without its port"),
        Ok(authority) if authority.as_str() == authority.host() => {
            Ok(authority.host().trim_end_matches('.').to_ascii_lowercase())
        }
        _ => Err("that is no host name; write for example `api.example.com`"),
    }
}

/// A path prefix.
pub(super) fn prefix(text: &str) -> Result<String, &'static str> {
    match path::is_plain(text) {
        true => Ok(text.to_owned()),
        false => Err("a path begins with `/` and has no empty, `.` or `..` part and no `%2F`"),
    }
}

/// Where an upstream is: scheme, host and perhaps a path to put in front of every request's.
pub(super) fn upstream(text: &str) -> Result<Url, &'static str> {
    const EXAMPLE: &str = "write for example `http://127.0.0.1:9000`";
    let url: Url = text.parse().map_err(|_| EXAMPLE)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(EXAMPLE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an upstream's address carries no user or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("an upstream's address has no `?` and no `#`");
    }
    match url.path() == "/" || path::is_plain(url.path()) {
        true => Ok(url),
        false => Err("the path of an upstream has no empty, `.` or `..` part"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("10 m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 24 * 3600)));
        for bad in ["", "5", "s", "-1s", "1.5h", "0s", "1y", "1 s s", "999999999999999d", "40000d"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_compared_without_case_and_port() {
        assert_eq!(host("API.Example.com."), Ok("api.example.com".to_owned()));
        assert_eq!(host("[::1]"), Ok("[::1]".to_owned()));
        for bad in ["", "a:80", "http://a", "a/b", "*.a.com", "::1", "u@a", "a b"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_upstream_is_a_plain_address() {
        assert!(upstream("http://127.0.0.1:9000").is_ok());
        assert!(upstream("https://a.example/base").is_ok());
        for bad in
            ["", "127.0.0.1:9000", "ftp://a", "http://u:p@a", "http://a?b", "http://a#b", "unix:/x"]
        {
            assert!(upstream(bad).is_err(), "{bad}");
        }
    }
}
