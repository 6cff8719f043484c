//! The two JSON forms, read only: V1 (`caveats`, `identifier`, `signature` in hex) and V2 (`c`,
//! `i` or `i64`, `s` or `s64`), as libmacaroons and go-macaroon write them.

use serde::Deserialize;

use super::{MOST_CAVEATS, Macaroon, MacaroonError, RawCaveat};
use crate::encoding::from_base64;

#[derive(Deserialize)]
struct Form {
    #[serde(alias = "l", default)]
    location: String,
    identifier: Option<String>,
    i: Option<String>,
    i64: Option<String>,
    #[serde(alias = "c", default)]
    caveats: Vec<CaveatForm>,
    signature: Option<String>,
    s: Option<String>,
    s64: Option<String>,
}

#[derive(Deserialize)]
struct CaveatForm {
    #[serde(alias = "l", alias = "cl", default)]
    location: String,
    cid: Option<String>,
    i: Option<String>,
    i64: Option<String>,
    vid: Option<String>,
    v: Option<String>,
    v64: Option<String>,
}

pub(super) fn parse(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
    let form: Form = serde_json::from_slice(bytes).map_err(|_| MacaroonError::BadJson)?;
    if form.caveats.len() > MOST_CAVEATS {
        return Err(MacaroonError::TooLarge);
    }
    let identifier = text_or_base64([form.identifier, form.i], form.i64)?;
    let signature = match (form.signature, form.s, form.s64) {
        (Some(text), None, None) => {
            hex::FromHex::from_hex(&text).map_err(|_| MacaroonError::BadSignatureLength)?
        }
        (None, raw, base64) => {
            let bytes = text_or_base64([raw, None], base64)?;
            bytes.try_into().map_err(|_| MacaroonError::BadSignatureLength)?
        }
        _ => return Err(MacaroonError::BadJson),
    };
    let caveats = form.caveats.into_iter().map(caveat).collect::<Result<_, _>>()?;
    Ok(Macaroon { location: form.location.into_bytes(), identifier, caveats, signature })
}

fn caveat(form: CaveatForm) -> Result<RawCaveat, MacaroonError> {
    let id = text_or_base64([form.cid, form.i], form.i64)?;
    // V1 writes `vid` in base64, V2 writes `v64`, or `v` when it is text.
    let verification_id = match (form.vid, form.v, form.v64) {
        (None, None, None) => None,
        (Some(base64), None, None) => Some(text_or_base64([None, None], Some(base64))?),
        (None, text, base64) => Some(text_or_base64([text, None], base64)?),
        _ => return Err(MacaroonError::BadJson),
    };
    Ok(RawCaveat { location: form.location.into_bytes(), id, verification_id })
}

/// Exactly one of the spellings must be there.
fn text_or_base64(
    texts: [Option<String>; 2],
    base64: Option<String>,
) -> Result<Vec<u8>, MacaroonError> {
    match (texts, base64) {
        ([Some(text), None] | [None, Some(text)], None) => Ok(text.into_bytes()),
        ([None, None], Some(base64)) => from_base64(&base64).ok_or(MacaroonError::BadJson),
        _ => Err(MacaroonError::BadJson),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::to_base64;
    use crate::keys::RootKey;

    #[test]
    fn both_json_forms_are_the_same_macaroon() {
        let mut macaroon = Macaroon::mint(&RootKey::new([3; 32]), b"id");
        macaroon.attenuate("services=a:0");
        let signature = hex::DisplayHex::to_lower_hex_string(&macaroon.signature()[..]);
        let v1 = format!(
            r#"{{"caveats":[{{"cid":"services=a:0"}}],"location":"lsat","identifier":"id","signature":"{signature}"}}"#
        );
        let s64 = to_base64(macaroon.signature());
        let v2 = format!(
            r#"{{"v":2,"l":"lsat","i64":"aWQ","c":[{{"i":"services=a:0"}}],"s64":"{s64}"}}"#
        );
        assert_eq!(Macaroon::parse(v1.as_bytes()).as_ref(), Ok(&macaroon));
        assert_eq!(Macaroon::parse(v2.as_bytes()).as_ref(), Ok(&macaroon));
    }

    #[test]
    fn two_spellings_of_one_field_are_refused() {
        let both = br#"{"i":"a","i64":"YQ","s64":""}"#;
        assert_eq!(Macaroon::parse(both), Err(MacaroonError::BadJson));
    }
}
