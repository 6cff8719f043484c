//! The list of challenges in `WWW-Authenticate` (RFC 9110 section 11.6.1), as deployed servers write
//! it: several lines or one, quoted or not, any order, any case. Nothing is understood here; the
//! schemes do that.

use http::HeaderValue;

/// The longest header line we read, in bytes, and the most challenges in one response.
const LONGEST_LINE: usize = 32 * 1024;
const MOST_CHALLENGES: usize = 32;
const MOST_PARAMETERS: usize = 32;

/// One challenge, split into its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawChallenge {
    /// The scheme's name, in the case it came in.
    pub scheme: String,
    /// Parameters in the order they came in; names in lower case.
    pub parameters: Vec<(String, String)>,
}

/// A parameter is there twice, so which one is meant is anybody's guess.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parameter `{0}` is there twice")]
pub struct Duplicate(pub String);

impl RawChallenge {
    /// The one value of a parameter, if it is there.
    ///
    /// # Errors
    /// It is there more than once.
    pub fn parameter(&self, name: &str) -> Result<Option<&str>, Duplicate> {
        let mut found = self.parameters.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Duplicate(name.to_owned())),
            (first, None) => Ok(first.map(|(_, value)| value.as_str())),
        }
    }
}

/// Reads all lines. What cannot be read ends the line it stands in; what came before it counts.
pub fn challenges<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Vec<RawChallenge> {
    let mut found = Vec::new();
    for line in lines {
        let text = String::from_utf8_lossy(line.as_bytes());
        if text.len() <= LONGEST_LINE {
            read_line(&text, &mut found);
        }
    }
    found
}

fn read_line(text: &str, found: &mut Vec<RawChallenge>) {
    let mut cursor = Cursor { rest: text };
    loop {
        cursor.skip(|c| c == ',' || c.is_ascii_whitespace());
        if found.len() >= MOST_CHALLENGES {
            return;
        }
        let Some(scheme) = cursor.word() else { return };
        cursor.skip_token68();
        let mut challenge = RawChallenge { scheme: scheme.to_owned(), parameters: Vec::new() };
        while let Some((name, value)) = cursor.parameter() {
            if challenge.parameters.len() < MOST_PARAMETERS {
                challenge.parameters.push((name.to_ascii_lowercase(), value));
            }
        }
        found.push(challenge);
    }
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.rest = self.rest.trim_start_matches(skipped);
    }

    /// A token of RFC 9110 section 5.6.2.
    fn word(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|c| !is_tchar(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        (end > 0).then(|| {
            self.rest = rest;
            word
        })
    }

    /// Skips what some schemes have in place of parameters (RFC 9110 section 11.2), such as
    /// `Negotiate YII/+w==`: one run of base64, up to a comma or the end. None of ours has one, and
    /// what follows it may be ours.
    fn skip_token68(&mut self) {
        let mut ahead = Cursor { rest: self.rest };
        ahead.skip(|c| c.is_ascii_whitespace());
        let before = ahead.rest.len();
        ahead.skip(|c| c.is_ascii_alphanumeric() || "-._~+/".contains(c));
        if ahead.rest.len() == before {
            return;
        }
        ahead.skip(|c| c == '=');
        ahead.skip(|c| c.is_ascii_whitespace());
        if ahead.rest.is_empty() || ahead.rest.starts_with(',') {
            self.rest = ahead.rest;
        }
    }

    /// `name = value`, after optional commas; `None`, with nothing consumed, where something else
    /// stands (the next scheme, or the end), and with everything consumed where a string never ends.
    fn parameter(&mut self) -> Option<(&'a str, String)> {
        let mut ahead = Cursor { rest: self.rest };
        ahead.skip(|c| c == ',' || c.is_ascii_whitespace());
        let name = ahead.word()?;
        ahead.skip(|c| c.is_ascii_whitespace());
        ahead.rest = ahead.rest.strip_prefix('=')?;
        ahead.skip(|c| c.is_ascii_whitespace());
        let Some(value) = ahead.value() else {
            self.rest = "";
            return None;
        };
        self.rest = ahead.rest;
        Some((name, value))
    }

    fn value(&mut self) -> Option<String> {
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote),
            _ => {
                // Base64 has characters that a token has not; deployed servers send it unquoted.
                let ends = |c: char| c == ',' || c == '"' || c.is_ascii_whitespace();
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let (value, rest) = self.rest.split_at(end);
                self.rest = rest;
                Some(value.to_owned())
            }
        }
    }

    /// A quoted-string of RFC 9110 section 5.6.4; single quotes are read too.
    fn quoted(&mut self, quote: char) -> Option<String> {
        let mut value = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => value.push(characters.next()?.1),
                _ if character == quote => {
                    self.rest = &self.rest[at + character.len_utf8()..];
                    return Some(value);
                }
                _ => value.push(character),
            }
        }
        self.rest = "";
        None
    }
}

