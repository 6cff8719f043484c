//! An answer that was given once and may be asked for again: kept whole when it is short, and
//! otherwise only the fact that it was given.

use bytes::{Buf, BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The first byte of a kept answer, by which a later version can tell its own.
const VERSION: u8 = 1;

/// What a request that can be repeated was answered.
///
/// Exhaustive on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All of it.
    Whole {
        /// Its status.
        status: StatusCode,
        /// Its headers, as the client saw them.
        headers: HeaderMap,
        /// Its body.
        body: Bytes,
    },
    /// It was too long to keep, or broke off.
    NotKept,
}

impl Answer {
    /// In bytes, for a store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self::Whole { status, headers, body } = self else { return vec![VERSION, 0] };
        let mut bytes = vec![VERSION, 1];
        bytes.put_u16(status.as_u16());
        // No count here can outgrow its field: a server takes fewer headers, and shorter ones.
        bytes.put_u32(u32::try_from(headers.len()).unwrap_or(u32::MAX));
        for (name, value) in headers {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                bytes.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
                bytes.put_slice(part);
            }
        }
        bytes.put_slice(body);
        bytes
    }

    /// Reads them back; `None` when they are something else.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        match (bytes.try_get_u8().ok()?, bytes.try_get_u8().ok()?) {
            (VERSION, 0) => return Some(Self::NotKept),
            (VERSION, 1) => {}
            _ => return None,
        }
        let status = StatusCode::from_u16(bytes.try_get_u16().ok()?).ok()?;
        let mut headers = HeaderMap::new();
        for _ in 0..bytes.try_get_u32().ok()? {
            let name = HeaderName::from_bytes(part(&mut bytes)?).ok()?;
            let value = HeaderValue::from_bytes(part(&mut bytes)?).ok()?;
            headers.append(name, value);
        }
        Some(Self::Whole { status, headers, body: Bytes::copy_from_slice(bytes) })
    }
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_back_whole() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        headers.append("x-a", HeaderValue::from_static("2"));
        headers.append("content-type", HeaderValue::from_bytes(b"text/\xff").unwrap());
        let body = Bytes::from_static(b"\0body");
        let whole = Answer::Whole { status: StatusCode::CREATED, headers, body };
        for answer in [whole, Answer::NotKept] {
            assert_eq!(Answer::from_bytes(&answer.to_bytes()), Some(answer));
        }
    }

    #[test]
    fn what_was_cut_or_never_an_answer_is_none() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_static("1"));
        let whole = Answer::Whole { status: StatusCode::OK, headers, body: Bytes::new() };
        let bytes = whole.to_bytes();
        for end in 0..bytes.len() {
            assert_eq!(Answer::from_bytes(&bytes[..end]), None, "{end}");
        }
        assert_eq!(Answer::from_bytes(&[2, 0]), None);
        assert_eq!(Answer::from_bytes(&[1, 1, 0, 200, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
