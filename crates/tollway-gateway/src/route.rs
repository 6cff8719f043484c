//! Which service a request belongs to. What two programs could read differently is refused here,
//! before anybody reads it at all.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use http::{Method, Version};

use crate::matching::{HostMatch, Methods, PathMatch};
use crate::reading::{Ambiguous, is_plain};

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
    /// What is encoded and need not be makes another path of it.
    #[error("the path can be read in more than one way; encode only what has to be encoded")]
    Readings,
    /// HTTP/1.1 asks for one (RFC 9112 section 3.2).
    #[error("the request has no Host")]
    NoHost,
    /// Two of them, and which is meant is anybody's guess.
    #[error("the request has more than one Host")]
    TwoHosts,
    /// Not a host and a port.
    #[error("the request's Host cannot be read")]
    Host,
    /// Whoever serves it might believe that, and it was not priced.
    #[error(
        "a header like `X-Original-URL` or `X-HTTP-Method-Override` names another path or method \
         than the request's own; take it out"
    )]
    Elsewhere,
    /// This is no forward proxy.
    #[error("CONNECT is not for a gateway")]
    Connect,
}

impl From<Ambiguous> for BadRequest {
    fn from(_: Ambiguous) -> Self {
        Self::Readings
    }
}

/// Host, path and method to whatever a service is. The most exact route wins, in the order of
/// [`Routes::of_host`] and then of [`PathMatch::rank`].
#[derive(Debug)]
pub(crate) struct Routes<T> {
    by_host: HashMap<String, Vec<Route<T>>>,
    /// Prefixes, the longest first, and then expressions in the order in which they were added.
    by_pattern: Vec<(HostMatch, Vec<Route<T>>)>,
    any: Vec<Route<T>>,
}

#[derive(Debug)]
struct Route<T> {
    path: PathMatch,
    methods: Methods,
    service: Arc<T>,
}

impl<T> Routes<T> {
    pub(crate) fn new() -> Self {
        Self { by_host: HashMap::new(), by_pattern: Vec::new(), any: Vec::new() }
    }

    /// Adds a service for `hosts` (none is every host), `paths` and `methods`.
    pub(crate) fn add(
        &mut self,
        hosts: &[HostMatch],
        paths: &[PathMatch],
        methods: &Methods,
        service: &Arc<T>,
    ) {
        for path in paths {
            let insert = |routes: &mut Vec<Route<T>>| {
                let rank = path.rank(methods);
                let at = routes.partition_point(|route| route.path.rank(&route.methods) <= rank);
                let (path, methods) = (path.clone(), methods.clone());
                routes.insert(at, Route { path, methods, service: Arc::clone(service) });
            };
            if hosts.is_empty() {
                insert(&mut self.any);
            }
            for host in hosts {
                insert(self.routes_of(host));
            }
        }
    }

    fn routes_of(&mut self, host: &HostMatch) -> &mut Vec<Route<T>> {
        if let HostMatch::Exact(name) = host {
            return self.by_host.entry(name.clone()).or_default();
        }
        let there = self.by_pattern.iter().position(|(pattern, _)| pattern == host);
        let at = there.unwrap_or_else(|| {
            let rank = |host: &HostMatch| match host {
                HostMatch::Prefix(prefix) => (0, Reverse(prefix.len())),
                HostMatch::Exact(_) | HostMatch::Regex(_) => (1, Reverse(0)),
            };
            let new = rank(host);
            let at = self.by_pattern.partition_point(|(pattern, _)| rank(pattern) <= new);
            self.by_pattern.insert(at, (host.clone(), Vec::new()));
            at
        });
        &mut self.by_pattern[at].1
    }

    /// The service of a request to `host` (see [`host_of`]); `path` is one of its readings.
    pub(crate) fn find(
        &self,
        host: Option<&HeaderValue>,
        method: &Method,
        path: &str,
    ) -> Option<&Arc<T>> {
        let covers = |route: &Route<T>| route.path.covers(path) && route.methods.covers(method);
        self.of_host(host, |routes| routes.iter().find(|route| covers(route)))
            .map(|route| &route.service)
    }

    /// Every service that this host's requests can belong to, each once, the most exact first.
    pub(crate) fn services(&self, host: Option<&HeaderValue>) -> Vec<&Arc<T>> {
        let mut services: Vec<&Arc<T>> = Vec::new();
        self.of_host(host, |routes| {
            for route in routes {
                if !services.iter().any(|service| Arc::ptr_eq(service, &route.service)) {
                    services.push(&route.service);
                }
            }
            None::<()>
        });
        services
    }