fn is_tchar(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(lines: &[&str]) -> Vec<(String, Vec<(String, String)>)> {
        let lines: Vec<_> = lines.iter().map(|l| HeaderValue::from_str(l).unwrap()).collect();
        challenges(&lines).into_iter().map(|c| (c.scheme, c.parameters)).collect()
    }

    fn one(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        let owned = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        (scheme.to_owned(), owned)
    }

    #[test]
    fn one_line_or_several_are_the_same_list() {
        let expected = vec![
            one("LSAT", &[("macaroon", "a"), ("invoice", "b")]),
            one("L402", &[("token", "c")]),
        ];
        assert_eq!(read(&[r#"LSAT macaroon="a", invoice="b""#, r#"L402 token="c""#]), expected);
        assert_eq!(read(&[r#"LSAT macaroon="a", invoice="b", L402 token="c""#]), expected);
        assert_eq!(read(&[r#"LSAT macaroon=a,invoice=b,L402 token=c"#]), expected);
        assert_eq!(read(&[r#"LSAT MACAROON = 'a' , Invoice= "b" ,, L402 token="c","#]), expected);
    }

    #[test]
    fn a_challenge_inside_a_string_is_a_string() {
        assert_eq!(
            read(&[r#"Basic realm="say \"L402 token=x\", please", L402 token="c""#]),
            [
                one("Basic", &[("realm", r#"say "L402 token=x", please"#)]),
                one("L402", &[("token", "c")])
            ]
        );
    }

    #[test]
    fn unquoted_base64_is_whole() {
        assert_eq!(
            read(&["L402 macaroon=AgE/+w==, invoice=lnbc1x"]),
            [one("L402", &[("macaroon", "AgE/+w=="), ("invoice", "lnbc1x")])]
        );
    }

    #[test]
    fn another_scheme_s_base64_does_not_hide_what_follows() {
        for blob in ["YII/+w==", "abc", "a.b~c", "a/b"] {
            assert_eq!(
                read(&[&format!(r#"Negotiate {blob}, L402 token="c""#)]),
                [one("Negotiate", &[]), one("L402", &[("token", "c")])],
                "{blob}"
            );
        }
        // An `=` with a value behind it is a parameter, base64 or not.
        assert_eq!(read(&["L402 token=c"]), [one("L402", &[("token", "c")])]);
    }

    #[test]
    fn what_cannot_be_read_ends_its_own_line_only() {
        assert_eq!(
            read(&[r#"L402 token="never ends"#, r#"L402 token="c""#]),
            [one("L402", &[]), one("L402", &[("token", "c")])]
        );
    }

    #[test]
    fn a_parameter_that_is_there_twice_has_no_value() {
        let line = HeaderValue::from_static(r#"L402 token="a", token="b""#);
        let found = challenges([&line]);
        assert_eq!(found[0].parameter("token"), Err(Duplicate("token".to_owned())));
        assert_eq!(found[0].parameter("invoice"), Ok(None));
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic(line in "[ -~]{0,200}") {
            read(&[&line]);
        }
    }
}
