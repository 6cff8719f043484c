//! How hosts, paths and methods are named in a configuration, and what each name covers. A pattern
//! always covers the whole of what it is held against: one that matched somewhere in the middle would
//! make `/free` of `/paid/free`.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use http::Method;
use l402::path;
use regex::Regex;

/// A regular expression that has to match the whole text.
#[derive(Clone)]
pub struct Pattern {
    written: Arc<str>,
    regex: Regex,
}

/// Which hosts a service answers for. A host is compared in lower case, without its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostMatch {
    /// This one.
    Exact(String),
    /// Every one that begins like this.
    Prefix(String),
    /// Every one that this covers.
    Regex(Pattern),
}

/// Which paths a service, a rule or a list covers. They are compared as the upstream will read them,
/// with `%20` read as a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// This one, letter for letter.
    Exact(String),
    /// This one and all below it, by whole segments.
    Below(String),
    /// All below this, which ends in `/`, and not the folder's own name.
    Within(String),
    /// Every one that this covers.
    Regex(Pattern),
}

/// Which methods a service or a rule covers; none is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Methods(Vec<Method>);

/// What a path in a configuration looks like.
const PATH: &str = "a path begins with `/` and has no empty, `.` or `..` part; \
                    it is written as it reads, so without `%`, `?` and `#`";

impl Pattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// It is none, or it would be too large.
    pub(crate) fn new(written: &str) -> Result<Self, String> {
        // Checked alone first: `a)(b` must not become two groups.
        let alone = Regex::new(written);
        let whole = alone.and_then(|_| Regex::new(&format!("^(?:{written})$")));
        match whole {
            Ok(regex) => Ok(Self { written: written.into(), regex }),
            Err(regex::Error::CompiledTooBig(_)) => Err("the expression is too large".to_owned()),
            Err(why) => {
                let text = why.to_string();
                let last = text.lines().last().unwrap_or_default();
                Err(format!("that is no regular expression: {}", last.trim()))
            }
        }
    }

    fn covers(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl HostMatch {
    /// Reads `api.example.com`, `prefix:api-` or `regex:[a-z]+\\.example\\.com`.
    pub(crate) fn read(written: &str) -> Result<Self, String> {
        match written.split_once(':') {
            Some(("regex", pattern)) => Pattern::new(pattern).map(Self::Regex),
            Some(("prefix", "")) => Err("leave `host` out to answer for every host".to_owned()),
            Some(("prefix", prefix)) => host(prefix).map(Self::Prefix),
            _ => host(written.strip_suffix('.').unwrap_or(written)).map(Self::Exact),
        }
    }

    pub(crate) fn covers(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => host == exact,
            Self::Prefix(prefix) => host.starts_with(prefix.as_str()),
            Self::Regex(pattern) => pattern.covers(host),
        }
    }
}

impl PathMatch {
    /// Every path.
    pub(crate) fn all() -> Self {
        Self::Below("/".to_owned())
    }

    /// Reads `/v1` (and all below it), `exact:/v1` or `regex:/v[0-9]+`: the way in which the paths of
    /// services and rules are written.
    pub(crate) fn read(written: &str) -> Result<Self, String> {
        match written.split_once(':') {
            Some(("regex", pattern)) => Pattern::new(pattern).map(Self::Regex),
            Some(("exact", path)) => readable(path).map(Self::Exact),
            _ => readable(written).map(Self::Below),
        }
    }

    /// Reads `/health`, `/docs/*` or `regex:/v[0-9]+/docs`: the way in which lists of paths are
    /// written, where a path that says nothing more is that path alone.
    pub(crate) fn read_listed(written: &str) -> Result<Self, String> {
        match (written.split_once(':'), written.strip_suffix('*')) {
            (Some(("regex", pattern)), _) => Pattern::new(pattern).map(Self::Regex),
            (_, Some(folder)) if folder.ends_with('/') => readable(folder).map(Self::Within),
            (_, Some(_)) => Err(PATH.to_owned()),
            (_, None) => readable(written).map(Self::Exact),
        }
    }

    pub(crate) fn covers(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Below(prefix) => path::is_below(prefix, path),
            Self::Within(folder) => path.starts_with(folder.as_str()),
            Self::Regex(pattern) => pattern.covers(path),
        }
    }

    /// What is asked first has the smallest: exact paths, then expressions in the order they are
    /// written in, then prefixes, the longest first. Of two that are otherwise alike, the one that
    /// names methods.
    pub(crate) fn rank(&self, methods: &Methods) -> (u8, Reverse<usize>, bool) {
        let any = methods.0.is_empty();
        match self {
            Self::Exact(_) => (0, Reverse(0), any),
            Self::Regex(_) => (1, Reverse(0), false),
            Self::Below(prefix) | Self::Within(prefix) => (2, Reverse(prefix.len()), any),
        }
    }
}

