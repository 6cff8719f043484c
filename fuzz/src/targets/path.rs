//! A prefix and a path, a line each. A path that is called plain must mean the same to a program
//! that normalises it.

use http::uri::PathAndQuery;
use l402::path::{is_below, is_plain};
use percent_encoding::percent_decode_str;

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (prefix, path) = text.split_once('\n').unwrap_or(("/", text));
    // Only what can stand in a request gets this far.
    let Ok(parsed) = PathAndQuery::try_from(path) else { return };
    if parsed.query().is_some() || parsed.path() != path || !is_plain(path) {
        return;
    }
    let normal = url::Url::parse(&format!("http://host{path}")).expect("a plain path");
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    assert_eq!(decoded(normal.path()), decoded(path), "another program reads another path");

    if is_plain(prefix) && is_below(prefix, path) {
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let mut segments = path.split('/');
        assert!(prefix.split('/').all(|segment| segments.next() == Some(segment)));
    }
}
