//! What changes on the way to a service's upstream and back: the path, headers, and how much and how
//! slowly may pass.

use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};

use super::duration;
use super::raw::{At, Keys, Reader};
use super::template::Template;
use super::upstream::{Protocol, Upstream};
use crate::matching;

/// What changes on the way.
#[derive(Clone, Debug, Default)]
pub struct Passage {
    /// What is taken off the front of each path that has it, by whole segments.
    pub strip_prefix: Option<String>,
    /// What is put in front of each path after that.
    pub add_prefix: Option<String>,
    /// What is done to requests' headers.
    pub request: Edits,
    /// What is done to answers' headers.
    pub response: Edits,
    /// How long the upstream may be silent in the middle of an answer.
    pub idle_timeout: Option<Duration>,
    /// How many bytes a request's body may have.
    pub body_limit: Option<u64>,
    /// Who may read answers from a page of another origin.
    pub cors: Option<Origins>,
    /// Whether requests in gRPC-Web are made gRPC for the upstream.
    pub grpc_web: bool,
}

/// Headers to take out and to put in, in that order.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    /// What goes.
    pub remove: Vec<HeaderName>,
    /// What comes, in place of what was there.
    pub set: Vec<(HeaderName, Template)>,
}

/// Web pages that may read a service's answers, by where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All.
    Any,
    /// These.
    Listed(Vec<HeaderValue>),
}

/// What one connection's framing rests on.
static FRAMING: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, TE, TRANSFER_ENCODING, UPGRADE];

/// Those keys.
pub(super) static KEYS: &[&str] = &[
    "strip_prefix",
    "add_prefix",
    "request_headers",
    "remove_request_headers",
    "response_headers",
    "remove_response_headers",
    "idle_timeout",
    "body_limit",
    "cors",
];

/// Reads the keys of one service that concern the way to its upstream.
pub(super) fn read(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    upstream: Option<&Upstream>,
) -> Passage {
    Passage {
        strip_prefix: prefix(reader, keys, "strip_prefix"),
        add_prefix: prefix(reader, keys, "add_prefix"),
        request: edits(reader, keys, "request_headers", "remove_request_headers"),
        response: edits(reader, keys, "response_headers", "remove_response_headers"),
        idle_timeout: duration(reader, keys, "idle_timeout"),
        body_limit: size(reader, keys, "body_limit"),
        cors: origins(reader, keys),
        grpc_web: grpc_web(reader, keys, upstream),
    }
}

/// Only a server that surely speaks HTTP/2 can be spoken to in gRPC.
fn grpc_web(reader: &mut Reader<'_>, keys: &mut Keys<'_>, upstream: Option<&Upstream>) -> bool {
    let line = keys.line_of("grpc_web", reader);
    let wanted = reader.flag(keys, "grpc_web").unwrap_or(false);
    let speaks = |upstream: &Upstream| {
        upstream.servers.iter().all(|server| server.protocol == Some(Protocol::H2))
    };
    if wanted && upstream.is_some_and(|upstream| !speaks(upstream)) {
        let at = At { line, value: "true".to_owned() };
        reader.bad(
            "grpc_web",
            &at,
            "the upstream has to speak gRPC: write `grpc://` or `grpcs://`",
        );
    }
    wanted
}

fn prefix(reader: &mut Reader<'_>, keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
    let at = reader.text(keys, key)?;
    match matching::readable(&at.value) {
        Ok(path) => Some(path.trim_end_matches('/').to_owned()),
        Err(why) => {
            reader.bad(key, &at, why);
            None
        }
    }
}

fn edits(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    set: &'static str,
    remove: &'static str,
) -> Edits {
    let mut edits = Edits::default();
    for at in reader.texts(keys, remove) {
        match name(&at.value) {
            Ok(name) => edits.remove.push(name),
            Err(why) => reader.bad(remove, &at, why),
        }
    }
    for (key, value) in reader.text_table(keys, set) {
        let read = name(&key.value).and_then(|name| Ok((name, Template::read(&value.value)?)));
        match read {
            Ok((_, template)) if template.plain().is_some_and(|text| !is_value(&text)) => {
                reader.bad(set, &hidden(&key), "a header's value is one line of text");
            }
            Ok(edit) => edits.set.push(edit),
            Err(why) => reader.bad(set, &hidden(&key), why),
        }
    }
    edits
}

fn is_value(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}

/// The header's name without its value, which may be a secret.
fn hidden(key: &At<String>) -> At<String> {
    At { line: key.line, value: format!("{} = (not shown)", key.value) }
}

fn name(written: &str) -> Result<HeaderName, &'static str> {
    match HeaderName::from_bytes(written.as_bytes()) {
        Ok(name) if FRAMING.contains(&name) => Err("this header belongs to the connection"),
        Ok(name) => Ok(name),
        Err(_) => Err("that is no header's name"),
    }
}

fn size(reader: &mut Reader<'_>, keys: &mut Keys<'_>, key: &'static str) -> Option<u64> {
    let at = reader.text(keys, key)?;
    let digits = at.value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = at.value.split_at(digits);
    let unit = match unit.trim_start() {
        "B" => Some(1),
        "KiB" => Some(1024),
        "MiB" => Some(1024 * 1024),
        "GiB" => Some(1024 * 1024 * 1024),
        _ => None,
    };
    let bytes = unit.and_then(|unit: u64| number.parse::<u64>().ok()?.checked_mul(unit));
    if bytes.is_none() {
        reader.bad(key, &at, "write a whole number and a unit: `64 KiB`, `10 MiB` or `1 GiB`");
    }
    bytes
}

fn origins(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Origins> {
    let written = reader.texts(keys, "cors");
    let mut listed = Vec::new();
    for at in &written {
        if at.value == "*" && written.len() == 1 {
            return Some(Origins::Any);
        }
        match origin(&at.value) {
            Some(origin) => listed.push(origin),
            None => reader.bad(
                "cors",
                at,
                "write origins as browsers do, for example `https://app.example.com`, or `*` alone",
            ),
        }
    }
    (!listed.is_empty()).then_some(Origins::Listed(listed))
}

/// An origin as browsers send it: scheme, host, and a port that is not the scheme's own.
fn origin(written: &str) -> Option<HeaderValue> {
    let url: url::Url = written.parse().ok()?;
    let origin = url.origin();
    let same = origin.is_tuple() && origin.ascii_serialization() == written;
    same.then(|| HeaderValue::from_str(written).ok()).flatten()
}
