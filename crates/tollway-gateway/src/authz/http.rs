//! Questions over HTTP. `/auth` is for Caddy's `forward_auth`, Traefik's `ForwardAuth` and all that work
//! like them: 2xx lets the request pass, and any other answer is the client's. `/auth/nginx` is for
//! nginx's `auth_request`, which knows 2xx, 401 and 403 and throws bodies away: there a refusal is a 401
//! that carries the client's whole answer in one header, and `/auth/answer` turns that header into the
//! answer again, so that nobody is asked twice and nothing is remembered in between.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::question::{self, BadQuestion, one};
use super::{Asker, Pass, Verdict, decide};
use crate::gateway::Gateway;

static ANSWER: HeaderName = HeaderName::from_static("x-tollway-answer");
static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Where a proxy says which request it asks about.
struct Names {
    method: HeaderName,
    target: HeaderName,
}

static PLAIN: Names = Names {
    method: HeaderName::from_static("x-forwarded-method"),
    target: HeaderName::from_static("x-forwarded-uri"),
};
static NGINX: Names = Names {
    method: HeaderName::from_static("x-original-method"),
    target: HeaderName::from_static("x-original-uri"),
};

/// Answers a question, or repeats an answer. The proxy at the other end is one that is trusted.
pub(super) async fn answer(gateway: &Gateway, peer: IpAddr, head: Parts) -> Response<Bytes> {
    match head.uri.path() {
        "/auth" => match ask(gateway, peer, head, &PLAIN, Asker::Plain).await {
            Ok(Verdict::Pass(passed)) => pass(passed),
            Ok(Verdict::Instead(response)) => never_success(response),
            Err(bad) => refuse(StatusCode::BAD_REQUEST, &bad.to_string()),
        },
        "/auth/nginx" => match ask(gateway, peer, head, &NGINX, Asker::Nginx).await {
            Ok(Verdict::Pass(passed)) => pass(passed),
            Ok(Verdict::Instead(response)) => wrap(&response),
            Err(bad) => {
                tracing::error!(%bad, "nginx asks about no request");
                wrap(&refuse(StatusCode::INTERNAL_SERVER_ERROR, &bad.to_string()))
            }
        },
        "/auth/answer" => unwrap(&head.headers).unwrap_or_else(|| {
            let why = "there is no answer here; docs/forward-auth.md shows how nginx passes it on";
            refuse(StatusCode::BAD_REQUEST, why)
        }),
        _ => refuse(StatusCode::NOT_FOUND, "ask at `/auth`, or with nginx at `/auth/nginx`"),
    }
}

pub(super) fn not_trusted() -> Response<Bytes> {
    refuse(StatusCode::FORBIDDEN, "only proxies in `trusted_proxies` may ask here")
}

async fn ask(
    gateway: &Gateway,
    peer: IpAddr,
    head: Parts,
    names: &Names,
    asker: Asker,
) -> Result<Verdict, BadQuestion> {
    let headers = head.headers;
    let client = gateway.snapshot().proxies.client(peer, &headers);
    let method = one(&headers, &names.method)?.clone();
    let target = one(&headers, &names.target)?.clone();
    let host = one(&headers, &FORWARDED_HOST)?.clone();
    let head = question::head(method.as_bytes(), target.as_bytes(), &host, headers)?;
    Ok(decide(gateway, Some(client), &head, asker).await)
}

/// The only answer that succeeds.
fn pass(passed: Pass) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.headers_mut() = passed.request;
    response.headers_mut().extend(passed.response);
    response
}

/// Whatever is not [`pass`] must not look like it.
fn never_success(mut response: Response<Bytes>) -> Response<Bytes> {
    if response.status().is_success() {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

/// A whole answer in one header of a 401.
fn wrap(response: &Response<Bytes>) -> Response<Bytes> {
    let headers: Vec<Value> = response
        .headers()
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    let whole = json!({
        "status": response.status().as_u16(),
        "headers": headers,
        "body": String::from_utf8_lossy(response.body()),
    });
    let mut wrapped = Response::new(Bytes::new());
    *wrapped.status_mut() = StatusCode::UNAUTHORIZED;
    let value = HeaderValue::try_from(URL_SAFE_NO_PAD.encode(whole.to_string()));
    wrapped.headers_mut().insert(&ANSWER, value.expect("base64 is ASCII"));
    wrapped
}

/// The answer that [`wrap`] was given.
fn unwrap(headers: &HeaderMap) -> Option<Response<Bytes>> {
    let wrapped = URL_SAFE_NO_PAD.decode(one(headers, &ANSWER).ok()?).ok()?;
    let whole: Value = serde_json::from_slice(&wrapped).ok()?;
    let status = u16::try_from(whole["status"].as_u64()?).ok()?;
    let mut response = Response::new(Bytes::from(whole["body"].as_str()?.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    for pair in whole["headers"].as_array()? {
        let name = HeaderName::from_bytes(pair[0].as_str()?.as_bytes()).ok()?;
        // Its own length and framing are the server's to write.
        if name != http::header::CONTENT_LENGTH {
            response.headers_mut().append(name, HeaderValue::from_str(pair[1].as_str()?).ok()?);
        }
    }
    Some(response)
}

fn refuse(status: StatusCode, why: &str) -> Response<Bytes> {
    let error = status.canonical_reason().unwrap_or_default().to_ascii_lowercase();
    let text = json!({ "error": error, "detail": why }).to_string() + "\n";
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_out_as_it_went_in() {
        let mut response = Response::new(Bytes::from_static("{\"é\": 1}\n".as_bytes()));
        *response.status_mut() = StatusCode::PAYMENT_REQUIRED;
        for line in ["LSAT a=\"b\"", "L402 c=\"d, e\""] {
            let line = HeaderValue::from_static(line);
            response.headers_mut().append(http::header::WWW_AUTHENTICATE, line);
        }
        let wrapped = wrap(&response);
        assert_eq!((wrapped.status().as_u16(), wrapped.headers().len()), (401, 1));
        let again = unwrap(wrapped.headers()).unwrap();
        assert_eq!(again.status(), response.status());
        assert_eq!((again.headers(), again.body()), (response.headers(), response.body()));
        assert!(unwrap(&HeaderMap::new()).is_none());
    }

    #[test]
    fn nothing_but_a_pass_succeeds() {
        assert_eq!(never_success(Response::new(Bytes::new())).status(), 403);
    }
}