    /// Every service; one with several routes comes several times.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<T>> {
        let patterns = self.by_pattern.iter().map(|(_, routes)| routes);
        let routes = self.by_host.values().chain(patterns).chain([&self.any]);
        routes.flatten().map(|route| &route.service)
    }

    /// Asks the routes of one host until there is an answer: those that name it, those of patterns
    /// that cover it, and those for every host.
    fn of_host<'r, A>(
        &'r self,
        host: Option<&HeaderValue>,
        mut ask: impl FnMut(&'r [Route<T>]) -> Option<A>,
    ) -> Option<A> {
        if let Some(host) = host.filter(|_| !self.by_host.is_empty() || !self.by_pattern.is_empty())
        {
            let name = name(host);
            let named = self.by_host.get(&*name).and_then(|routes| ask(routes));
            let matched = || {
                let covering = self.by_pattern.iter().filter(|(pattern, _)| pattern.covers(&name));
                covering.into_iter().find_map(|(_, routes)| ask(routes))
            };
            if let Some(answer) = named.or_else(matched) {
                return Some(answer);
            }
        }
        ask(&self.any)
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

/// The host that a request is for, without its port, of a request that [`host_of`] has let pass.
pub(crate) fn asked_host(head: &Parts) -> Option<&str> {
    let header = || {
        let text = head.headers.get(HOST)?.to_str().ok()?;
        match text.rsplit_once(':') {
            Some((host, _)) if !text.ends_with(']') => Some(host),
            _ => Some(text),
        }
    };
    http::Uri::host(&head.uri).or_else(header)
}

/// A host with a user name in front of it is somebody's trick.
fn check(authority: &Authority) -> Result<(), BadRequest> {
    match authority.as_str().contains('@') || authority.host().is_empty() {
        true => Err(BadRequest::Host),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each service is named by the hosts, paths and methods it has.
    fn routes(services: &[(&[&str], &str, &str)]) -> Routes<String> {
        let mut routes = Routes::new();
        for (hosts, path, method) in services {
            let hosts: Vec<HostMatch> =
                hosts.iter().map(|host| HostMatch::read(host).unwrap()).collect();
            let mut methods = Methods::default();
            if !method.is_empty() {
                methods.add(method).unwrap();
            }
            let name = format!("{hosts:?} {path} {method}");
            let name = name.replace(['"', '[', ']'], "");
            let paths = [PathMatch::read(path).unwrap()];
            routes.add(&hosts, &paths, &methods, &Arc::new(name.trim().to_owned()));
        }
        routes
    }

    fn find<'r>(routes: &'r Routes<String>, host: &str, method: &str, path: &str) -> &'r str {
        let (host, method) = (HeaderValue::from_str(host).unwrap(), method.parse().unwrap());
        routes.find(Some(&host), &method, path).map_or("none", |service| service.as_str())
    }

    #[test]
    fn the_most_exact_path_wins() {
        let routes = routes(&[
            (&[], "/", ""),
            (&[], "/v1", ""),
            (&[], "/v1", "POST"),
            (&[], "/v1/x", ""),
            (&[], "regex:/v[0-9]/m/.*", ""),
            (&[], "regex:/v1/.*/n", ""),
            (&[], "exact:/v1/m/n", ""),
        ]);
        for (method, path, service) in [
            ("GET", "/", "/"),
            ("GET", "/v10", "/"),
            ("GET", "/v1", "/v1"),
            ("POST", "/v1/y", "/v1 POST"),
            ("GET", "/v1/x/y", "/v1/x"),
            ("POST", "/v1/x/y", "/v1/x"),
            ("GET", "/v2/m/n", "regex:/v[0-9]/m/.*"),
            ("GET", "/v1/m/n", "exact:/v1/m/n"),
            ("GET", "/v1/m/o/n", "regex:/v[0-9]/m/.*"),
            ("GET", "/v1/o/n", "regex:/v1/.*/n"),
        ] {
            let service = service.replace(['[', ']'], "");
            assert_eq!(find(&routes, "x", method, path), service, "{method} {path}");
        }
        assert_eq!(routes.find(None, &Method::GET, "/v1").unwrap().as_str(), "/v1");
    }

    #[test]
    fn the_most_exact_host_wins() {
        let routes = routes(&[
            (&[], "/", ""),
            (&["a.example", "b.example"], "/v1", ""),
            (&["regex:.*\\.example"], "/", ""),
            (&["prefix:a."], "/v1", ""),
            (&["prefix:a.ex"], "/", ""),
        ]);
        for (host, path, service) in [
            ("A.Example:8402", "/v1/x", "Exact(a.example), Exact(b.example) /v1"),
            ("b.example.", "/v1", "Exact(a.example), Exact(b.example) /v1"),
            ("a.example", "/", "Prefix(a.ex) /"),
            ("a.org", "/v1", "Prefix(a.) /v1"),
            ("a.org", "/", "/"),
            ("c.example", "/v1", "Regex(.*\\\\.example) /"),
            ("c.example.org", "/", "/"),
        ] {
            assert_eq!(find(&routes, host, "GET", path), service, "{host} {path}");
        }
    }

    #[test]
    fn no_route_is_none() {
        let routes = routes(&[(&["a.example"], "/", "GET")]);
        assert_eq!(find(&routes, "b.example", "GET", "/"), "none");
        assert_eq!(find(&routes, "a.example", "PUT", "/"), "none");
        assert!(routes.find(None, &Method::GET, "/").is_none());
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
}
