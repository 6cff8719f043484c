//! The way to an upstream and back, opened: what is done to each request's path and headers, and to
//! each answer's.

use std::time::Duration;

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Request, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::config;
use crate::config::FetchError;
use crate::cors::Cors;
use crate::reading::Ambiguous;

/// What a path cannot carry as it is (RFC 3986 section 3.3).
const NEEDED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b'%');

/// The way to one upstream and back.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    /// As the configuration has it, and as it stands in a path.
    strip: Option<(String, String)>,
    add: String,
    request: Edits,
    pub(crate) response: Edits,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) body_limit: Option<u64>,
    pub(crate) cors: Option<Cors>,
    /// Whether requests in gRPC-Web are made gRPC.
    pub(crate) grpc_web: bool,
}

/// Headers to take out and to put in.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
}

/// A header's value cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// A secret in it is not there.
    #[error("the header `{name}`: {source}")]
    Fetch {
        /// Which header.
        name: HeaderName,
        /// Why.
        source: FetchError,
    },
    /// What was fetched has line breaks in it, or other things that no header carries.
    #[error("the header `{name}`: what its secret says is not one line of text")]
    Value {
        /// Which header.
        name: HeaderName,
    },
}

impl Passage {
    pub(crate) fn open(
        config: &config::Passage,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, HeaderError> {
        let encoded = |path: &String| utf8_percent_encode(path, NEEDED).to_string();
        Ok(Self {
            strip: config.strip_prefix.as_ref().map(|prefix| (prefix.clone(), encoded(prefix))),
            add: config.add_prefix.as_ref().map(encoded).unwrap_or_default(),
            request: Edits::open(&config.request, &env)?,
            response: Edits::open(&config.response, &env)?,
            idle_timeout: config.idle_timeout,
            body_limit: config.body_limit,
            cors: config.cors.as_ref().map(Cors::new),
            grpc_web: config.grpc_web,
        })
    }

    /// The path as the upstream gets it, if that is another than the client's. It is checked before the request is judged, so that nobody
    /// pays for what cannot be sent.
    ///
    /// # Errors
    /// The prefix to be taken off is there in one reading of the path and not in the other.
    pub(crate) fn rewrite(&self, uri: &Uri) -> Result<Option<Uri>, Ambiguous> {
        if self.strip.is_none() && self.add.is_empty() {
            return Ok(None);
        }
        let path = uri.path();
        let rest = match &self.strip {
            None => path,
            Some((prefix, encoded)) => match below(encoded, path) {
                Some(rest) => rest,
                None => {
                    let decoded = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
                    match below(prefix, &decoded) {
                        Some(_) => return Err(Ambiguous),
                        None => path,
                    }
                }
            },
        };
        let slash = if rest.starts_with('/') { "" } else { "/" };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let whole = format!("{}{slash}{rest}{query}", self.add);
        let path = PathAndQuery::try_from(whole).expect("parts of paths make a path");
        Ok(Some(Uri::from(path)))
    }

    /// Changes a request's headers. Returns the host that the upstream is to see, if that is another
    /// than the client asked for.
    pub(crate) fn edit<B>(&self, request: &mut Request<B>) -> Option<HeaderValue> {
        self.request.apply(request.headers_mut());
        let host = self.request.set.iter().find(|(name, _)| *name == HOST);
        host.map(|(_, value)| value.clone())
    }
}

/// What is left of `path` without `prefix`, by whole segments.
fn below<'p>(prefix: &str, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl Edits {
    fn open(
        config: &config::Edits,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, HeaderError> {
        let mut set = Vec::with_capacity(config.set.len());
        for (name, template) in &config.set {
            let fetched = template
                .fetch(&env)
                .map_err(|source| HeaderError::Fetch { name: name.clone(), source })?;
            let mut value = HeaderValue::from_str(fetched.expose())
                .map_err(|_| HeaderError::Value { name: name.clone() })?;
            value.set_sensitive(true);
            set.push((name.clone(), value));
        }
        Ok(Self { remove: config.remove.clone(), set })
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(strip: &str, add: &str, uri: &str) -> String {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let config = config::Passage {
            strip_prefix: some(strip),
            add_prefix: some(add),
            ..config::Passage::default()
        };
        let passage = Passage::open(&config, |_| None).unwrap();
        let uri: Uri = uri.parse().unwrap();
        match passage.rewrite(&uri) {
            Ok(rewritten) => rewritten.unwrap_or(uri).to_string(),
            Err(Ambiguous) => "refused".to_owned(),
        }
    }

    #[test]
    fn a_prefix_is_taken_off_and_another_put_on() {
        for (strip, add, uri, expected) in [
            ("", "", "/a/b?c", "/a/b?c"),
            ("/a", "", "/a/b?c", "/b?c"),
            ("/a", "", "/a", "/"),
            ("/a", "", "/a/", "/"),
            ("/a", "", "/ab", "/ab"),
            ("/a", "", "/b", "/b"),
            ("", "/x", "/a?b", "/x/a?b"),
            ("/a", "/x/y", "/a/b", "/x/y/b"),
            ("/a", "/x", "/a", "/x/"),
            ("/a b", "", "/a%20b/c%20d", "/c%20d"),
            ("/a", "", "/%61/b", "refused"),
        ] {
            assert_eq!(rewritten(strip, add, uri), expected, "{strip} {add} {uri}");
        }
    }
}
