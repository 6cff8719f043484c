//! What an invoice says it is for: a text in which the request at hand is named.

use http::request::Parts;
use l402::Msat;

use crate::route::asked_host;

/// The longest memo that BOLT 11 has room for, in bytes (BOLT 11 field `d`).
pub(crate) const LONGEST: usize = 639;

/// A text with names in braces: `{service}`, `{method}`, `{path}`, `{host}`, `{price}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Memo(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Service,
    Method,
    Path,
    Host,
    Price,
}

/// Why a text is no memo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadMemo {
    TooLong,
    Name,
}

impl Memo {
    pub(crate) fn read(written: &str) -> Result<Self, BadMemo> {
        if written.len() > LONGEST {
            return Err(BadMemo::TooLong);
        }
        let mut pieces = Vec::new();
        let mut rest = written;
        while let Some((text, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(BadMemo::Name)?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(match name {
                "service" => Piece::Service,
                "method" => Piece::Method,
                "path" => Piece::Path,
                "host" => Piece::Host,
                "price" => Piece::Price,
                _ => return Err(BadMemo::Name),
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err(BadMemo::Name);
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The memo of one request's invoice; cut where an invoice has no more room.
    pub(crate) fn write(&self, service: &str, head: &Parts, price: Msat) -> String {
        let mut memo = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => memo.push_str(text),
                Piece::Service => memo.push_str(service),
                Piece::Method => memo.push_str(head.method.as_str()),
                Piece::Path => memo.push_str(head.uri.path()),
                Piece::Host => memo.push_str(asked_host(head).unwrap_or_default()),
                Piece::Price => memo.push_str(&price.to_string()),
            }
        }
        let mut end = memo.len().min(LONGEST);
        while !memo.is_char_boundary(end) {
            end -= 1;
        }
        memo.truncate(end);
        memo
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_names_the_request() {
        let request = http::Request::post("/v1/x?secret").header("host", "h.example").body(());
        let (head, ()) = request.unwrap().into_parts();
        let price = "10 sat".parse().unwrap();
        let memo = |text: &str| Memo::read(text).unwrap().write("api", &head, price);
        assert_eq!(
            memo("{service}: {method} {host}{path} for {price}"),
            "api: POST h.example/v1/x for 10 sat"
        );
        assert_eq!(memo("plain"), "plain");
        assert_eq!(memo(&"{host}".repeat(100)).len(), LONGEST);
        let accents = memo(&format!("{}é", "{host}".repeat(70)));
        assert_eq!(accents.len(), 9 * 70 + 2);
        for bad in ["{", "}", "{query}", "{}", "a}b"] {
            assert_eq!(Memo::read(bad), Err(BadMemo::Name), "{bad}");
        }
        assert_eq!(Memo::read(&"m".repeat(640)), Err(BadMemo::TooLong));
    }
}
