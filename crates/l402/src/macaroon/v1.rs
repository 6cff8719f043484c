//! The V1 binary format, read only: packets of four hexadecimal digits (the packet's whole length),
//! a key, a space, a value and a newline (libmacaroons README).

use super::{MOST_CAVEATS, Macaroon, MacaroonError, RawCaveat};

pub(super) fn parse(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    let mut packets = Packets { bytes, at: 0 };
    let location = packets.expect("location")?.to_vec();
    let identifier = packets.expect("identifier")?.to_vec();
    let mut caveats: Vec<RawCaveat> = Vec::new();
    let signature = loop {
        let at = packets.at;
        let unexpected = MacaroonError::UnexpectedField(at);
        match packets.next()? {
            ("cid", _) if caveats.len() == MOST_CAVEATS => return Err(MacaroonError::TooLarge),
            ("cid", id) => caveats.push(RawCaveat {
                location: Vec::new(),
                id: id.to_vec(),
                verification_id: None,
            }),
            ("vid", vid) => {
                let last = caveats.last_mut().ok_or(unexpected)?;
                if last.verification_id.replace(vid.to_vec()).is_some() {
                    return Err(unexpected);
                }
            }
            ("cl", location) => {
                let last = caveats.last_mut().ok_or(unexpected)?;
                location.clone_into(&mut last.location);
            }
            ("signature", signature) => break signature,
            _ => return Err(unexpected),
        }
    };
    let signature = signature.try_into().map_err(|_| MacaroonError::BadSignatureLength)?;
    match bytes.len() - packets.at {
        0 => Ok(Macaroon { location, identifier, caveats, signature }),
        rest => Err(MacaroonError::TrailingBytes(rest)),
    }
}

struct Packets<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Packets<'a> {
    fn next(&mut self) -> Result<(&'a str, &'a [u8]), MacaroonError> {
        let cut = MacaroonError::Truncated(self.at);
        let rest = &self.bytes[self.at..];
        // `from_str_radix` would take a sign too.
        let digits = rest.get(..4).filter(|d| d.iter().all(u8::is_ascii_hexdigit)).ok_or(cut)?;
        let digits = std::str::from_utf8(digits).map_err(|_| cut)?;
        let length = usize::from_str_radix(digits, 16).map_err(|_| cut)?;
        let packet = rest.get(4..length).ok_or(cut)?;
        let (&newline, packet) = packet.split_last().ok_or(cut)?;
        let space = packet.iter().position(|&b| b == b' ').ok_or(cut)?;
        let key = std::str::from_utf8(&packet[..space]).map_err(|_| cut)?;
        if newline != b'\n' {
            return Err(cut);
        }
        self.at += length;
        Ok((key, &packet[space + 1..]))
    }

    fn expect(&mut self, wanted: &str) -> Result<&'a [u8], MacaroonError> {
        let at = self.at;
        match self.next()? {
            (key, value) if key == wanted => Ok(value),
            _ => Err(MacaroonError::UnexpectedField(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::RootKey;

    fn packet(key: &str, value: &[u8]) -> Vec<u8> {
        let length = 4 + key.len() + 1 + value.len() + 1;
        [format!("{length:04x}{key} ").as_bytes(), value, b"\n"].concat()
    }

    #[test]
    fn a_v1_macaroon_is_the_same_macaroon() {
        let mut v2 = Macaroon::mint(&RootKey::new([3; 32]), b"id");
        v2.attenuate("services=a:0");
        let v1 = [
            packet("location", b"lsat"),
            packet("identifier", b"id"),
            packet("cid", b"services=a:0"),
            packet("signature", v2.signature()),
        ]
        .concat();
        assert_eq!(Macaroon::parse(&v1), Ok(v2));
    }

    #[test]
    fn a_cut_packet_is_refused() {
        let whole = [packet("location", b"lsat"), packet("identifier", b"id")].concat();
        for length in 0..whole.len() {
            assert!(parse(&whole[..length]).is_err(), "{length}");
        }
        assert_eq!(parse(&packet("cid", b"x")), Err(MacaroonError::UnexpectedField(0)));
    }

    #[test]
    fn a_packet_length_is_digits_and_nothing_else() {
        let location = packet("location", b"lsat");
        for sign in ["+", " "] {
            let signed = [sign.as_bytes(), &location[1..]].concat();
            assert_eq!(parse(&signed), Err(MacaroonError::Truncated(0)), "{sign:?}");
        }
    }
}
