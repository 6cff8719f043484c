//! The V2 binary format, as libmacaroons and go-macaroon write it (go-macaroon `packet-v2.go`):
//! `02 [01 len location] 02 len identifier 00 ( [01 len location] 02 len id [04 len vid] 00 )* 00
//! 06 20 signature`, with lengths as unsigned LEB128.

use super::{LONGEST, MOST_CAVEATS, Macaroon, MacaroonError, RawCaveat};

const END: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFICATION_ID: u8 = 4;
const SIGNATURE: u8 = 6;

pub(super) fn parse(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    let mut reader = Reader { bytes, at: 1 };
    let location = reader.optional(LOCATION)?.unwrap_or_default().to_vec();
    let identifier = reader.required(IDENTIFIER)?.to_vec();
    reader.end()?;
    let mut caveats = Vec::new();
    while reader.peek()? != END {
        if caveats.len() == MOST_CAVEATS {
            return Err(MacaroonError::TooLarge);
        }
        let location = reader.optional(LOCATION)?.unwrap_or_default().to_vec();
        let id = reader.required(IDENTIFIER)?.to_vec();
        let verification_id = reader.optional(VERIFICATION_ID)?.map(<[u8]>::to_vec);
        reader.end()?;
        caveats.push(RawCaveat { location, id, verification_id });
    }
    reader.end()?;
    let signature = reader.required(SIGNATURE)?;
    let signature = signature.try_into().map_err(|_| MacaroonError::BadSignatureLength)?;
    match bytes.len() - reader.at {
        0 => Ok(Macaroon { location, identifier, caveats, signature }),
        rest => Err(MacaroonError::TrailingBytes(rest)),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Result<u8, MacaroonError> {
        self.bytes.get(self.at).copied().ok_or(MacaroonError::Truncated(self.at))
    }

    fn end(&mut self) -> Result<(), MacaroonError> {
        match self.peek()? {
            END => {
                self.at += 1;
                Ok(())
            }
            _ => Err(MacaroonError::UnexpectedField(self.at)),
        }
    }

    fn optional(&mut self, field: u8) -> Result<Option<&'a [u8]>, MacaroonError> {
        if self.peek()? != field {
            return Ok(None);
        }
        self.at += 1;
        let length = self.length()?;
        let end = self.at.checked_add(length).ok_or(MacaroonError::Truncated(self.at))?;
        let data = self.bytes.get(self.at..end).ok_or(MacaroonError::Truncated(self.at))?;
        self.at = end;
        Ok(Some(data))
    }

    fn required(&mut self, field: u8) -> Result<&'a [u8], MacaroonError> {
        let at = self.at;
        self.optional(field)?.ok_or(MacaroonError::UnexpectedField(at))
    }

    fn length(&mut self) -> Result<usize, MacaroonError> {
        let (mut value, start) = (0usize, self.at);
        for shift in [0, 7, 14] {
            let byte = self.peek()?;
            self.at += 1;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return if value <= LONGEST { Ok(value) } else { Err(MacaroonError::TooLarge) };
            }
        }
        Err(MacaroonError::Truncated(start))
    }
}

pub(super) fn write(macaroon: &Macaroon) -> Vec<u8> {
    let caveats: usize = macaroon.caveats.iter().map(|c| c.id.len() + c.location.len() + 80).sum();
    let mut out = Vec::with_capacity(macaroon.identifier.len() + caveats + 64);
    out.push(2);
    if !macaroon.location.is_empty() {
        field(&mut out, LOCATION, &macaroon.location);
    }
    field(&mut out, IDENTIFIER, &macaroon.identifier);
    out.push(END);
    for caveat in &macaroon.caveats {
        if !caveat.location.is_empty() {
            field(&mut out, LOCATION, &caveat.location);
        }
        field(&mut out, IDENTIFIER, &caveat.id);
        if let Some(vid) = &caveat.verification_id {
            field(&mut out, VERIFICATION_ID, vid);
        }
        out.push(END);
    }
    out.push(END);
    field(&mut out, SIGNATURE, &macaroon.signature);
    out
}

fn field(out: &mut Vec<u8>, kind: u8, data: &[u8]) {
    out.push(kind);
    let mut length = data.len();
    while length >= 0x80 {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        hex::FromHex::from_hex(text).unwrap()
    }

    #[test]
    fn each_way_to_be_broken_has_its_own_error() {
        let signature = format!("0620{}", "11".repeat(32));
        let whole = format!("020201610000{signature}");
        assert!(parse(&hex(&whole)).is_ok());
        for (bytes, error) in [
            ("02".to_owned(), MacaroonError::Truncated(1)),
            ("0206".to_owned(), MacaroonError::UnexpectedField(1)),
            ("02020561".to_owned(), MacaroonError::Truncated(3)),
            ("0202ffffff7f".to_owned(), MacaroonError::Truncated(2)),
            ("0202ffff7f61".to_owned(), MacaroonError::TooLarge),
            (format!("{whole}00"), MacaroonError::TrailingBytes(1)),
            ("0202016100000601aa".to_owned(), MacaroonError::BadSignatureLength),
            (format!("0202016100040161{signature}"), MacaroonError::UnexpectedField(5)),
        ] {
            assert_eq!(parse(&hex(&bytes)), Err(error), "{bytes}");
        }
    }
}
