//! Who sent a request: who is at the other end of the connection, or, when that is a proxy that the
//! configuration trusts, whom it names. What anybody else says about that is not believed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config::{Proxies, Told};
use crate::serve::Connection;

/// Where a PROXY header of version 2 begins.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The longest line of version 1, and the most bytes that follow a header of version 2.
const LONGEST_LINE: usize = 107;
const LONGEST_REST: usize = 4096;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who sent one request, and on which connection.
#[derive(Debug)]
pub(crate) struct Sender<'a> {
    pub(crate) connection: &'a Connection,
    pub(crate) address: IpAddr,
    /// Whether who is at the other end is a proxy that is trusted.
    pub(crate) trusted: bool,
    /// The same as text.
    pub(crate) text: HeaderValue,
    /// `http` or `https`.
    pub(crate) scheme: HeaderValue,
}

impl<'a> Sender<'a> {
    pub(crate) fn of(connection: &'a Connection, proxies: &Proxies, headers: &HeaderMap) -> Self {
        let peer = connection.client();
        let address = proxies.client(peer, headers);
        let text = match address == peer {
            true => connection.client_text().clone(),
            false => HeaderValue::try_from(address.to_string()).expect("an address is ASCII"),
        };
        let scheme = proxies.scheme(peer, connection.is_secure(), headers);
        Self { connection, address, trusted: proxies.trust(peer), text, scheme }
    }
}

impl Proxies {
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Who sent a request that came from `peer`. Read from the end, where the nearest proxy has written:
    /// the first that is not itself a trusted proxy.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trust(peer) {
            return peer;
        }
        let (name, read): (_, fn(&str) -> Option<IpAddr>) = match self.told {
            Told::ForwardedFor => (&FORWARDED_FOR, address),
            Told::Forwarded => (&http::header::FORWARDED, forwarded),
        };
        let lines: Vec<&str> =
            headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("?")).collect();
        let mut client = peer;
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            // Whoever wrote what cannot be read is as far as we can see.
            let Some(next) = read(hop.trim()) else { return client };
            client = next;
            if !self.trust(client) {
                return client;
            }
        }
        client
    }

    /// How the client came: `secure` is how the connection from `peer` did, which a trusted proxy may
    /// correct.
    pub(crate) fn scheme(&self, peer: IpAddr, secure: bool, headers: &HeaderMap) -> HeaderValue {
        let told = if self.trust(peer) { self.told_scheme(headers) } else { None };
        HeaderValue::from_static(match told.unwrap_or(secure) {
            true => "https",
            false => "http",
        })
    }

    /// Whether the proxy in front says that it was asked over TLS. `None`: it does not say.
    fn told_scheme(&self, headers: &HeaderMap) -> Option<bool> {
        match self.told {
            Told::ForwardedFor => headers.get(&FORWARDED_PROTO).map(|proto| proto == "https"),
            Told::Forwarded => {
                let line = headers.get_all(http::header::FORWARDED).iter().next_back()?;
                let proto = parameter(line.to_str().ok()?.rsplit(',').next()?, "proto")?;
                Some(proto.eq_ignore_ascii_case("https"))
            }
        }
    }
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let plain = bare.parse::<IpAddr>().ok();
    let address = plain.or_else(|| text.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()));
    address.map(|address| address.to_canonical())
}

/// The address in one element of `Forwarded` (RFC 7239 section 4).
fn forwarded(element: &str) -> Option<IpAddr> {
    parameter(element, "for").and_then(address)
}

/// One value in an element of `Forwarded`.
fn parameter<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim_matches('"'))
    })
}

/// Reads the PROXY header (version 1 or 2) that a connection begins with, and nothing after it.
/// `None`: the proxy speaks for itself.
///
/// # Errors
/// There is none, or it is broken.
pub(crate) async fn proxied(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await?;
    if &begin == SIGNATURE {
        return version_2(stream).await;
    }
    let mut line = begin.to_vec();
    while !line.ends_with(b"\r\n") {
        // The longest there can be is short, and what follows is not ours to take.
        if line.len() >= LONGEST_LINE || !line.starts_with(b"PROXY ") {
            return Err(broken());
        }
        line.push(stream.read_u8().await?);
    }
    version_1(&line).ok_or_else(broken)
}

fn version_1(line: &[u8]) -> Option<Option<IpAddr>> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?;
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["PROXY", "UNKNOWN", ..] => Some(None),
        ["PROXY", "TCP4", source, _, _, _] => {
            source.parse::<Ipv4Addr>().ok().map(|source| Some(source.into()))
        }
        ["PROXY", "TCP6", source, _, _, _] => {
            source.parse::<Ipv6Addr>().ok().map(|source| Some(IpAddr::from(source).to_canonical()))
        }
        _ => None,
    }
}

async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > LONGEST_REST {
        return Err(broken());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    match (command, family >> 4) {
        (0x20, _) => Ok(None),
        (0x21, 1) => {
            let source: [u8; 4] = first(&rest, 12).ok_or_else(broken)?;
            Ok(Some(source.into()))
        }
        (0x21, 2) => {
            let source: [u8; 16] = first(&rest, 36).ok_or_else(broken)?;
            Ok(Some(IpAddr::from(source).to_canonical()))
        }
        // Neither IPv4 nor IPv6: a Unix socket, or not told.
        (0x21, _) => Ok(None),
        _ => Err(broken()),
    }
}

