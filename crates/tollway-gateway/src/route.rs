//! Which service a request belongs to. What two programs could read differently is refused here,
//! before anybody reads it at all.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};
use l402::path;

/// Why a request cannot be routed at all.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    /// See [`is_plain`].
    #[error(
        "the path can be read in more than one way; \
         it may have no empty, `.` or `..` part and no `%2F`, `%5C`, `%2E` or `%00`"
    )]
    Path,
    /// HTTP/1.1 asks for one (RFC 9112 section 3.2).
    #[error("the request has no Host")]
    NoHost,
    /// Two of them, and which is meant is anybody's guess.
    #[error("the request has more than one Host")]
    TwoHosts,
    /// Not a host and a port.
    #[error("the request's Host cannot be read")]
    Host,
    /// This is no forward proxy.
    #[error("CONNECT is not for a gateway")]
    Connect,
}

/// Host and path to whatever a service is. The most exact route wins: a service that names the host
/// before one that answers for every host, then the longer prefix.
#[derive(Debug)]
pub(crate) struct Routes<T> {
    by_host: HashMap<String, Vec<Route<T>>>,
    any: Vec<Route<T>>,
}

#[derive(Debug)]
struct Route<T> {
    prefix: String,
    service: Arc<T>,
}

impl<T> Routes<T> {
    pub(crate) fn new() -> Self {
        Self { by_host: HashMap::new(), any: Vec::new() }
    }

    /// Adds a service for `hosts` (lower case, no port; none is every host), below `prefix`.
    pub(crate) fn add(&mut self, hosts: &[String], prefix: &str, service: &Arc<T>) {
        let insert = |routes: &mut Vec<Route<T>>| {
            let at = routes.partition_point(|route| route.prefix.len() >= prefix.len());
            routes.insert(at, Route { prefix: prefix.to_owned(), service: Arc::clone(service) });
        };
        if hosts.is_empty() {
            insert(&mut self.any);
        }
        for host in hosts {
            insert(self.by_host.entry(host.clone()).or_default());
        }
    }

    /// The service of a request to `host` (see [`host_of`]).
    pub(crate) fn find(&self, host: Option<&HeaderValue>, path: &str) -> Option<&Arc<T>> {
        self.of_host(host).find(|route| path::is_below(&route.prefix, path)).map(|r| &r.service)
    }

    /// Every service that this host's requests can belong to, the most exact first.
    pub(crate) fn services(&self, host: Option<&HeaderValue>) -> impl Iterator<Item = &Arc<T>> {
        self.of_host(host).map(|route| &route.service)
    }

    fn of_host(&self, host: Option<&HeaderValue>) -> impl Iterator<Item = &Route<T>> {
        let named = host
            .filter(|_| !self.by_host.is_empty())
            .and_then(|host| self.by_host.get(&*name(host)))
            .map_or(&[][..], Vec::as_slice);
        named.iter().chain(&self.any)
    }
}

/// The host's name as routes have it: lower case, no port, no final dot.
fn name(host: &HeaderValue) -> Cow<'_, str> {
    let text = host.to_str().unwrap_or_default();
    let text = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => &text[..colon],
        _ => text,
    };
    let text = text.strip_suffix('.').unwrap_or(text);
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

/// The host that a request is for, with its port: from the target if it is there (HTTP/2, or
/// HTTP/1.1 in absolute form), else from `Host`, as RFC 9112 section 3.2.2 says. Refuses what cannot
/// be routed safely.
///
/// # Errors
/// See [`BadRequest`]. HTTP/1.0 may leave the host out.
pub(crate) fn host_of(head: &Parts) -> Result<Option<HeaderValue>, BadRequest> {
    if head.method == Method::CONNECT {
        return Err(BadRequest::Connect);
    }
    if !is_plain(head.uri.path()) {
        return Err(BadRequest::Path);
    }
    let mut lines = head.headers.get_all(HOST).iter();
    let (line, more) = (lines.next(), lines.next());
    if more.is_some() {
        return Err(BadRequest::TwoHosts);
    }
    if let Some(authority) = head.uri.authority() {
        check(authority)?;
        return HeaderValue::from_str(authority.as_str()).map(Some).map_err(|_| BadRequest::Host);
    }
    match line {
        Some(line) => {
            check(&Authority::try_from(line.as_bytes()).map_err(|_| BadRequest::Host)?)?;
            Ok(Some(line.clone()))
        }
        None if head.version == Version::HTTP_11 => Err(BadRequest::NoHost),
        None => Ok(None),
    }
}

