//! `[traces]`: where to tell what became of which request, step by step.

use std::path::PathBuf;

use http::header::{HeaderName, HeaderValue};
use url::Url;

use super::mistake::Problem;
use super::raw::{At, Keys, Reader};
use super::template::Template;

/// Every key of `[traces]`.
pub(crate) static KEYS: &[&str] = &["endpoint", "sample", "ca", "headers"];

/// Where spans go (OTLP over HTTP, in protobuf), and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// The collector, with its path.
    pub endpoint: Url,
    /// How many requests of a million are told of.
    pub per_million: u32,
    /// A PEM file with the certificates that the collector is to be known by, instead of the public
    /// ones.
    pub ca: Option<PathBuf>,
    /// What is sent along, a credential perhaps.
    pub headers: Vec<(HeaderName, Template)>,
}

/// Reads `[traces]`, if it is there.
pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Traces> {
    let mut keys = reader.table(keys, "traces", "a table, `[traces]`")?;
    let line = keys.line;
    let written = reader.text(&mut keys, "endpoint");
    let per_million = reader.text(&mut keys, "sample").and_then(|at| {
        let read = share(&at.value);
        if read.is_none() {
            reader.bad("sample", &at, "write a share of all requests, from `0.0001%` to `100%`");
        }
        read
    });
    let ca = reader.text(&mut keys, "ca").and_then(|at| match at.value.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Some(PathBuf::from(path)),
        _ => {
            reader.bad("ca", &at, "write where the certificates are: `file:/path/ca.pem`");
            None
        }
    });
    let headers = headers(reader, &mut keys);
    reader.end(keys, "[traces]", KEYS);
    let Some(at) = written else {
        let place = "`[traces]`".to_owned();
        let example = "endpoint = \"http://127.0.0.1:4318/v1/traces\"";
        reader.mistake(line, Problem::Missing { key: "endpoint", place, example });
        return None;
    };
    let endpoint = endpoint(&at.value);
    if endpoint.is_none() {
        let example = "write where the collector takes OTLP over HTTP, for example \
                       `http://127.0.0.1:4318/v1/traces`";
        reader.bad("endpoint", &at, example);
    }
    let per_million = per_million.unwrap_or(1_000_000);
    Some(Traces { endpoint: endpoint?, per_million, ca, headers })
}

fn endpoint(written: &str) -> Option<Url> {
    let mut url: Url = written.parse().ok()?;
    let good = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    if url.path() == "/" {
        url.set_path("/v1/traces");
    }
    good.then_some(url)
}

/// `12.5%` as parts of a million, never none.
fn share(written: &str) -> Option<u32> {
    let number = written.strip_suffix('%')?.trim_end();
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 4 {
        return None;
    }
    let whole = whole.parse::<u32>().ok().filter(|whole| *whole <= 100)?;
    let share = whole * 10_000 + format!("{part:0<4}").parse::<u32>().ok()?;
    (1..=1_000_000).contains(&share).then_some(share)
}

fn headers(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<(HeaderName, Template)> {
    let mut headers = Vec::new();
    for (name, value) in reader.text_table(keys, "headers") {
        // The value may be a secret.
        let hidden = At { line: name.line, value: format!("{} = (not shown)", name.value) };
        let read = HeaderName::from_bytes(name.value.as_bytes())
            .map_err(|_| "that is no header's name")
            .and_then(|name| Ok((name, Template::read(&value.value)?)));
        match read {
            Ok((_, template))
                if template.plain().is_some_and(|text| HeaderValue::from_str(&text).is_err()) =>
            {
                reader.bad("headers", &hidden, "a header's value is one line of text");
            }
            Ok(header) => headers.push(header),
            Err(why) => reader.bad("headers", &hidden, why),
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_exact_and_never_nothing() {
        for (text, millionths) in
            [("100%", 1_000_000), ("12.5%", 125_000), ("0.0001%", 1), ("1 %", 10_000)]
        {
            assert_eq!(share(text), Some(millionths), "{text}");
        }
        for bad in ["0%", "0.00001%", "100.1%", "10", "%", "-1%", "1e1%", ".5%", "1.%"] {
            assert_eq!(share(bad), None, "{bad}");
        }
    }
}
