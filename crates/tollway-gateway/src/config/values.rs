//! How the values of the configuration are written: durations, and the addresses of servers.

use std::time::Duration;

use l402::path;
use url::Url;

use super::upstream::{Address, Protocol, Server};

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

/// Where one server is, and what it speaks: `http`, `https`, `h2c`, `grpc` or `grpcs`, host and port and
/// perhaps a path to put in front of every request's, or `unix:` and the path of a socket.
pub(super) fn server(text: &str, protocol: Option<Protocol>) -> Result<Server, &'static str> {
    const EXAMPLE: &str = "write for example `http://127.0.0.1:9000`, or `unix:/run/app.sock`";
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.starts_with('/') {
            true => Ok(Server { address: Address::Unix(path.into()), protocol }),
            false => Err("write the whole path of the socket: `unix:/run/app.sock`"),
        };
    }
    let (scheme, rest) = text.split_once("://").ok_or(EXAMPLE)?;
    let (scheme, protocol) = match (scheme, protocol) {
        ("http" | "https", protocol) => (scheme, protocol),
        ("h2c" | "grpc" | "grpcs", Some(Protocol::H1)) => {
            return Err("it speaks HTTP/2; leave `protocol` out");
        }
        ("h2c" | "grpc", _) => ("http", Some(Protocol::H2)),
        ("grpcs", _) => ("https", Some(Protocol::H2)),
        _ => return Err(EXAMPLE),
    };
    let url: Url = format!("{scheme}://{rest}").parse().map_err(|_| EXAMPLE)?;
    if !url.has_host() {
        return Err(EXAMPLE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an upstream's address carries no user or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("an upstream's address has no `?` and no `#`");
    }
    match url.path() == "/" || path::is_plain(url.path()) {
        true => Ok(Server { address: Address::Url(url), protocol }),
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
    fn a_server_is_a_plain_address_or_a_socket() {
        let read = |text| server(text, None).map(|server| (server.address, server.protocol));
        let url = |text: &str| Address::Url(text.parse().unwrap());
        let h2 = Some(Protocol::H2);
        assert_eq!(read("http://127.0.0.1:9000"), Ok((url("http://127.0.0.1:9000"), None)));
        assert_eq!(read("https://a.example/base"), Ok((url("https://a.example/base"), None)));
        assert_eq!(read("h2c://a:1"), Ok((url("http://a:1"), h2)));
        assert_eq!(read("grpc://a:1"), Ok((url("http://a:1"), h2)));
        assert_eq!(read("grpcs://a"), Ok((url("https://a"), h2)));
        assert_eq!(read("unix:/run/x"), Ok((Address::Unix("/run/x".into()), None)));
        for bad in
            ["", "127.0.0.1:9000", "ftp://a", "http://u:p@a", "http://a?b", "http://a#b", "unix:x"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(server("grpc://a", Some(Protocol::H1)).is_err());
    }
}
