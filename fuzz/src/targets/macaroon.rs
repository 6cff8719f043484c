//! The bytes of a macaroon, in any encoding.

use l402::macaroon::{LONGEST, MOST_CAVEATS};
use l402::{Macaroon, RootKey, Token};

pub fn run(data: &[u8]) {
    if let Ok(macaroon) = Macaroon::parse(data) {
        is_written_and_read_again(&macaroon);
        is_signed_by_nobody_here(&macaroon);
        can_be_lengthened(&macaroon);
        cannot_be_changed(&macaroon, data);
    }
}

/// What is written reads back, and reads back as the same bytes.
fn is_written_and_read_again(macaroon: &Macaroon) {
    let bytes = macaroon.to_bytes();
    assert!(bytes.len() <= LONGEST, "the shortest encoding is longer than the one it came in");
    let again = Macaroon::parse(&bytes).expect("what we write, we read");
    assert_eq!(again, *macaroon);
    assert_eq!(again.to_bytes(), bytes);
    let token = Token::from_macaroon(macaroon);
    assert_eq!(token.macaroons().as_deref(), Some(std::slice::from_ref(macaroon)));
}

fn is_signed_by_nobody_here(macaroon: &Macaroon) {
    assert!(!macaroon.is_signed_with(&RootKey::new([0xa5; 32])), "signed without the key");
}

/// Anybody can add a caveat, and that changes what is signed.
fn can_be_lengthened(macaroon: &Macaroon) {
    let mut longer = macaroon.clone();
    longer.attenuate("method=GET");
    assert_ne!(longer.signature(), macaroon.signature());
    assert_eq!(longer.caveats().count(), macaroon.caveats().count() + 1);
    let bytes = longer.to_bytes();
    if bytes.len() <= LONGEST && longer.caveats().count() <= MOST_CAVEATS {
        assert_eq!(Macaroon::parse(&bytes), Ok(longer));
    }
}

/// The same content under a key of ours, and then one bit of it the other way: still signed only if
/// the bit is in the location, which nobody signs.
fn cannot_be_changed(macaroon: &Macaroon, data: &[u8]) {
    let key = RootKey::new([0x5a; 32]);
    let mut ours = Macaroon::mint(&key, macaroon.identifier());
    macaroon.caveats().flatten().for_each(|caveat| ours.attenuate(caveat));
    assert!(ours.is_signed_with(&key));

    let mut bytes = ours.to_bytes();
    let seed = data.iter().fold(0usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte));
    let bit = seed % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    let Ok(changed) = Macaroon::parse(&bytes) else { return };
    if changed.is_signed_with(&key) {
        assert_eq!(changed.identifier(), ours.identifier());
        assert!(changed.caveats().eq(ours.caveats()));
        assert_eq!(changed.signature(), ours.signature());
    }
}
