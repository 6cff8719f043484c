//! Asks for a price in Aperture's own protocol: gRPC, `pricesrpc.Prices/GetPrice`. Of the request it
//! gets what the price may depend on: method, path and host, and no credential.

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, TE};
use http::{Request, Uri};
use http_body_util::Full;
use l402::Msat;
use prost::Message;

use super::web::Web;
use super::{PriceError, Pricer, Route};

const PATH: &str = "/pricesrpc.Prices/GetPrice";

#[derive(Debug)]
pub(super) struct AperturePricer {
    web: Web,
    uri: Uri,
}

/// `GetPriceRequest`.
#[derive(Message)]
struct Question {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    http_request_text: String,
}

/// `GetPriceResponse`.
#[derive(Message)]
struct Answer {
    #[prost(int64, tag = "1")]
    price_sats: i64,
}

impl AperturePricer {
    pub(super) fn new(web: Web) -> Self {
        let mut parts = web.uri.clone().into_parts();
        parts.path_and_query = Some(PATH.parse().expect("a path"));
        let uri = Uri::from_parts(parts).expect("scheme, authority and path make a URI");
        Self { web, uri }
    }
}

#[async_trait]
impl Pricer for AperturePricer {
    async fn price(&self, route: &Route<'_>) -> Result<Msat, PriceError> {
        let host = route.host.unwrap_or_default();
        let Route { method, path, .. } = route;
        let question = Question {
            path: (*path).to_owned(),
            http_request_text: format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        };
        let request = Request::post(self.uri.clone())
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .body(Full::new(frame(&question)))
            .expect("a checked URL makes a request");
        let (head, body) = self.web.ask(request).await?.into_parts();
        // Where there is no message, the status is in the headers.
        let status = body.trailers().and_then(status).or_else(|| status(&head.headers));
        match status.as_deref() {
            Some("0") => read(&body.to_bytes()),
            Some(other) => Err(PriceError::Grpc(other.to_owned())),
            None => Err(PriceError::NoPrice("an answer without a gRPC status")),
        }
    }
}

fn status(headers: &HeaderMap) -> Option<String> {
    Some(headers.get("grpc-status")?.to_str().ok()?.to_owned())
}

/// One message, not compressed, with its length before it.
fn frame(question: &Question) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(question.encoded_len()).expect("a path is not that long"));
    question.encode(&mut bytes).expect("the buffer grows");
    bytes.freeze()
}

fn read(body: &[u8]) -> Result<Msat, PriceError> {
    let (head, message) = body.split_at_checked(5).ok_or(PriceError::NoPrice("an empty answer"))?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    if head[0] != 0 || usize::try_from(length) != Ok(message.len()) {
        return Err(PriceError::NoPrice("a message that is compressed or not whole"));
    }
    let answer = Answer::decode(message).map_err(|_| PriceError::NoPrice("a broken message"))?;
    let sats = u64::try_from(answer.price_sats);
    sats.ok()
        .and_then(Msat::from_sat)
        .ok_or(PriceError::NoPrice("a number below nothing, or above all bitcoin,"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_whole_message_with_a_price() {
        let price = |bytes: &[u8]| read(bytes).ok().map(Msat::msat);
        assert_eq!(price(&[0, 0, 0, 0, 2, 0x08, 10]), Some(10_000));
        // proto3 leaves a zero out.
        assert_eq!(price(&[0, 0, 0, 0, 0]), Some(0));
        let negative = [0, 0, 0, 0, 11, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
        assert_eq!(price(&negative), None);
        for bad in [
            &[][..],
            &[0; 4],
            &[1, 0, 0, 0, 2, 8, 10],
            &[0, 0, 0, 0, 3, 8, 10],
            &[0, 0, 0, 0, 1, 8],
        ] {
            assert_eq!(price(bad), None, "{bad:?}");
        }
    }
}