/// The first bytes, when there are at least so many in all.
fn first<const N: usize>(bytes: &[u8], all: usize) -> Option<[u8; N]> {
    bytes.get(..all)?.first_chunk().copied()
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY header, or a broken one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(told: Told) -> Proxies {
        let networks = ["10.0.0.0/8", "2001:db8::/32"].map(|text| text.parse().unwrap()).to_vec();
        Proxies { networks, told, protocol: false }
    }

    fn client(told: Told, peer: &str, lines: &[&str]) -> String {
        let name = match told {
            Told::ForwardedFor => "x-forwarded-for",
            Told::Forwarded => "forwarded",
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        proxies(told).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_last_that_a_trusted_proxy_has_seen_is_the_client() {
        let ask = |peer, lines: &[&str]| client(Told::ForwardedFor, peer, lines);
        assert_eq!(ask("192.0.2.1", &["198.51.100.7"]), "192.0.2.1", "nobody we trust");
        assert_eq!(ask("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(ask("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(ask("10.0.0.1", &["6.6.6.6, 198.51.100.7"]), "198.51.100.7", "a forged first");
        assert_eq!(ask("10.0.0.1", &["6.6.6.6", "198.51.100.7, 10.9.9.9"]), "198.51.100.7");
        assert_eq!(ask("10.0.0.1", &["10.2.2.2, 10.3.3.3"]), "10.2.2.2");
        assert_eq!(ask("10.0.0.1", &["6.6.6.6, junk, 10.3.3.3"]), "10.3.3.3");
        assert_eq!(ask("10.0.0.1", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(ask("2001:db8::1", &["[2001:db9::1]:80"]), "2001:db9::1");
        assert_eq!(ask("10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        let ask = |peer, lines: &[&str]| client(Told::Forwarded, peer, lines);
        assert_eq!(ask("10.0.0.1", &["for=6.6.6.6, For=198.51.100.7;proto=https"]), "198.51.100.7");
        assert_eq!(ask("10.0.0.1", &[r#"by=10.1.1.1;for="[2001:db9::1]:80""#]), "2001:db9::1");
        assert_eq!(ask("10.0.0.1", &["for=_hidden"]), "10.0.0.1");
    }

    #[test]
    fn a_trusted_proxy_says_how_the_client_came_and_nobody_else() {
        let ask = |told, peer: &str, secure, name: &'static str, line| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(line));
            proxies(told).scheme(peer.parse().unwrap(), secure, &headers)
        };
        let (xfp, forwarded) = ("x-forwarded-proto", "forwarded");
        for (told, peer, secure, name, line, scheme) in [
            (Told::ForwardedFor, "10.0.0.1", false, xfp, "https", "https"),
            (Told::ForwardedFor, "10.0.0.1", true, xfp, "http", "http"),
            (Told::ForwardedFor, "10.0.0.1", true, "x", "", "https"),
            (Told::ForwardedFor, "192.0.2.1", false, xfp, "https", "http"),
            (Told::ForwardedFor, "192.0.2.1", true, xfp, "http", "https"),
            (Told::Forwarded, "10.0.0.1", false, xfp, "https", "http"),
            (Told::Forwarded, "10.0.0.1", false, forwarded, "for=a;Proto=HTTPS", "https"),
            (Told::Forwarded, "10.0.0.1", true, forwarded, "proto=https, for=b;proto=http", "http"),
            (Told::Forwarded, "10.0.0.1", true, forwarded, "for=a", "https"),
        ] {
            assert_eq!(ask(told, peer, secure, name, line), scheme, "{told:?} {peer} {line}");
        }
    }

    async fn read(bytes: &[u8]) -> (Result<Option<IpAddr>, ()>, usize) {
        let mut rest = bytes;
        let read = proxied(&mut rest).await.map_err(drop);
        (read, rest.len())
    }

    #[tokio::test]
    async fn a_proxy_header_is_read_to_its_end_and_no_further() {
        let v4 = Ok(Some("192.0.2.1".parse().unwrap()));
        assert_eq!(read(b"PROXY TCP4 192.0.2.1 10.0.0.1 1 2\r\nGET").await, (v4, 3));
        let v6 = Ok(Some("2001:db9::1".parse().unwrap()));
        assert_eq!(read(b"PROXY TCP6 2001:db9::1 ::1 1 2\r\nGET").await, (v6, 3));
        assert_eq!(read(b"PROXY UNKNOWN\r\nGET").await, (Ok(None), 3));
        let two = |command: u8, family: u8, rest: &[u8]| {
            let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
            [SIGNATURE, &[command, family][..], &length, rest, b"GET"].concat()
        };
        let addresses = [192, 0, 2, 1, 10, 0, 0, 1, 0, 1, 0, 2];
        assert_eq!(read(&two(0x21, 0x11, &addresses)).await, (v4, 3));
        assert_eq!(read(&two(0x20, 0, &[])).await, (Ok(None), 3));
        for bad in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY TCP4 ::1 ::1 1 2\r\n",
            b"PROXY ",
            &[b"PROXY ".as_slice(), &[b'x'; 200]].concat(),
            &two(0x21, 0x11, &addresses[..11]),
            &two(0x31, 0x11, &addresses),
        ] {
            assert!(read(bad).await.0.is_err(), "{bad:?}");
        }
    }
}