/// A host with a user name in front of it is somebody's trick.
fn check(authority: &Authority) -> Result<(), BadRequest> {
    match authority.as_str().contains('@') || authority.host().is_empty() {
        true => Err(BadRequest::Host),
        false => Ok(()),
    }
}

/// Whether everybody reads `path` the same way: as [`path::is_plain`] has it, and without `..;x`,
/// which servers that know path parameters take for `..`.
pub(crate) fn is_plain(path: &str) -> bool {
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("" | "." | ".."));
    path::is_plain(path) && (!path.contains(';') || !path[1..].split('/').any(dots))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes<&'static str> {
        let mut routes = Routes::new();
        let a = ["a.example".to_owned(), "b.example".to_owned()];
        routes.add(&[], "/", &Arc::new("all"));
        routes.add(&[], "/v1", &Arc::new("v1"));
        routes.add(&[], "/v1/x", &Arc::new("v1x"));
        routes.add(&a, "/v1", &Arc::new("a"));
        routes
    }

    #[test]
    fn the_most_exact_route_wins() {
        let routes = routes();
        for (host, path, service) in [
            ("c.example", "/", "all"),
            ("c.example", "/v10", "all"),
            ("c.example", "/v1", "v1"),
            ("c.example", "/v1/y", "v1"),
            ("c.example", "/v1/x/y", "v1x"),
            ("A.Example:8402", "/v1/x/y", "a"),
            ("b.example.", "/v1", "a"),
            ("b.example", "/", "all"),
        ] {
            let host = HeaderValue::from_str(host).unwrap();
            assert_eq!(routes.find(Some(&host), path).map(|s| **s), Some(service), "{path}");
        }
        assert_eq!(routes.find(None, "/v1").map(|s| **s), Some("v1"));
    }

    #[test]
    fn no_route_is_none() {
        let mut routes = Routes::new();
        routes.add(&["a.example".to_owned()], "/", &Arc::new("a"));
        assert_eq!(routes.find(None, "/"), None);
        assert_eq!(routes.find(Some(&HeaderValue::from_static("b.example")), "/"), None);
    }

    fn host(request: http::request::Builder) -> Result<Option<HeaderValue>, BadRequest> {
        host_of(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_target_names_the_host_before_the_header() {
        let get = |target: &str| http::Request::get(target);
        let found = |value| Ok(Some(HeaderValue::from_static(value)));
        assert_eq!(host(get("/a").header(HOST, "x:80")), found("x:80"));
        assert_eq!(host(get("http://y/a").header(HOST, "x")), found("y"));
        assert_eq!(host(get("/a")), Err(BadRequest::NoHost));
        assert_eq!(host(get("/a").version(Version::HTTP_10)), Ok(None));
        assert_eq!(host(get("/a").header(HOST, "x").header(HOST, "x")), Err(BadRequest::TwoHosts));
        for bad in ["u@x", "x/y", "a b", ":80", ""] {
            assert_eq!(host(get("/a").header(HOST, bad)), Err(BadRequest::Host), "{bad}");
        }
        let connect = http::Request::builder().method("CONNECT").uri("x:80");
        assert_eq!(host(connect.header(HOST, "x:80")), Err(BadRequest::Connect));
    }

    #[test]
    fn a_path_that_two_programs_read_differently_is_refused() {
        for odd in ["/free/..;/paid", "/..;a=b/paid", "/.;/paid", "/a/;x/b", "/a/../b", "*"] {
            assert!(!is_plain(odd), "{odd}");
        }
        for plain in ["/a;b=c/d", "/a..;b", "/"] {
            assert!(is_plain(plain), "{plain}");
        }
    }
}
