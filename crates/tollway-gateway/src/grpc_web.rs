//! gRPC as pages in a browser speak it (gRPC-Web), on its way to a server that speaks gRPC itself. The two
//! differ in three things: what they call themselves, where the trailers are (no page can read them, so
//! they come as a last message in the body), and in the text form, which is base64.

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRAILER,
};
use http_body::Frame;

const GRPC: &str = "application/grpc";
const WEB: &str = "application/grpc-web";
const TEXT: &str = "application/grpc-web-text";
/// The flag of a message that is trailers, as they are and not compressed.
const TRAILERS: u8 = 0x80;

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Binary,
    Text,
}

/// What has to be done to one request and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Translation {
    /// What the client sends, and what it reads.
    pub(crate) sent: Encoding,
    pub(crate) read: Encoding,
    /// What the messages are written in: `+proto`, or nothing.
    messages: String,
}

impl Translation {
    /// What a request needs; `None` when it is not gRPC-Web.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let (sent, messages) = kind(headers.get(CONTENT_TYPE)?)?;
        // Whoever accepts more than one form gets the one they speak themselves.
        let read = headers.get(ACCEPT).and_then(kind).map_or(sent, |(read, _)| read);
        Some(Self { sent, read, messages: messages.to_owned() })
    }

    /// Makes a gRPC request of it. Its body may become shorter.
    pub(crate) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONTENT_TYPE, self.named(GRPC));
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT);
    }

    /// Makes a gRPC-Web answer of it, unless it is no gRPC: then it is passed on as it is, and this says
    /// no.
    pub(crate) fn answer(&self, headers: &mut HeaderMap) -> bool {
        let is_grpc = headers.get(CONTENT_TYPE).is_some_and(|kind| {
            let rest = kind.as_bytes().strip_prefix(GRPC.as_bytes());
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        });
        if !is_grpc {
            return false;
        }
        let name = match self.read {
            Encoding::Binary => WEB,
            Encoding::Text => TEXT,
        };
        headers.insert(CONTENT_TYPE, self.named(name));
        headers.remove(TRAILER);
        // Its trailers come in the body; an answer without one has said all in its headers.
        if !headers.contains_key(&GRPC_STATUS) {
            headers.remove(CONTENT_LENGTH);
        }
        true
    }

    fn named(&self, kind: &str) -> HeaderValue {
        HeaderValue::try_from(format!("{kind}{}", self.messages)).expect("it was a header's value")
    }
}

/// Which form a content type names, and what follows it.
fn kind(value: &HeaderValue) -> Option<(Encoding, &str)> {
    let value = value.to_str().ok()?.split([';', ',']).next()?.trim();
    let (encoding, rest) = match value.strip_prefix(TEXT) {
        Some(rest) => (Encoding::Text, rest),
        None => (Encoding::Binary, value.strip_prefix(WEB)?),
    };
    (rest.is_empty() || rest.starts_with('+')).then_some((encoding, rest))
}

impl Encoding {
    /// One piece of an answer, as the client reads it.
    pub(crate) fn write(self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let bytes = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => last_message(&trailers),
                Err(other) => return other,
            },
        };
        // Each piece is padded by itself: whoever reads a stream waits for no other.
        Frame::data(match self {
            Self::Binary => bytes,
            Self::Text => BASE64_STANDARD.encode(bytes).into(),
        })
    }
}

/// Trailers as a message: a flag, a length and lines as of HTTP/1.1, with names in lower case.
fn last_message(trailers: &HeaderMap) -> Bytes {
    let lines: usize =
        trailers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let mut message = BytesMut::with_capacity(5 + lines);
    message.put_u8(TRAILERS);
    message.put_u32(u32::try_from(lines).expect("HTTP/2 has taken them, and takes 64 KiB at most"));
    for (name, value) in trailers {
        message.extend_from_slice(name.as_str().as_bytes());
        message.extend_from_slice(b": ");
        message.extend_from_slice(value.as_bytes());
        message.extend_from_slice(b"\r\n");
    }
    message.freeze()
}

/// Reads the text form, in pieces that may end anywhere.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Up to three characters that are no group yet.
    rest: BytesMut,
}

/// It is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request's body is not base64")]
pub(crate) struct NotBase64;

