//! What is taken out of a message on its way through, and what is put in: headers that are for one
//! connection only, credentials that are for us, and what the upstream should know of the client.

use http::header::{
    AUTHORIZATION, CONNECTION, COOKIE, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, WWW_AUTHENTICATE,
};
use l402::credential;

use crate::claim;
use crate::tls;

/// Headers that concern one connection and are never passed on (RFC 9110 section 7.6.1, and
/// section 11.7 for a proxy's own).
static ONE_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Where a credential of ours stands beside `Authorization`, and what is asked of us alone.
static OTHER_CREDENTIALS: [HeaderName; 4] = [
    HeaderName::from_static("macaroon"),
    HeaderName::from_static("grpc-metadata-macaroon"),
    HeaderName::from_static("payment-authorization"),
    HeaderName::from_static("accept-payment"),
];
static TOKEN: HeaderName = HeaderName::from_static("token");

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Other names for the path and the method of a request.
const ELSEWHERE: [&str; 5] = [
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// Whether a request speaks gRPC, and so must be answered in gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Takes out what concerns the last connection only, and whatever `Connection` names (RFC 9110, section
/// 7.6.1). Returns whether the sender takes trailers, which the next one has to be told anew.
pub fn strip_one_hop(headers: &mut HeaderMap) -> bool {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .filter(|name| !ONE_HOP.contains(name))
        .collect();
    let takes_trailers = headers.get_all(TE).iter().any(|line| has_word(line, "trailers"));
    for name in &named {
        headers.remove(name);
    }
    remove_all(headers, &ONE_HOP);
    takes_trailers
}

/// Most messages have none of them: to look through a few names once costs less than to look each of
/// these up.
fn remove_all(headers: &mut HeaderMap, names: &[HeaderName]) {
    if headers.keys().any(|name| names.contains(name)) {
        for name in names {
            headers.remove(name);
        }
    }
}

/// Whether a comma-separated header has that word in it.
pub(crate) fn has_word(line: &HeaderValue, word: &str) -> bool {
    let same = |item: &[u8]| item.trim_ascii().eq_ignore_ascii_case(word.as_bytes());
    line.as_bytes().split(|&byte| byte == b',').any(same)
}

/// Takes out every credential of ours, whether it could be read or not: whoever sees one can use it.
/// `Authorization` in other schemes is the upstream's and stays.
pub(crate) fn strip_credentials(headers: &mut HeaderMap) {
    remove_all(headers, &OTHER_CREDENTIALS);
    // Outside gRPC `token` is anybody's name for anything.
    if is_grpc(headers) {
        headers.remove(&TOKEN);
    }
    if !headers.get_all(AUTHORIZATION).iter().any(credential::is_ours) {
        return;
    }
    let others: Vec<HeaderValue> = headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter(|line| !credential::is_ours(line))
        .cloned()
        .collect();
    headers.remove(AUTHORIZATION);
    for line in others {
        headers.append(AUTHORIZATION, line);
    }
}

/// Says who asked for what, and by which certificate. What the client itself says about that is not believed.
pub(crate) fn set_forwarded(
    headers: &mut HeaderMap,
    client: &HeaderValue,
    scheme: &HeaderValue,
    host: Option<&HeaderValue>,
) {
    let claimed: Vec<HeaderName> = headers.keys().filter(|n| is_claim(n)).cloned().collect();
    for name in claimed {
        headers.remove(name);
    }
    headers.insert(FORWARDED_FOR.clone(), client.clone());
    headers.insert(FORWARDED_PROTO.clone(), scheme.clone());
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST.clone(), host.clone());
    }
}

/// Whether a header claims where a request comes from, or where it really wants to go: some servers
/// believe these before the path and the method that were paid for. `_` counts as `-`: programs behind CGI and
/// its heirs cannot tell them apart.
fn is_claim(name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let is = |word: &str, name: &[u8]| {
        let dash = |byte: u8| if byte == b'_' { b'-' } else { byte };
        name.len() == word.len() && name.iter().zip(word.bytes()).all(|(a, b)| dash(*a) == b)
    };
    const PREFIX: &str = "x-forwarded-";
    ["forwarded", "x-real-ip"].into_iter().any(|word| is(word, name))
        || tls::HEADERS.into_iter().any(|word| is(word, name))
        || ELSEWHERE.into_iter().any(|word| is(word, name))
        || (name.len() > PREFIX.len() && is(PREFIX, &name[..PREFIX.len()]))
}

/// Whether a header names another path or method than the request's own.
pub(crate) fn is_elsewhere(name: &HeaderName) -> bool {
    ELSEWHERE.contains(&&*name.as_str().replace('_', "-"))
}

