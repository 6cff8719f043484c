//! The bytes of a token's identifier.

use l402::{Identifier, Macaroon, RootKey};

pub fn run(data: &[u8]) {
    let committed = Macaroon::mint(&RootKey::new([1; 32]), data).payment_hash();
    match Identifier::parse(data) {
        Ok(identifier) => {
            assert_eq!(identifier.to_bytes()[..], *data);
            assert_eq!(committed, Some(identifier.payment_hash));
        }
        // Bare hashes are read by clients, and only those.
        Err(_) => match committed {
            Some(hash) => assert!(data.ends_with(&hash.0) && matches!(data.len(), 32 | 33)),
            None => assert!(data.len() != 32),
        },
    }
}
