//! Who the user is to the server, besides somebody who paid. It stands in the one `Authorization` line
//! that a request has: where the proof of payment would go there too, nothing is paid.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use netrc::Netrc;
use url::Url;

use super::{AskError, read_file};

#[derive(Debug, Args)]
#[command(next_help_heading = "Who asks")]
pub(crate) struct AuthFlags {
    /// User name and password for HTTP basic authentication, `NAME:PASSWORD`; `@FILE` reads them
    /// from a file, where other users of this machine do not see them
    #[arg(short, long, value_name = "USER", conflicts_with = "oauth2_bearer")]
    user: Option<String>,

    /// A bearer token; `@FILE` reads it from a file
    #[arg(long, value_name = "TOKEN")]
    oauth2_bearer: Option<String>,

    /// Look the user up in ~/.netrc
    #[arg(short, long, conflicts_with_all = ["user", "oauth2_bearer"])]
    netrc: bool,

    /// As --netrc, where it is there and no user is given
    #[arg(long)]
    netrc_optional: bool,

    /// Look the user up in this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["user", "oauth2_bearer"])]
    netrc_file: Option<PathBuf>,

    /// Send user and cookies of our own to whatever server a redirect leads to
    #[arg(long)]
    pub(crate) location_trusted: bool,
}

/// What is known of users.
pub(crate) enum Auth {
    /// Nothing.
    Nobody,
    /// The same for every URL.
    Line(HeaderValue),
    /// By host.
    Netrc(Netrc),
}

impl AuthFlags {
    /// Reads the files.
    pub(crate) fn read(&self, home: Option<&Path>) -> Result<Auth, AskError> {
        if let Some(user) = &self.user {
            let user = secret("--user", user)?;
            if !user.contains(':') {
                let problem = "write `NAME:PASSWORD`, or name a file by `@FILE`; nobody is asked \
                               for a password here";
                return Err(AskError::Secret { flag: "--user", problem });
            }
            return Ok(Auth::Line(basic(&user)));
        }
        if let Some(token) = &self.oauth2_bearer {
            let token = secret("--oauth2-bearer", token)?;
            return Ok(Auth::Line(sensitive("--oauth2-bearer", format!("Bearer {token}"))?));
        }
        let file = match (&self.netrc_file, self.netrc || self.netrc_optional, home) {
            (Some(file), ..) => file.clone(),
            (None, true, Some(home)) => home.join(".netrc"),
            (None, true, None) => {
                let problem = "HOME is not set; name the file by `--netrc-file`";
                return Err(AskError::Secret { flag: "--netrc", problem });
            }
            (None, false, _) => return Ok(Auth::Nobody),
        };
        if self.netrc_optional && self.netrc_file.is_none() && !file.exists() {
            return Ok(Auth::Nobody);
        }
        match Netrc::from_file(&file) {
            Ok(netrc) => Ok(Auth::Netrc(netrc)),
            Err(netrc::Error::Io(source)) => {
                let path = file.display().to_string();
                Err(AskError::Unreadable { flag: "--netrc-file", path, source })
            }
            // The parser's own words quote the file.
            Err(netrc::Error::Parsing { .. }) => {
                let problem = "the file is not what a netrc file must be";
                Err(AskError::Secret { flag: "--netrc-file", problem })
            }
        }
    }
}

impl Auth {
    /// Adds the line for that URL, unless the user wrote one.
    pub(crate) fn add(&self, url: &Url, headers: &mut HeaderMap) {
        if headers.contains_key(AUTHORIZATION) {
            return;
        }
        let line = match self {
            Self::Nobody => None,
            Self::Line(line) => Some(line.clone()),
            Self::Netrc(netrc) => {
                let host = url.host_str().unwrap_or_default();
                let entry = netrc.hosts.get(host).or_else(|| netrc.hosts.get("default"));
                entry.map(|entry| basic(&format!("{}:{}", entry.login, entry.password)))
            }
        };
        if let Some(line) = line {
            headers.insert(AUTHORIZATION, line);
        }
    }
}

/// The value itself, or the first line of the file that it names.
fn secret(flag: &'static str, value: &str) -> Result<String, AskError> {
    let Some(path) = value.strip_prefix('@') else { return Ok(value.to_owned()) };
    let text = String::from_utf8(read_file(flag, path)?)
        .map_err(|_| AskError::Secret { flag, problem: "the file is no text" })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn basic(user: &str) -> HeaderValue {
    let line = format!("Basic {}", BASE64_STANDARD.encode(user));
    let mut value = HeaderValue::try_from(line).expect("base64 is plain characters");
    value.set_sensitive(true);
    value
}

fn sensitive(flag: &'static str, line: String) -> Result<HeaderValue, AskError> {
    let bad = |_| AskError::Secret { flag, problem: "a header is one line of plain characters" };
    let mut value = HeaderValue::try_from(line).map_err(bad)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn line(flags: &[&str], url: &str) -> Result<Option<String>, AskError> {
        let command = AuthFlags::augment_args(clap::Command::new("get"));
        let args = command.try_get_matches_from([&["get"], flags].concat()).expect("known flags");
        let auth = AuthFlags::from_arg_matches(&args).unwrap().read(None)?;
        let mut headers = HeaderMap::new();
        auth.add(&url.parse().unwrap(), &mut headers);
        Ok(headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_user_is_basic_and_a_token_is_bearer() {
        let url = "https://a.example/";
        assert_eq!(line(&[], url).unwrap(), None);
        assert_eq!(line(&["-u", "a:b"], url).unwrap().as_deref(), Some("Basic YTpi"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a:b\n").unwrap();
        let at = format!("@{}", file.path().display());
        assert_eq!(line(&["-u", &at], url).unwrap().as_deref(), Some("Basic YTpi"));
        assert_eq!(line(&["--oauth2-bearer", "t"], url).unwrap().as_deref(), Some("Bearer t"));
    }

    #[test]
    fn a_user_without_a_password_is_not_quoted() {
        let error = line(&["-u", "hunter2"], "https://a.example/").unwrap_err().to_string();
        assert!(!error.contains("hunter2") && error.contains("NAME:PASSWORD"), "{error}");
    }

    #[test]
    fn a_netrc_is_read_by_host() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "machine a.example login a password b\n").unwrap();
        let flags = ["--netrc-file", file.path().to_str().unwrap()];
        assert_eq!(line(&flags, "https://a.example/x").unwrap().as_deref(), Some("Basic YTpi"));
        assert_eq!(line(&flags, "https://b.example/x").unwrap(), None);
        let missing = line(&["--netrc-file", "/nowhere"], "https://a.example/");
        assert!(matches!(missing, Err(AskError::Unreadable { .. })));
    }
}