/// A host's name as it is compared: lower case, no port.
fn host(text: &str) -> Result<String, String> {
    let why = if text.contains("://") || text.contains('/') {
        "write the host's name alone, for example `api.example.com`"
    } else if text.parse::<std::net::Ipv6Addr>().is_ok() {
        "write an IPv6 address in brackets: `[::1]`"
    } else if text.contains('*') {
        "there is no `*`; write `prefix:api.` or `regex:.*[.]example[.]com`, or leave `host` out to \
         answer for every host"
    } else {
        match text.parse::<http::uri::Authority>() {
            Ok(authority) if authority.port().is_some() => "write the host without its port",
            Ok(authority) if authority.as_str() == authority.host() => {
                return Ok(authority.host().to_ascii_lowercase());
            }
            _ => "that is no host name; write for example `api.example.com`",
        }
    };
    Err(why.to_owned())
}

/// A path as it stands in a configuration: plain, and as it reads.
pub(crate) fn readable(written: &str) -> Result<String, String> {
    match path::is_plain(written) && !written.contains(['*', '?', '#', '%']) {
        true => Ok(written.to_owned()),
        false => Err(PATH.to_owned()),
    }
}

impl Methods {
    /// Adds one.
    pub(crate) fn add(&mut self, written: &str) -> Result<(), &'static str> {
        let upper = written.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        match Method::from_bytes(written.as_bytes()) {
            Ok(Method::CONNECT) => Err("CONNECT is not for a gateway"),
            Ok(method) if upper => {
                self.0.push(method);
                Ok(())
            }
            _ => Err("write a method in capitals, for example `GET`"),
        }
    }

    /// Those that are named.
    pub fn named(&self) -> &[Method] {
        &self.0
    }

    pub(crate) fn covers(&self, method: &Method) -> bool {
        self.0.is_empty() || self.0.contains(method)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}

/// As it is written.
impl fmt::Display for HostMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Prefix(prefix) => write!(f, "prefix:{prefix}"),
            Self::Regex(pattern) => write!(f, "regex:{}", pattern.written),
        }
    }
}

/// As the path of a service is written.
impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "exact:{path}"),
            Self::Below(path) => f.write_str(path),
            Self::Within(folder) => write!(f, "{folder}*"),
            Self::Regex(pattern) => write!(f, "regex:{}", pattern.written),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(written: &str, path: &str) -> bool {
        PathMatch::read(written).unwrap().covers(path)
    }

    #[test]
    fn a_pattern_covers_the_whole_or_nothing() {
        assert!(covers("regex:/v[0-9]+/free", "/v10/free"));
        for other in ["/paid/v1/free", "/v1/free/paid", "/v1/freedom", "/v1/free\n"] {
            assert!(!covers("regex:/v[0-9]+/free", other), "{other}");
        }
        // An alternative is not a way out of that.
        assert!(!covers("regex:/a|/b", "/a/paid") && !covers("regex:/a|/b", "/paid/b"));
        for bad in ["regex:(", "regex:a)(b", "regex:a{9999}{9999}"] {
            assert!(PathMatch::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_is_a_prefix_unless_it_says_otherwise() {
        assert!(covers("/v1", "/v1/x") && covers("/v1", "/v1") && !covers("/v1", "/v10"));
        assert!(covers("exact:/v1", "/v1") && !covers("exact:/v1", "/v1/"));
        for bad in ["v1", "exact:v1", "/a/../b", "/a%20b", "/a?b", "/a*", "", "/a//b"] {
            assert!(PathMatch::read(bad).is_err(), "{bad}");
        }
        let listed = |written| PathMatch::read_listed(written).unwrap();
        assert!(listed("/v1").covers("/v1") && !listed("/v1").covers("/v1/x"));
        assert!(listed("/v1/*").covers("/v1/x") && !listed("/v1/*").covers("/v1"));
        assert!(listed("regex:/v./x").covers("/v1/x"));
    }

    #[test]
    fn a_host_is_compared_without_case_and_port() {
        let read = |written| HostMatch::read(written);
        assert_eq!(read("API.Example.com."), Ok(HostMatch::Exact("api.example.com".to_owned())));
        assert_eq!(read("[::1]"), Ok(HostMatch::Exact("[::1]".to_owned())));
        assert_eq!(read("prefix:API."), Ok(HostMatch::Prefix("api.".to_owned())));
        assert!(read("regex:.*[.]example[.]com").unwrap().covers("a.example.com"));
        assert!(!read("regex:.*[.]example[.]com").unwrap().covers("a.example.com.evil"));
        for bad in
            ["", "a:80", "http://a", "a/b", "*.a.com", "::1", "u@a", "a b", "prefix:", "regex:("]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn methods_are_written_as_they_are_sent() {
        let mut methods = Methods::default();
        assert!(methods.covers(&Method::GET));
        methods.add("POST").unwrap();
        assert!(methods.covers(&Method::POST) && !methods.covers(&Method::GET));
        for bad in ["get", "", "GE T", "CONNECT"] {
            assert!(methods.add(bad).is_err(), "{bad}");
        }
    }
}
