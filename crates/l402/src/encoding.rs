//! Base64 as deployed programs write it: both alphabets, with padding and without.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Standard alphabet with padding: the one form that every deployed program reads.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Either alphabet (not both in one text), with or without padding.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url_safe { &URL_SAFE } else { &STANDARD };
    engine.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_four_spellings_are_one_value() {
        for text in ["+/8=", "+/8", "-_8=", "-_8"] {
            assert_eq!(from_base64(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        // One letter of an alphabet is enough to tell which it is.
        for (text, byte) in [("/w==", 0xff), ("_w==", 0xff), ("+A==", 0xf8), ("-A==", 0xf8)] {
            assert_eq!(from_base64(text), Some(vec![byte]), "{text}");
        }
        for bad in ["+_8=", "a", "ab=c", " ", "+/9"] {
            assert_eq!(from_base64(bad), None, "{bad}");
        }
    }
}
