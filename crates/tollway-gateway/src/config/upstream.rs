//! Where a service's requests go: its servers, how long they are waited for, and when they are left
//! alone.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::duration;
use super::raw::{At, Keys, Reader};
use super::values;

/// Where requests go once they may pass.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// The servers, of which the least busy one is asked; at least one.
    pub servers: Vec<Server>,
    /// A PEM file with the certificates to trust instead of the public ones.
    pub ca: Option<PathBuf>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long it may be silent before its answer begins, not counting the time in which the
    /// request's body still moves.
    pub answer_timeout: Duration,
    /// After how many failures in a row a server is left alone, where there are others.
    pub eject_after: u32,
    /// For how long.
    pub eject_for: Duration,
    /// How the servers are asked whether they are well.
    pub check: Option<Check>,
}

/// One server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// What it speaks. `None`: HTTP/1.1 over plain TCP, whatever TLS settles on otherwise.
    pub protocol: Option<Protocol>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `http` or `https`, host and port, and a path to put in front of each request's own.
    Url(Url),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What an upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2; over plain TCP with prior knowledge.
    H2,
}

/// How a server is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is asked.
    pub question: Question,
    /// How often.
    pub interval: Duration,
    /// How long its answer may take.
    pub timeout: Duration,
}

/// What a server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// `GET` on this path; a 2xx or 3xx is a good answer.
    Get(String),
    /// gRPC's own question, `grpc.health.v1.Health/Check`.
    Grpc,
}

/// What `upstream` says where somebody else serves.
const NONE: &str = "none";

/// The keys of a service that mean nothing without an upstream.
pub(super) static KEYS: &[&str] = &[
    "protocol",
    "ca",
    "connect_timeout",
    "answer_timeout",
    "eject_after",
    "eject_for",
    "check",
    "check_interval",
    "check_timeout",
];

/// Where a service has no upstream, notes each key that is there and would do nothing: these, and those
/// of what is done on the way.
pub(super) fn refuse_idle(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    others: &'static [&'static str],
) {
    if keys.text_of("upstream") == Some(NONE) {
        for key in KEYS.iter().chain(others) {
            reader.refuse(keys, key, "the service says `upstream = \"none\"`");
        }
    }
}

/// Reads the keys of one service that concern its upstream.
pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Upstream> {
    let protocol = protocol(reader, keys);
    let ca = reader.text(keys, "ca");
    let mut wait = |key, default| duration(reader, keys, key).unwrap_or(default);
    let connect_timeout = wait("connect_timeout", Duration::from_secs(5));
    let answer_timeout = wait("answer_timeout", Duration::from_secs(60));
    let eject_for = wait("eject_for", Duration::from_secs(10));
    let eject_after = reader.number(keys, "eject_after", 1..=u64::from(u32::MAX));
    let check = check(reader, keys);
    let written = reader.texts(keys, "upstream");
    if matches!(&written[..], [one] if one.value == NONE) {
        return None;
    }
    let mut servers = Vec::new();
    for at in &written {
        match values::server(&at.value, protocol.as_ref().map(|(protocol, _)| *protocol)) {
            Ok(server) => servers.push(server),
            Err(why) => reader.bad("upstream", at, why),
        }
    }
    if servers.is_empty() {
        return None;
    }
    let secure =
        |server: &Server| matches!(&server.address, Address::Url(url) if url.scheme() == "https");
    let secure = servers.iter().any(secure);
    Some(Upstream {
        servers,
        ca: ca.and_then(|at| authorities(reader, &at, secure)),
        connect_timeout,
        answer_timeout,
        eject_after: eject_after.map_or(3, |number| u32::try_from(number).unwrap_or(u32::MAX)),
        eject_for,
        check,
    })
}

fn protocol(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<(Protocol, At<String>)> {
    let at = reader.text(keys, "protocol")?;
    match at.value.as_str() {
        "h1" => Some((Protocol::H1, at)),
        "h2" => Some((Protocol::H2, at)),
        _ => {
            reader.bad("protocol", &at, "write `h1` for HTTP/1.1 or `h2` for HTTP/2");
            None
        }
    }
}

fn authorities(reader: &mut Reader<'_>, at: &At<String>, secure: bool) -> Option<PathBuf> {
    match at.value.strip_prefix("file:") {
        _ if !secure => {
            reader.bad("ca", at, "no upstream is `https://`, so no certificate will be seen");
            None
        }
        Some(path) if !path.is_empty() => Some(PathBuf::from(path)),
        _ => {
            reader.bad("ca", at, "write where the certificates are: `file:/path/ca.pem`");
            None
        }
    }
}

fn check(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Check> {
    let interval = duration(reader, keys, "check_interval").unwrap_or(Duration::from_secs(10));
    let timeout = duration(reader, keys, "check_timeout").unwrap_or(Duration::from_secs(2));
    let at = reader.text(keys, "check")?;
    let question = match at.value.as_str() {
        "grpc" => Question::Grpc,
        path if path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok() => {
            Question::Get(at.value)
        }
        _ => {
            reader.bad("check", &at, "write a path, for example `/healthz`, or `grpc`");
            return None;
        }
    };
    Some(Check { question, interval, timeout })
}
