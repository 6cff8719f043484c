//! `--compressed`: takes an answer apart that was compressed on its way, piece by piece as it comes.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// What we say that we can take.
pub(crate) const ACCEPTED: &str = "gzip, deflate, br";

/// How much is decompressed at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// Turns compressed pieces into plain ones.
pub(crate) enum Decoder {
    /// They are plain.
    Plain,
    /// gzip (RFC 1952).
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// zlib (RFC 1950), or bare deflate (RFC 1951), which some servers send under the same name:
    /// the first byte tells.
    Deflate(Box<Deflate>),
    /// Brotli (RFC 7932).
    Brotli(Box<DecompressorWriter<Vec<u8>>>),
}

/// See [`Decoder::Deflate`].
pub(crate) enum Deflate {
    Unknown,
    Zlib(ZlibDecoder<Vec<u8>>),
    Bare(DeflateDecoder<Vec<u8>>),
}

impl Decoder {
    /// The decoder that an answer's head asks for; an encoding that is unknown stays as it is.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let encoding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        match encoding.map(str::trim).map(str::to_ascii_lowercase).as_deref() {
            Some("gzip" | "x-gzip") => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Some("deflate") => Self::Deflate(Box::new(Deflate::Unknown)),
            Some("br") => Self::Brotli(Box::new(DecompressorWriter::new(Vec::new(), PIECE))),
            _ => Self::Plain,
        }
    }

    /// Takes a piece, and hands what it decompresses to on to `out` in pieces of bounded length.
    ///
    /// # Errors
    /// What came is not compressed as the head says, or `out` fails.
    pub(crate) fn take<E: From<Damaged>>(
        &mut self,
        piece: &[u8],
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // A piece may decompress to a thousand times its length: it is fed in small parts.
        let part = match self {
            Self::Plain => piece.len().max(1),
            _ => PIECE / 64,
        };
        for part in piece.chunks(part) {
            match self {
                Self::Plain => out(part)?,
                Self::Gzip(decoder) => {
                    decoder.write_all(part).map_err(damaged)?;
                    drain(decoder.get_mut(), &mut out)?;
                }
                Self::Deflate(decoder) => drain(decoder.feed(part).map_err(damaged)?, &mut out)?,
                Self::Brotli(decoder) => {
                    decoder.write_all(part).map_err(damaged)?;
                    drain(decoder.get_mut(), &mut out)?;
                }
            }
        }
        Ok(())
    }

    /// The answer is over: hands on what is left.
    ///
    /// # Errors
    /// As [`Decoder::take`], and when the end is missing.
    pub(crate) fn finish<E: From<Damaged>>(
        self,
        mut out: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = match self {
            Self::Plain => return Ok(()),
            Self::Gzip(decoder) => decoder.finish().map_err(damaged)?,
            Self::Deflate(decoder) => match *decoder {
                Deflate::Unknown => return Ok(()),
                Deflate::Zlib(decoder) => decoder.finish().map_err(damaged)?,
                Deflate::Bare(decoder) => decoder.finish().map_err(damaged)?,
            },
            Self::Brotli(mut decoder) => {
                decoder.close().map_err(damaged)?;
                std::mem::take(decoder.get_mut())
            }
        };
        drain(&mut rest, &mut out)
    }
}

/// What came is not compressed as the head of the answer says.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not compressed as its head says")]
pub(crate) struct Damaged(#[source] io::Error);

fn damaged(error: io::Error) -> Damaged {
    Damaged(error)
}

fn drain<E>(decoded: &mut Vec<u8>, out: &mut impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    if !decoded.is_empty() {
        out(decoded)?;
        decoded.clear();
    }
    Ok(())
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

impl Deflate {
    fn feed(&mut self, part: &[u8]) -> io::Result<&mut Vec<u8>> {
        if let (Self::Unknown, Some(first)) = (&self, part.first()) {
            // CM is 8 and CINFO at most 7 in a zlib header.
            *self = match first & 0x0f == 8 && first >> 4 <= 7 {
                true => Self::Zlib(ZlibDecoder::new(Vec::new())),
                false => Self::Bare(DeflateDecoder::new(Vec::new())),
            };
        }
        match self {
            Self::Zlib(decoder) => {
                decoder.write_all(part)?;
                Ok(decoder.get_mut())
            }
            Self::Bare(decoder) => {
                decoder.write_all(part)?;
                Ok(decoder.get_mut())
            }
            Self::Unknown => unreachable!("no part is empty"),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn decode(encoding: &'static str, bytes: &[u8], size: usize) -> Result<Vec<u8>, Damaged> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, http::HeaderValue::from_static(encoding));
        let mut decoder = Decoder::of(&headers);
        let mut plain = Vec::new();
        for piece in bytes.chunks(size) {
            decoder.take(piece, |part| {
                plain.extend_from_slice(part);
                Ok::<_, Damaged>(())
            })?;
        }
        decoder.finish(|part| {
            plain.extend_from_slice(part);
            Ok::<_, Damaged>(())
        })?;
        Ok(plain)
    }

    #[test]
    fn what_was_compressed_comes_out_whole_in_pieces_of_any_size() {
        let text = b"weather ".repeat(50_000);
        let level = Compression::default();
        let mut gzip = GzEncoder::new(Vec::new(), level);
        let mut zlib = ZlibEncoder::new(Vec::new(), level);
        let mut bare = DeflateEncoder::new(Vec::new(), level);
        for encoder in [&mut gzip as &mut dyn Write, &mut zlib, &mut bare] {
            encoder.write_all(&text).unwrap();
        }
        let (gzip, zlib, bare) =
            (gzip.finish().unwrap(), zlib.finish().unwrap(), bare.finish().unwrap());
        for size in [1, 7, 100_000] {
            assert_eq!(decode("gzip", &gzip, size).unwrap(), text);
            assert_eq!(decode("deflate", &zlib, size).unwrap(), text);
            assert_eq!(decode("deflate", &bare, size).unwrap(), text);
            assert_eq!(decode("identity", &text, size).unwrap(), text);
        }
        // "hello" as one uncompressed block (RFC 7932, 9.2).
        let brotli = b"\x0b\x02\x80hello\x03";
        assert_eq!(decode("br", brotli, 2).unwrap(), b"hello");
    }

    #[test]
    fn an_end_that_is_missing_and_what_is_no_gzip_are_noticed() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"weather").unwrap();
        let gzip = gzip.finish().unwrap();
        assert!(decode("gzip", &gzip[..gzip.len() - 9], 100).is_err());
        assert!(decode("gzip", b"no gzip at all", 100).is_err());
        assert!(decode("br", b"\x0b\x02\x80hel", 100).is_err());
    }
}