/// HTTP/2 may send a cookie in several lines, HTTP/1.1 may not (RFC 9113 section 8.2.3).
pub(crate) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = HeaderValue::from_bytes(&lines.join(&b"; "[..]));
    headers.insert(COOKIE, joined.expect("header values joined by printable text"));
}

/// Takes an upstream's own demands for money in our schemes out of its answer: a client that pays
/// by itself would pay somebody else's bill with our token. Challenges in other schemes stay.
pub(crate) fn strip_challenges(headers: &mut HeaderMap) {
    // A receipt is ours to give.
    headers.remove(&claim::RECEIPT);
    if !headers.contains_key(WWW_AUTHENTICATE) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(WWW_AUTHENTICATE).iter().cloned().collect();
    headers.remove(WWW_AUTHENTICATE);
    for line in lines {
        // By its text, not by what can be read of it: clients differ in what they can read.
        let text = String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase();
        if !text.contains("l402") && !text.contains("lsat") {
            headers.append(WWW_AUTHENTICATE, line);
            continue;
        }
        let is_ours = |scheme: &str| l402::scheme::find(scheme).is_some();
        let challenges = l402::challenges([&line]);
        for other in challenges.iter().filter(|challenge| !is_ours(&challenge.scheme)) {
            if let Ok(value) = HeaderValue::try_from(rewritten(other)) {
                headers.append(WWW_AUTHENTICATE, value);
            }
        }
    }
}

fn rewritten(challenge: &l402::RawChallenge) -> String {
    let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
    let pairs: Vec<String> = challenge
        .parameters
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", quoted(value)))
        .collect();
    format!("{} {}", challenge.scheme, pairs.join(", ")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            let (name, value) = (HeaderName::from_static(name), HeaderValue::from_str(value));
            map.append(name, value.unwrap());
        }
        map
    }

    #[test]
    fn what_concerns_one_connection_stays_on_it() {
        let mut headers = map(&[
            ("connection", "close, X-Mine"),
            ("connection", "x-other,, ;"),
            ("x-mine", "1"),
            ("x-other", "2"),
            ("x-third", "3"),
            ("te", "gzip, Trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("proxy-authorization", "Basic x"),
            ("keep-alive", "5"),
            ("trailer", "x-sum"),
        ]);
        assert!(strip_one_hop(&mut headers));
        assert_eq!(headers, map(&[("x-third", "3"), ("trailer", "x-sum")]));
        assert!(!strip_one_hop(&mut map(&[("te", "gzip")])));
    }

    #[test]
    fn our_credentials_go_and_others_stay() {
        let mut headers = map(&[
            ("authorization", "Bearer a"),
            ("authorization", "L402 unreadable"),
            ("authorization", "lsat a:b"),
            ("authorization", "Basic b"),
            ("macaroon", "00"),
            ("grpc-metadata-macaroon", "00"),
            ("token", "kept"),
        ]);
        strip_credentials(&mut headers);
        let kept = [("authorization", "Bearer a"), ("authorization", "Basic b")];
        assert_eq!(headers, map(&[kept[0], kept[1], ("token", "kept")]));
        let mut grpc = map(&[("content-type", "application/grpc+proto"), ("token", "00")]);
        strip_credentials(&mut grpc);
        assert!(!grpc.contains_key("token"));
    }

    #[test]
    fn a_client_says_nothing_about_where_it_comes_from() {
        let mut headers = map(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-for", "7.7.7.7"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-forwarded-port", "1"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("client-cert", ":AAAA:"),
            ("x-client-cert_subject", "CN=root"),
            ("x-real", "stays"),
        ]);
        let (client, host) = (HeaderValue::from_static("::1"), HeaderValue::from_static("h:1"));
        set_forwarded(&mut headers, &client, &HeaderValue::from_static("http"), Some(&host));
        let expected = [
            ("x-real", "stays"),
            ("x-forwarded-for", "::1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "h:1"),
        ];
        assert_eq!(headers, map(&expected));
    }

    #[test]
    fn an_upstreams_own_bill_is_not_passed_on() {
        let mut headers = map(&[
            ("www-authenticate", r#"L402 macaroon="a", invoice="b""#),
            ("www-authenticate", r#"Basic realm="x y""#),
            ("www-authenticate", r#"Bearer realm="a \"b", lsat macaroon="c", invoice="d""#),
        ]);
        strip_challenges(&mut headers);
        let lines: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
        assert_eq!(lines, [r#"Basic realm="x y""#, r#"Bearer realm="a \"b""#]);
    }

    #[test]
    fn a_cookie_in_pieces_is_put_together() {
        let mut headers = map(&[("cookie", "a=1"), ("cookie", "b=2")]);
        join_cookies(&mut headers);
        assert_eq!(headers, map(&[("cookie", "a=1; b=2")]));
    }
}
