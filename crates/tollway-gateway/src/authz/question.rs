//! The request that a question is about, put together from what a proxy says of it. What it leaves out
//! is not guessed: a question without the path would be about the path of the question itself.

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Uri};

/// What a proxy did not say, or not so that it can only mean one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadQuestion {
    /// Nothing, or more than one thing.
    #[error("the proxy has to send exactly one `{0}`; docs/forward-auth.md shows how")]
    NotOne(HeaderName),
    /// A path and a query begin with `/` and have no `#`.
    #[error("the request's target is no path and query")]
    Target,
    /// Not a method.
    #[error("the request's method is none")]
    Method,
    /// A header's name or value is none.
    #[error("the request's headers cannot be read")]
    Header,
}

/// The one line of that name.
pub(super) fn one<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<&'a HeaderValue, BadQuestion> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (Some(line), None) => Ok(line),
        _ => Err(BadQuestion::NotOne(name.clone())),
    }
}

/// The head of the request that is asked about.
pub(super) fn head(
    method: &[u8],
    target: &[u8],
    host: &HeaderValue,
    mut headers: HeaderMap,
) -> Result<Parts, BadQuestion> {
    // A `#` ends a path for us, and not for everybody.
    if !target.starts_with(b"/") || target.contains(&b'#') {
        return Err(BadQuestion::Target);
    }
    let target = PathAndQuery::try_from(target).map_err(|_| BadQuestion::Target)?;
    // These belong to the question.
    for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers.insert(HOST, host.clone());
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = Method::from_bytes(method).map_err(|_| BadQuestion::Method)?;
    head.uri = Uri::from(target);
    head.headers = headers;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_programs_read_differently_is_no_target() {
        let host = HeaderValue::from_static("h");
        let read = |target: &str| head(b"GET", target.as_bytes(), &host, HeaderMap::new());
        assert_eq!(read("/a?b=/../c").unwrap().uri, "/a?b=/../c");
        for bad in ["", "a", "http://x/a", "*", "/free#/../paid", "/a b", "//"] {
            let found = read(bad).map(|head| crate::route::host_of(&head).map(drop));
            assert!(!matches!(found, Ok(Ok(()))), "{bad}");
        }
    }
}
