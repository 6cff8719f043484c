//! Which hosts a rule is about: one name, a name with all below it, or a pattern.

use std::fmt;
use std::str::FromStr;

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Host;

/// Some hosts, without port. `api.example.com` is that host; `.example.com` is `example.com` and
/// everything below it; what has `*`, `?`, `{` or a `[class]` in it is a pattern, in which `*` stands
/// for any number of characters, dots among them.
#[derive(Clone, Debug)]
pub struct HostPattern {
    text: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Exact(String),
    Below(String),
    Glob(Box<GlobMatcher>),
}

/// The text names no hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPattern {
    /// Neither a name nor an address.
    #[error(
        "`{0}` is no host: write `api.example.com`, `.example.com` or `*.example.com`, without scheme, port and path"
    )]
    Host(String),
    /// A pattern that cannot be read.
    #[error("`{pattern}` is no pattern: {problem}")]
    Glob {
        /// As it was written.
        pattern: String,
        /// What is the matter with it.
        problem: String,
    },
}

impl HostPattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is about this host: a name or an address as a URL has it, without port. Neither
    /// case nor a dot at the end matters.
    pub fn covers(&self, host: &str) -> bool {
        let host = plain(host);
        match &self.kind {
            Kind::Exact(name) => host == *name,
            Kind::Below(name) => host
                .strip_suffix(name.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
            Kind::Glob(glob) => glob.is_match(host),
        }
    }
}

/// A name as it is compared.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl FromStr for HostPattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern::Host(text.to_owned());
        let host = |name: &str| Host::parse(name).map(|host| plain(&host.to_string()));
        let is_address = || text.starts_with('[') && Host::parse(text).is_ok();
        let kind = if text.contains(['*', '?', '{', '[']) && !is_address() {
            Kind::Glob(Box::new(glob(text)?))
        } else if text.contains(['/', '@', ' ']) || text.is_empty() {
            return Err(bad());
        } else if let Some(name) = text.strip_prefix('.') {
            Kind::Below(host(name).map_err(|_| bad())?)
        } else {
            Kind::Exact(host(text).map_err(|_| bad())?)
        };
        Ok(Self { text: text.to_owned(), kind })
    }
}

fn glob(text: &str) -> Result<GlobMatcher, BadPattern> {
    let bad = |problem: String| BadPattern::Glob { pattern: text.to_owned(), problem };
    if text.contains(['/', ':', '@']) {
        return Err(bad("a host has no scheme, port or path".to_owned()));
    }
    if !text.is_ascii() {
        return Err(bad("write its name in the `xn--` form that goes over the wire".to_owned()));
    }
    match Glob::new(&plain(text)) {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(bad(error.kind().to_string())),
    }
}

impl PartialEq for HostPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for HostPattern {}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn each_kind_covers_what_it_says_and_nothing_else() {
        for (text, covered, not) in [
            (
                "Example.com",
                &["example.com", "EXAMPLE.com."][..],
                &["a.example.com", "example.co"][..],
            ),
            (".example.com", &["example.com", "a.b.example.com"], &["evilexample.com", "com"]),
            (
                "*.example.com",
                &["a.example.com", "a.b.example.com."],
                &["example.com", "a.example.com.evil"],
            ),
            ("api-?.example.com", &["api-1.example.com"], &["api-12.example.com"]),
            ("{a,b}.example.com", &["a.example.com", "b.example.com"], &["c.example.com"]),
            ("127.0.0.1", &["127.0.0.1"], &["127.0.0.11"]),
            ("[::1]", &["[::1]"], &["[::2]"]),
            ("münchen.example", &["xn--mnchen-3ya.example"], &["munchen.example"]),
        ] {
            let pattern = pattern(text);
            assert!(covered.iter().all(|host| pattern.covers(host)), "{text}");
            assert!(not.iter().all(|host| !pattern.covers(host)), "{text}");
        }
    }

    #[test]
    fn what_names_no_host_is_refused_by_name() {
        for bad in
            ["", "https://example.com", "example.com:443", "a b", "*.example.com/x", "{a", "*.ü.de"]
        {
            let error = bad.parse::<HostPattern>().unwrap_err();
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
    }
}
