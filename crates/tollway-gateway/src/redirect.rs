//! The answer to everything that comes without TLS where TLS is spoken elsewhere: the same address with
//! `https`. Nothing is sold here, and nothing is passed on: what a client sends in the clear was for
//! everybody on the way to see.

use bytes::Bytes;
use http::header::{HeaderValue, LOCATION};
use http::request::Parts;
use http::uri::Authority;
use http::{Request, Response, StatusCode, Uri};
use hyper::body::Incoming;

use crate::body::{self, Body};
use crate::gateway::Snapshot;
use crate::respond::{Ended, Form, respond};
use crate::route::{self, BadRequest};

/// The port that `https` means when none is said.
const HTTPS: u16 = 443;

/// Where to come again: to `port`, unless the configuration names another.
pub(crate) fn answer(snapshot: &Snapshot, port: u16, request: Request<Incoming>) -> Response<Body> {
    let port = snapshot.tls.as_ref().and_then(|tls| tls.redirect_port()).unwrap_or(port);
    let (head, body) = request.into_parts();
    let answer = match elsewhere(&head, port) {
        Ok(location) => {
            let mut response = Response::new(Bytes::new());
            // Unlike 301, it does not make a GET of a POST (RFC 9110 section 15.4.9).
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(LOCATION, location);
            response
        }
        Err(bad) => respond(&Ended::BadRequest(bad), &Form::of(&head)),
    };
    body::let_finish(&head, body);
    answer.map(Body::own)
}

fn elsewhere(head: &Parts, port: u16) -> Result<HeaderValue, BadRequest> {
    let host = route::host_of(head)?.ok_or(BadRequest::NoHost)?;
    location(&host, port, &head.uri).ok_or(BadRequest::Host)
}

fn location(host: &HeaderValue, port: u16, uri: &Uri) -> Option<HeaderValue> {
    let authority: Authority = host.to_str().ok()?.parse().ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let port = if port == HTTPS { String::new() } else { format!(":{port}") };
    HeaderValue::try_from(format!("https://{}{port}{path}", authority.host())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_with_another_scheme_and_port() {
        for (host, port, target, expected) in [
            ("a.example", 443, "/x?y=1", "https://a.example/x?y=1"),
            ("a.example:80", 443, "/", "https://a.example/"),
            ("a.example:8080", 8443, "/x", "https://a.example:8443/x"),
            ("[::1]:80", 443, "/%2e", "https://[::1]/%2e"),
            ("a.example", 443, "http://b.example/c", "https://a.example/c"),
        ] {
            let host = HeaderValue::from_static(host);
            let found = location(&host, port, &target.parse().unwrap()).unwrap();
            assert_eq!(found, expected);
        }
    }
}