impl Decoder {
    /// The bytes of what is whole so far.
    pub(crate) fn read(&mut self, piece: &[u8]) -> Result<Bytes, NotBase64> {
        self.rest.extend_from_slice(piece);
        let whole = self.rest.split_to(self.rest.len() / 4 * 4);
        let mut bytes = Vec::with_capacity(whole.len() / 4 * 3);
        // A padded group ends one piece of the writer's, and another may follow.
        for run in whole.chunks(4).collect::<Vec<_>>().split_inclusive(|group| group[3] == b'=') {
            BASE64_STANDARD.decode_vec(run.concat(), &mut bytes).map_err(|_| NotBase64)?;
        }
        Ok(bytes.into())
    }

    /// Nothing more comes.
    pub(crate) fn end(&self) -> Result<(), NotBase64> {
        if self.rest.is_empty() { Ok(()) } else { Err(NotBase64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_request_says_what_it_sends_and_reads() {
        use Encoding::{Binary, Text};
        for (kind, accept, expected, upstream) in [
            (WEB, None, Some((Binary, Binary)), GRPC),
            ("application/grpc-web+proto", None, Some((Binary, Binary)), "application/grpc+proto"),
            (TEXT, None, Some((Text, Text)), GRPC),
            (
                "application/grpc-web-text+proto; charset=x",
                None,
                Some((Text, Text)),
                "application/grpc+proto",
            ),
            (WEB, Some(TEXT), Some((Binary, Text)), GRPC),
            (TEXT, Some("application/grpc-web, */*"), Some((Text, Binary)), GRPC),
            (WEB, Some("*/*"), Some((Binary, Binary)), GRPC),
            ("application/grpc", None, None, ""),
            ("application/grpc-webx", None, None, ""),
        ] {
            let mut sent = headers(&[(CONTENT_TYPE, kind), (CONTENT_LENGTH, "7")]);
            accept.map(|accept| sent.insert(ACCEPT, accept.parse().unwrap()));
            let translation = Translation::of(&sent);
            let found = translation.as_ref().map(|t| (t.sent, t.read));
            assert_eq!(found, expected, "{kind}");
            if let Some(translation) = translation {
                translation.ask(&mut sent);
                assert_eq!(sent, headers(&[(CONTENT_TYPE, upstream)]));
            }
        }
    }

    #[test]
    fn only_an_answer_in_grpc_is_translated() {
        let asked = headers(&[(CONTENT_TYPE, "application/grpc-web-text+proto")]);
        let translation = Translation::of(&asked).unwrap();
        for (kind, translated) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web", false),
            ("text/html", false),
        ] {
            let mut answer = headers(&[(CONTENT_TYPE, kind), (TRAILER, "grpc-status")]);
            assert_eq!(translation.answer(&mut answer), translated, "{kind}");
            let expected = if translated { "application/grpc-web-text+proto" } else { kind };
            assert_eq!(answer[CONTENT_TYPE], expected);
            assert_eq!(answer.contains_key(TRAILER), !translated);
        }
    }

    #[test]
    fn trailers_are_the_last_message() {
        let trailers = headers(&[(GRPC_STATUS.clone(), "0")]);
        let message =
            Encoding::Binary.write(Frame::trailers(trailers.clone())).into_data().unwrap();
        assert_eq!(message, &b"\x80\0\0\0\x10grpc-status: 0\r\n"[..]);
        let text = Encoding::Text.write(Frame::trailers(trailers)).into_data().unwrap();
        assert_eq!(BASE64_STANDARD.decode(text).unwrap(), message);
    }

    #[test]
    fn text_is_read_wherever_its_pieces_end() {
        // Two padded pieces in a row, as a stream's writer makes them.
        let text = b"AAAAAAJoaQ==AAAAAAE=";
        let bytes = b"\0\0\0\0\x02hi\0\0\0\0\x01";
        for size in 1..=text.len() {
            let mut decoder = Decoder::default();
            let read: Vec<u8> =
                text.chunks(size).flat_map(|piece| decoder.read(piece).unwrap()).collect();
            assert_eq!((read.as_slice(), decoder.end()), (&bytes[..], Ok(())), "{size}");
        }
        let mut decoder = Decoder::default();
        assert_eq!(decoder.read(b"AA"), Ok(Bytes::new()));
        assert_eq!(decoder.end(), Err(NotBase64));
        for bad in [&b"AA*A"[..], b"=AAA", b"A===", b"AA=A"] {
            assert_eq!(Decoder::default().read(bad), Err(NotBase64), "{bad:?}");
        }
    }
}
