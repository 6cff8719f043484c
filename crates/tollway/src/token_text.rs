//! Tokens as people come by them: bare, with the preimage behind a colon, in a header line, or
//! somewhere in the output of `curl -i`.

use std::io::Read;

use http::HeaderValue;
use l402::{Preimage, Token};

use crate::failure::Failure;

/// The most text we read to look for a token, in bytes.
const MOST_TEXT: u64 = 1024 * 1024;

/// A token, and the preimage if it was there too.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) token: Token,
    pub(crate) preimage: Option<Preimage>,
}

/// Finds the token in an argument, or in stdin if the argument is `-`.
pub(crate) fn from_argument(argument: &str) -> Result<Found, Failure> {
    if argument != "-" {
        return find(argument).unwrap_or(Err(Failure::NoToken("the argument")));
    }
    find(&read_stdin()?).unwrap_or(Err(Failure::NoToken("stdin")))
}

/// All of stdin, as text.
pub(crate) fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(MOST_TEXT)
        .read_to_string(&mut text)
        .map_err(|source| Failure::Io { what: "reading stdin".to_owned(), source })?;
    Ok(text)
}

/// The first token in the text, or why what looks like one is none.
fn find(text: &str) -> Option<Result<Found, Failure>> {
    let in_header = text.lines().find_map(|line| {
        // `curl -v` marks its header lines.
        let (name, value) = line.trim_start_matches(['<', '>', ' ']).split_once(':')?;
        let is_ours = ["www-authenticate", "authorization"]
            .iter()
            .any(|known| name.trim().eq_ignore_ascii_case(known));
        if is_ours { from_value(value.trim()) } else { None }
    });
    in_header.or_else(|| from_value(text.trim()))
}

/// Reads a challenge, a credential with its scheme, or the bare token.
fn from_value(value: &str) -> Option<Result<Found, Failure>> {
    if let Some(token) = from_challenge(value) {
        return Some(Token::new(&token).map(bare).map_err(Failure::from));
    }
    match value.split_once(' ') {
        Some((scheme, rest)) if l402::scheme::find(scheme).is_some() => {
            Some(from_credential(rest.trim()))
        }
        Some(_) => None,
        None if value.is_empty() => None,
        None => Some(from_credential(value)),
    }
}

fn from_challenge(value: &str) -> Option<String> {
    let line = HeaderValue::from_str(value).ok()?;
    l402::challenges([&line])
        .iter()
        .filter(|raw| l402::scheme::find(&raw.scheme).is_some())
        .flat_map(|raw| &raw.parameters)
        .find(|(name, _)| name == "token" || name == "macaroon")
        .map(|(_, value)| value.clone())
}

fn from_credential(text: &str) -> Result<Found, Failure> {
    match text.rsplit_once(':') {
        Some((token, preimage)) => {
            let preimage = preimage.parse().map_err(|_| Failure::NotAPreimage)?;
            Ok(Found { token: Token::new(token)?, preimage: Some(preimage) })
        }
        None => Ok(bare(Token::new(text)?)),
    }
}

const fn bare(token: Token) -> Found {
    Found { token, preimage: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_wherever_people_have_it() {
        let preimage = "07".repeat(32);
        for (text, has_preimage) in [
            ("AgEE".to_owned(), false),
            (" AgEE\n".to_owned(), false),
            (format!("AgEE:{preimage}"), true),
            (format!("lsat AgEE:{preimage}"), true),
            (format!("Authorization: L402 AgEE:{preimage}"), true),
            (format!("> authorization: LSAT AgEE:{preimage}\r\n"), true),
            (r#"L402 macaroon="AgEE", invoice="lnbc1""#.to_owned(), false),
            (
                "HTTP/1.1 402 Payment Required\r\nserver: x\r\n\
                 www-authenticate: Basic realm=\"x\", L402 invoice=lnbc1, token=AgEE\r\n\r\npay"
                    .to_owned(),
                false,
            ),
        ] {
            let found = find(&text).expect(&text).expect(&text);
            assert_eq!(found.token.as_str(), "AgEE", "{text}");
            assert_eq!(found.preimage.is_some(), has_preimage, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_is_named() {
        for text in ["", "HTTP/1.1 200 OK\r\ndate: today\r\n", "Basic dXNlcjpwYXNz"] {
            assert!(find(text).is_none(), "{text}");
        }
        assert!(matches!(find("AgEE:xyz"), Some(Err(Failure::NotAPreimage))));
        assert!(matches!(find("Ag\"EE"), Some(Err(Failure::Token(_)))));
    }
}
