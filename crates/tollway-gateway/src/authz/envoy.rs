//! Envoy's questions: `envoy.service.auth.v3.Authorization/Check` over gRPC. Of its messages the fields
//! that a decision needs are written down here, by their numbers (envoy/service/auth/v3/
//! external_auth.proto and attribute_context.proto); the whole of them is some 90,000 lines generated.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use prost::Message;

use super::question::{self, BadQuestion};
use super::{Asker, Pass, TOLD, Verdict, decide};
use crate::gateway::Gateway;
use crate::headers;
use crate::own::Answer;

const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";
/// The longest question that is read, in bytes: a request's headers, and no body.
const LONGEST: usize = 256 * 1024;

/// gRPC codes (grpc/status.proto).
const OK: i32 = 0;
const INVALID_ARGUMENT: i32 = 3;
const PERMISSION_DENIED: i32 = 7;

/// Headers that may hold a credential of ours, and that whoever serves the request must not see.
/// `authorization` is dealt with line by line.
static CREDENTIALS: [&str; 4] =
    ["macaroon", "grpc-metadata-macaroon", "payment-authorization", "accept-payment"];

#[derive(Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<AttributeContext>,
}

#[derive(Message)]
struct AttributeContext {
    #[prost(message, optional, tag = "1")]
    source: Option<Peer>,
    #[prost(message, optional, tag = "4")]
    request: Option<Asked>,
}

#[derive(Message)]
struct Peer {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

#[derive(Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket_address: Option<SocketAddress>,
}

#[derive(Message)]
struct SocketAddress {
    #[prost(string, tag = "2")]
    address: String,
}

#[derive(Message)]
struct Asked {
    #[prost(message, optional, tag = "2")]
    http: Option<HttpRequest>,
}

#[derive(Message)]
struct HttpRequest {
    #[prost(string, tag = "2")]
    method: String,
    /// Several lines of one name are joined by commas.
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
    /// With the query.
    #[prost(string, tag = "4")]
    path: String,
    #[prost(string, tag = "5")]
    host: String,
    /// Line by line, where Envoy is told to `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    header_map: Option<RawHeaders>,
}

#[derive(Message)]
struct RawHeaders {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<Header>,
}

#[derive(Message)]
struct Header {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(bytes = "vec", tag = "3")]
    raw_value: Vec<u8>,
}

#[derive(Message)]
struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
    #[prost(message, optional, tag = "2")]
    denied: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    ok: Option<Passed>,
}

#[derive(Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, tag = "3")]
    body: String,
}

#[derive(Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Message)]
struct Passed {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    headers_to_remove: Vec<String>,
    #[prost(message, repeated, tag = "6")]
    response_headers_to_add: Vec<HeaderOption>,
}

#[derive(Message)]
struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    /// 0 appends, 2 overwrites.
    #[prost(int32, tag = "3")]
    append_action: i32,
}

/// Whether somebody asks in this way.
pub(super) fn is_question(request: &Request<Incoming>) -> bool {
    request.uri().path() == PATH && headers::is_grpc(request.headers())
}

/// Reads the question, and answers it.
pub(super) async fn answer(gateway: &Gateway, request: Request<Incoming>) -> Answer {
    let Some(question) = read(request.into_body()).await else {
        return ended(INVALID_ARGUMENT, "no CheckRequest");
    };
    let (client, head) = match asked(gateway, question) {
        Ok(asked) => asked,
        Err(bad) => return ended(INVALID_ARGUMENT, &bad.to_string()),
    };
    let response = match decide(gateway, client, &head, Asker::Envoy).await {
        Verdict::Pass(passed) => pass(&passed, &head),
        Verdict::Instead(response) => deny(&response, &head),
    };
    let frame = Full::new(frame(&response));
    let trailers = async {
        let pairs = [(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))];
        Some(Ok::<_, Infallible>(HeaderMap::from_iter(pairs)))
    };
    let mut response = Response::new(frame.with_trailers(trailers).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// One message of gRPC, uncompressed: nothing else is ever sent to who offers no compression.
async fn read(body: Incoming) -> Option<CheckRequest> {
    let mut bytes = Limited::new(body, LONGEST).collect().await.ok()?.to_bytes();
    if bytes.remaining() < 5 || bytes.get_u8() != 0 {
        return None;
    }
    let length = usize::try_from(bytes.get_u32()).ok()?;
    (length == bytes.remaining()).then(|| CheckRequest::decode(bytes).ok()).flatten()
}

fn frame(message: &CheckResponse) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("an answer is short"));
    message.encode(&mut frame).expect("there is room for it");
    frame.freeze()
}

