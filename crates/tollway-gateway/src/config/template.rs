//! Values that are put together from text and secrets: `Bearer {env:TOKEN}`. A secret is named here and
//! fetched when the gateway is opened.

use std::fmt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hex::DisplayHex;
use l402::Secret;

/// A text in which secrets are named.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Env(String),
    File(PathBuf, Form),
}

/// How the bytes of a file are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As they are, without a line's end.
    Text,
    /// Two hexadecimal digits for each, as macaroons of nodes are sent.
    Hex,
    /// Base64 with padding (RFC 4648 section 4).
    Base64,
}

/// A secret cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The environment does not have it.
    #[error("the variable {0} is not set")]
    NotSet(String),
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not text.
    #[error("{0} is not text; `file+hex:` and `file+base64:` read any bytes")]
    NotText(PathBuf),
}

const EXAMPLE: &str = "name a secret as `{env:NAME}`, `{file:/path}`, `{file+hex:/path}` or `{file+base64:/path}`; nothing else stands in `{}`";

impl Template {
    /// Reads text with secrets in braces, or one of `env:NAME`, `file:/path`, `file+hex:/path` and
    /// `file+base64:/path` alone.
    pub(super) fn read(written: &str) -> Result<Self, &'static str> {
        if let Some(piece) = Piece::secret(written) {
            return Ok(Self(vec![piece]));
        }
        let mut pieces = Vec::new();
        let mut rest = written;
        while let Some((text, after)) = rest.split_once('{') {
            let (secret, after) = after.split_once('}').ok_or(EXAMPLE)?;
            pieces.push(Piece::Text(text.to_owned()));
            pieces.push(Piece::secret(secret).ok_or(EXAMPLE)?);
            rest = after;
        }
        if rest.contains('}') {
            return Err(EXAMPLE);
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The text, when there is no secret in it.
    pub(super) fn plain(&self) -> Option<String> {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Env(_) | Piece::File(..) => None,
        };
        self.0.iter().map(text).collect()
    }

    /// Puts it together. `env` reads a variable of the environment.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub(crate) fn fetch(
        &self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Secret<String>, FetchError> {
        let mut whole = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => whole.push_str(text),
                Piece::Env(name) => {
                    let value = env(name).ok_or_else(|| FetchError::NotSet(name.clone()))?;
                    whole.push_str(Secret::new(value).expose());
                }
                Piece::File(path, form) => {
                    let failed = |source| FetchError::File { path: path.clone(), source };
                    let bytes = Secret::new(std::fs::read(path).map_err(failed)?);
                    match form {
                        Form::Hex => whole.push_str(&bytes.expose().to_lower_hex_string()),
                        Form::Base64 => whole.push_str(&BASE64_STANDARD.encode(bytes.expose())),
                        Form::Text => {
                            let text = std::str::from_utf8(bytes.expose());
                            let text = text.map_err(|_| FetchError::NotText(path.clone()))?;
                            whole.push_str(text.trim_end_matches(['\r', '\n']));
                        }
                    }
                }
            }
        }
        Ok(Secret::new(whole))
    }
}

impl Piece {
    fn secret(written: &str) -> Option<Self> {
        match written.split_once(':')? {
            (_, "") => None,
            ("env", name) => Some(Self::Env(name.to_owned())),
            ("file", path) => Some(Self::File(path.into(), Form::Text)),
            ("file+hex", path) => Some(Self::File(path.into(), Form::Hex)),
            ("file+base64", path) => Some(Self::File(path.into(), Form::Base64)),
            _ => None,
        }
    }
}

/// Somebody may have written a secret out, so text is not shown.
impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Template(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(written: &str) -> String {
        let env = |name: &str| (name == "KEY").then(|| "hunter2".to_owned());
        Template::read(written).unwrap().fetch(env).unwrap().expose().clone()
    }

    #[test]
    fn secrets_stand_alone_or_in_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "from a file\n").unwrap();
        let path = path.display();
        for (written, value) in [
            ("plain: text", "plain: text".to_owned()),
            ("", String::new()),
            ("env:KEY", "hunter2".to_owned()),
            ("Bearer {env:KEY}!", "Bearer hunter2!".to_owned()),
            (&format!("file:{path}"), "from a file".to_owned()),
            (&format!("<{{file:{path}}}> {{env:KEY}}"), "<from a file> hunter2".to_owned()),
            (&format!("file+hex:{path}"), "66726f6d20612066696c650a".to_owned()),
            (&format!("Basic {{file+base64:{path}}}"), "Basic ZnJvbSBhIGZpbGUK".to_owned()),
        ] {
            assert_eq!(fetched(written), value, "{written}");
        }
        for bad in ["{", "}", "a{b}", "{env:}", "{env:A", "a}b", "{{env:A}}"] {
            assert!(Template::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_fetched_is_said_without_the_value() {
        let error = |written: &str| {
            Template::read(written).unwrap().fetch(|_| None).unwrap_err().to_string()
        };
        assert_eq!(error("x {env:OTHER}"), "the variable OTHER is not set");
        assert!(error("file:/nowhere/at/all").contains("/nowhere/at/all"));
        assert!(!format!("{:?}", Template::read("hunter2").unwrap()).contains("hunter2"));
    }
}
