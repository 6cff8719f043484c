//! A token's text, as a server sent it and a client sends it back.

use http::HeaderValue;
use l402::{Binding, Macaroon, Token, challenges};

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(token) = Token::new(text) else { return };
    assert_eq!(token.as_str(), text);

    let line = HeaderValue::from_str(&format!(r#"L402 token="{text}", invoice="x""#));
    let found = challenges([&line.expect("a token is printable ASCII")]);
    assert_eq!(found[0].parameter("token"), Ok(Some(text)));
    assert_eq!(found[0].parameter("invoice"), Ok(Some("x")));
    assert_eq!(found.len(), 1, "a token can add a challenge");

    let macaroons = token.macaroons();
    let mut hashes = macaroons.iter().flatten().filter_map(Macaroon::payment_hash);
    match (token.binding(), &macaroons) {
        (Binding::Bound(hash), Some(_)) => assert!(hashes.all(|other| other == hash)),
        (Binding::Unbound, Some(_)) => assert_eq!(hashes.next(), None),
        (Binding::Torn, _) => assert!(hashes.count() > 1),
        (Binding::Bound(_) | Binding::Unbound, None) => {}
    }
}