/// What the question is about, and who sent that.
fn asked(
    gateway: &Gateway,
    question: CheckRequest,
) -> Result<(Option<IpAddr>, Parts), BadQuestion> {
    let attributes = question.attributes.ok_or(BadQuestion::Target)?;
    let source = attributes.source.and_then(|peer| peer.address?.socket_address);
    let source = source.and_then(|address| address.address.parse::<IpAddr>().ok());
    let http = attributes.request.and_then(|asked| asked.http).ok_or(BadQuestion::Target)?;
    let host = HeaderValue::try_from(&http.host).map_err(|_| BadQuestion::Header)?;
    let headers = lines(http.headers, http.header_map)?;
    let proxies = &gateway.snapshot().proxies;
    let client = source.map(|source| proxies.client(source.to_canonical(), &headers));
    let head = question::head(http.method.as_bytes(), http.path.as_bytes(), &host, headers)?;
    Ok((client, head))
}

fn lines(
    joined: HashMap<String, String>,
    raw: Option<RawHeaders>,
) -> Result<HeaderMap, BadQuestion> {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &[u8]| {
        // HTTP/2's own, of which Envoy speaks apart.
        if name.starts_with(':') {
            return Ok(());
        }
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadQuestion::Header)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| BadQuestion::Header)?;
        headers.append(name, value);
        Ok(())
    };
    match raw.filter(|raw| !raw.headers.is_empty()) {
        Some(raw) => raw.headers.iter().try_for_each(|header| {
            let text = header.value.as_bytes();
            add(&header.key, if text.is_empty() { &header.raw_value } else { text })
        })?,
        None => {
            joined.iter().try_for_each(|(name, value)| add(name, value.as_bytes()))?;
        }
    }
    Ok(headers)
}

/// The request goes on without its credential, and the client gets its receipt.
fn pass(passed: &Pass, head: &Parts) -> CheckResponse {
    let mut remove: Vec<String> = CREDENTIALS.iter().map(|&name| name.to_owned()).collect();
    if headers::is_grpc(&head.headers) {
        remove.push("token".to_owned());
    }
    remove.push("authorization".to_owned());
    remove.extend(TOLD.iter().map(|name| name.to_string()));
    let elsewhere = head.headers.keys().filter(|name| headers::is_elsewhere(name));
    remove.extend(elsewhere.map(|name| name.to_string()));
    // Envoy takes out what is named after it has put in what is set.
    remove.retain(|name| !passed.request.contains_key(name));
    CheckResponse {
        status: Some(Status { code: OK }),
        denied: None,
        ok: Some(Passed {
            headers: options(&passed.request, true),
            headers_to_remove: remove,
            response_headers_to_add: options(&passed.response, true),
        }),
    }
}

fn deny(response: &Response<Bytes>, head: &Parts) -> CheckResponse {
    let mut headers = response.headers().clone();
    headers.remove(CONTENT_LENGTH);
    let body = String::from_utf8_lossy(response.body());
    // Envoy writes gRPC's own answer, with the body for its message.
    let is_bill = response.status() == StatusCode::PAYMENT_REQUIRED;
    let body = match headers::is_grpc(&head.headers) {
        true => {
            headers.remove(CONTENT_TYPE);
            if is_bill { "payment required".to_owned() } else { body.trim_end().to_owned() }
        }
        false => body.into_owned(),
    };
    CheckResponse {
        status: Some(Status { code: PERMISSION_DENIED }),
        denied: Some(Denied {
            status: Some(HttpStatus { code: response.status().as_u16().into() }),
            headers: options(&headers, false),
            body,
        }),
        ok: None,
    }
}

/// Each header once overwritten, when it must be, and then appended to.
fn options(headers: &HeaderMap, overwrite: bool) -> Vec<HeaderOption> {
    let mut options = Vec::new();
    for name in headers.keys() {
        for (index, value) in headers.get_all(name).iter().enumerate() {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let header = Header { key: name.to_string(), value, raw_value: Vec::new() };
            let append_action = if overwrite && index == 0 { 2 } else { 0 };
            options.push(HeaderOption { header: Some(header), append_action });
        }
    }
    options
}

/// An answer that is only a status: Envoy then does what its `failure_mode_allow` says, which is to let
/// nobody through unless it was changed.
fn ended(code: i32, message: &str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::new()).boxed());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(HeaderName::from_static("grpc-status"), HeaderValue::from(code));
    if let Ok(message) = HeaderValue::from_str(message) {
        headers.insert(HeaderName::from_static("grpc-message"), message);
    }
    response
}
