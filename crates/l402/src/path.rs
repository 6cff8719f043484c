//! Paths, where two programs reading one differently would be a free ride: a gateway that sees
//! `/free/../paid` as free in front of an upstream that sees it as paid.

/// Whether every program reads `path` the same way: it starts with `/`, and has no empty, `.` or
/// `..` segment, no backslash, no control character, and no encoded slash, backslash, dot or NUL.
/// A trailing slash is fine.
pub fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let bytes = rest.as_bytes();
    let encoded = bytes.windows(3).any(|w| {
        w[0] == b'%' && matches!(&w[1..].to_ascii_lowercase()[..], b"2f" | b"5c" | b"2e" | b"00")
    });
    if encoded || bytes.iter().any(|&byte| byte == b'\\' || byte.is_ascii_control()) {
        return false;
    }
    let body = rest.strip_suffix('/').unwrap_or(rest);
    rest.is_empty() || body.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
}

/// Whether `path` is `prefix` or lies below it, by whole segments: `/v1` covers `/v1` and `/v1/x`
/// but not `/v10`.
pub fn is_below(prefix: &str, path: &str) -> bool {
    match path.strip_prefix(prefix) {
        Some(rest) => rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_programs_could_read_differently_is_not_plain() {
        for plain in ["/", "/a", "/a/", "/a/b.c", "/a/%20b", "/...", "/a/.b"] {
            assert!(is_plain(plain), "{plain}");
        }
        for odd in [
            "",
            "a",
            "//",
            "//a",
            "/a//b",
            "/a/../b",
            "/a/.",
            "/..",
            "/./a",
            "/a/%2e%2e/b",
            "/a%2Fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a\n",
            "/a//",
        ] {
            assert!(!is_plain(odd), "{odd}");
        }
    }

    #[test]
    fn a_prefix_covers_whole_segments() {
        assert!(is_below("/v1", "/v1") && is_below("/v1", "/v1/x") && is_below("/v1/", "/v1/x"));
        assert!(is_below("/", "/anything"));
        assert!(!is_below("/v1", "/v10") && !is_below("/v1/", "/v1") && !is_below("/v1", "/"));
    }
}
