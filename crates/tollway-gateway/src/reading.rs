//! The ways in which a path can be read. A client may write `a` as `%61`; most upstreams read both
//! alike, and some do not. A request is priced by what its path says to all of them, or not at all.

use std::borrow::Cow;

use l402::path;
use percent_encoding::percent_decode_str;

/// A path as it will be read by an upstream that decodes everything, and, where the client encoded
/// what needs no encoding, as it will be read by one that leaves that alone.
#[derive(Debug)]
pub(crate) struct Readings<'a> {
    decoded: Cow<'a, str>,
    other: Option<String>,
}

/// Two readings lead to different places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

impl<'a> Readings<'a> {
    /// Of a path as it came.
    pub(crate) fn of(path: &'a str) -> Self {
        if !path.contains('%') {
            return Self { decoded: Cow::Borrowed(path), other: None };
        }
        let decoded = percent_decode_str(path).decode_utf8_lossy();
        let cautious = decode_needed(path);
        let other = (cautious != decoded).then_some(cautious);
        Self { decoded, other }
    }

    /// The path as most upstreams read it.
    pub(crate) fn decoded(&self) -> &str {
        &self.decoded
    }

    /// Where the path leads, when all readings agree on it.
    pub(crate) fn agree<T: PartialEq>(&self, lead: impl Fn(&str) -> T) -> Result<T, Ambiguous> {
        let led = lead(&self.decoded);
        match &self.other {
            Some(other) if lead(other) != led => Err(Ambiguous),
            _ => Ok(led),
        }
    }
}

/// Decodes only what a path cannot carry as it is (RFC 3986 section 3.3).
fn decode_needed(path: &str) -> String {
    let mut rest = path;
    let mut kept = String::with_capacity(path.len());
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let code = from.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let length = if code.is_some() { 3 } else { 1 };
        let keep = code.is_some_and(could_stand_alone);
        if keep {
            kept.push_str("%25");
            kept.push_str(&from[1..length]);
        } else {
            kept.push_str(&from[..length]);
        }
        rest = &from[length..];
    }
    kept.push_str(rest);
    percent_decode_str(&kept).decode_utf8_lossy().into_owned()
}

/// RFC 3986 `pchar`, without what is encoded.
fn could_stand_alone(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

/// Whether everybody reads `path` the same way: as [`path::is_plain`] has it, also when it is decoded,
/// and without `..;x`, which servers that know path parameters take for `..`.
pub(crate) fn is_plain(path: &str) -> bool {
    if !plain(path) {
        return false;
    }
    !path.contains('%') || plain(&percent_decode_str(path).decode_utf8_lossy())
}

fn plain(path: &str) -> bool {
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("" | "." | ".."));
    path::is_plain(path) && (!path.contains(';') || !path[1..].split('/').any(dots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_two_programs_read_differently_is_refused() {
        for odd in [
            "/free/..;/paid",
            "/..;a=b/paid",
            "/.;/paid",
            "/a/;x/b",
            "/a/../b",
            "*",
            "/..%3b/paid",
            "/a/%252e%252e/b",
            "/a%0d%0ab",
        ] {
            assert!(!is_plain(odd), "{odd}");
        }
        for plain in ["/a;b=c/d", "/a..;b", "/", "/a%20b", "/100%25", "/%c3%a9", "/a%3Bb"] {
            assert!(is_plain(plain), "{plain}");
        }
    }

    #[test]
    fn readings_that_differ_must_lead_to_the_same_place() {
        let lead = |path: &str| path.starts_with("/dear");
        let agree = |path| Readings::of(path).agree(lead);
        assert_eq!(agree("/dear/x"), Ok(true));
        assert_eq!(agree("/dear/%78"), Ok(true));
        assert_eq!(agree("/%64ear/x"), Err(Ambiguous));
        assert_eq!(agree("/cheap%20one"), Ok(false));
        // What has to be encoded has one reading.
        let spaced = |path| Readings::of(path).agree(|path| path == "/é b");
        assert_eq!(spaced("/%C3%A9%20b"), Ok(true));
        assert_eq!(spaced("/é b"), Ok(true));
        let method = |path| Readings::of(path).agree(|path| path == "/models:run");
        assert_eq!(method("/models%3Arun"), Err(Ambiguous));
        assert_eq!(method("/%"), Ok(false));
    }
}
