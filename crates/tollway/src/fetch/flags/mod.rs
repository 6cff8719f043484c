//! The flags of `tollway get`, by theme. They mean what they mean to curl; where the two would
//! differ because this program pays, the flag's help says so. Nothing here sends anything: flags
//! become values, and what cannot be had is refused by name.

pub(crate) mod auth;
pub(crate) mod conditional;
pub(crate) mod connection;
pub(crate) mod cookies;
pub(crate) mod form;
pub(crate) mod headers;
pub(crate) mod limits;
pub(crate) mod output;
pub(crate) mod refused;
pub(crate) mod send;
pub(crate) mod tls;

use std::io::Read;
use std::path::Path;

use clap::ArgMatches;
use url::Url;

/// Why the flags are no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Not a URL we can send anything to.
    #[error("`{url}` is no URL to send a request to: {problem}")]
    Url {
        /// As it was given.
        url: String,
        /// What is the matter with it.
        problem: String,
    },
    /// No URL at all.
    #[error("no URL is given")]
    NoUrl,
    /// Not an HTTP method.
    #[error("`{0}` is no HTTP method")]
    Method(String),
    /// Not a header line.
    #[error("`{0}` is no header; write `Name: value`")]
    Header(String),
    /// The one header that we write ourselves.
    #[error("the `Authorization` header in scheme `{0}` is written by this program")]
    OurHeader(String),
    /// A file to send or to obey cannot be read.
    #[error("cannot read `{path}`, which {flag} names")]
    Unreadable {
        /// Which flag.
        flag: &'static str,
        /// Which file, `-` for stdin.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A flag's value is not what it must be.
    #[error("{flag} cannot be `{value}`: {problem}")]
    Value {
        /// Which flag.
        flag: &'static str,
        /// As it was given; never a secret.
        value: String,
        /// What it must be.
        problem: &'static str,
    },
    /// A flag that names a secret, or a file that holds one, is not what it must be.
    #[error("{flag}: {problem}")]
    Secret {
        /// Which flag.
        flag: &'static str,
        /// What is the matter.
        problem: &'static str,
    },
    /// Two flags that cannot both be obeyed.
    #[error("{one} and {other} cannot both be obeyed: {why}")]
    Together {
        /// One flag.
        one: &'static str,
        /// The other.
        other: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A flag of curl's that cannot be had here.
    #[error("{flag} cannot be had here: {remedy}")]
    Refused {
        /// Which flag.
        flag: &'static str,
        /// What to do instead.
        remedy: &'static str,
    },
}

/// Reads a URL. The scheme is not guessed: a guess of `http` would send a proof of payment in plain.
pub(crate) fn read_url(text: &str) -> Result<Url, AskError> {
    let bad = |problem: &str| AskError::Url { url: text.to_owned(), problem: problem.to_owned() };
    if !text.contains("://") {
        return Err(bad("write it with `http://` or `https://` before it"));
    }
    let url: Url = text.parse().map_err(|e: url::ParseError| bad(&e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("only http and https are spoken here"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not quoted: it has a password in it.
        let url = "(with a user name)".to_owned();
        let problem = "a user name in it would take the header that carries the proof of payment; \
                       give it with `--user`";
        return Err(AskError::Url { url, problem: problem.to_owned() });
    }
    Ok(url)
}

/// The values of several flags, each with its flag's id, in the order of the command line.
pub(crate) fn in_order<'a>(
    args: &'a ArgMatches,
    ids: &[&'static str],
) -> Vec<(&'static str, &'a str)> {
    let mut found = Vec::new();
    for id in ids {
        let values = args.get_many::<String>(id).into_iter().flatten();
        let places = args.indices_of(id).into_iter().flatten();
        found.extend(places.zip(values).map(|(place, value)| (place, *id, value.as_str())));
    }
    found.sort_by_key(|(place, ..)| *place);
    found.into_iter().map(|(_, id, value)| (id, value)).collect()
}

/// A whole file; `-` is stdin.
pub(crate) fn read_file(flag: &'static str, path: &str) -> Result<Vec<u8>, AskError> {
    let unreadable = |source| AskError::Unreadable { flag, path: path.to_owned(), source };
    if path == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
        return Ok(bytes);
    }
    std::fs::read(Path::new(path)).map_err(unreadable)
}

/// A whole file of text.
pub(crate) fn read_text(flag: &'static str, path: &Path) -> Result<String, AskError> {
    let path = path.display().to_string();
    let bytes = read_file(flag, &path)?;
    String::from_utf8(bytes).map_err(|_| AskError::Value {
        flag,
        value: path,
        problem: "it is no text",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_urls_are_asked() {
        for bad in ["localhost:80/x", "ftp://localhost/", "http://", "/x", "http://a:b@localhost/"]
        {
            let error = read_url(bad).unwrap_err();
            assert!(!error.to_string().contains("a:b"), "{error}");
        }
    }
}
