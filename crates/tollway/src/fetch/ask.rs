//! What to send, from flags that mean what they mean to curl. Nothing is sent here.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

/// What the flags say.
#[derive(Debug, clap::Args)]
pub(crate) struct AskFlags {
    /// What to get; http or https
    pub(crate) url: String,

    /// The method; GET, or POST when there is something to send
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,

    /// A header, `Name: value`; `Name;` sends it empty, `Name:` leaves out one of our own
    #[arg(short = 'H', long = "header", value_name = "LINE")]
    headers: Vec<String>,

    /// What to send as a form; `@FILE` reads a file without its line breaks, `@-` stdin. Several
    /// are joined by `&`
    #[arg(short = 'd', long = "data", value_name = "DATA", allow_hyphen_values = true)]
    data: Vec<String>,

    /// What to send as JSON; `@FILE` reads a file as it is, `@-` stdin. Several are joined as they
    /// are
    #[arg(long, value_name = "DATA", conflicts_with = "data", allow_hyphen_values = true)]
    json: Vec<String>,
}

/// A request that can be sent, and sent again.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

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
    /// Not an HTTP method.
    #[error("`{0}` is no HTTP method")]
    Method(String),
    /// Not a header line.
    #[error("`{0}` is no header; write `Name: value`")]
    Header(String),
    /// The one header that we write ourselves.
    #[error("the `Authorization` header in scheme `{0}` is written by this program")]
    OurHeader(String),
    /// A file to send cannot be read.
    #[error("cannot read `{path}`, which is to be sent")]
    Unreadable {
        /// Which, `-` for stdin.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl AskFlags {
    /// Reads the files and puts the request together.
    pub(crate) fn ask(&self) -> Result<Ask, AskError> {
        let url = read_url(&self.url)?;
        let body = self.body()?;
        let method = match &self.method {
            Some(name) => name.parse().map_err(|_| AskError::Method(name.clone()))?,
            None if body.is_some() => Method::POST,
            None => Method::GET,
        };
        Ok(Ask { method, url, headers: self.headers()?, body: body.unwrap_or_default() })
    }

    fn body(&self) -> Result<Option<Bytes>, AskError> {
        if !self.json.is_empty() {
            let parts: Result<Vec<_>, _> = self.json.iter().map(|data| load(data)).collect();
            return Ok(Some(parts?.concat().into()));
        }
        if self.data.is_empty() {
            return Ok(None);
        }
        let mut parts = Vec::with_capacity(self.data.len());
        for data in &self.data {
            let mut bytes = load(data)?;
            if data.starts_with('@') {
                bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
            }
            parts.push(bytes);
        }
        Ok(Some(parts.join(&b'&').into()))
    }

    fn headers(&self) -> Result<HeaderMap, AskError> {
        let own = concat!("tollway/", env!("CARGO_PKG_VERSION"));
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(own));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        if !self.json.is_empty() {
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        } else if !self.data.is_empty() {
            let form = HeaderValue::from_static("application/x-www-form-urlencoded");
            headers.insert(CONTENT_TYPE, form);
        }
        // A header of the user's replaces ours; several of the user's are all sent.
        let lines: Result<Vec<_>, _> = self.headers.iter().map(|line| read_header(line)).collect();
        let lines = lines?;
        for (name, _) in &lines {
            headers.remove(name);
        }
        for (name, value) in lines {
            if let Some(value) = value {
                headers.append(name, value);
            }
        }
        Ok(headers)
    }
}

fn read_url(text: &str) -> Result<Url, AskError> {
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
        let problem = "a user name in it would take the header that carries the proof of payment";
        return Err(AskError::Url { url, problem: problem.to_owned() });
    }
    Ok(url)
}

/// One `-H`; no value means: leave ours out.
fn read_header(line: &str) -> Result<(HeaderName, Option<HeaderValue>), AskError> {
    let bad = || AskError::Header(line.to_owned());
    let (name, value) = match (line.split_once(':'), line.strip_suffix(';')) {
        (Some((name, value)), _) => (name, Some(value.trim()).filter(|value| !value.is_empty())),
        (None, Some(name)) => (name, Some("")),
        (None, None) => return Err(bad()),
    };
    let name: HeaderName = name.trim().parse().map_err(|_| bad())?;
    let value = value.map(HeaderValue::from_str).transpose().map_err(|_| bad())?;
    if name == AUTHORIZATION
        && let Some(value) = value.as_ref().filter(|value| l402::credential::is_ours(value))
    {
        let text = String::from_utf8_lossy(value.as_bytes());
        let scheme = text.split_whitespace().next().unwrap_or_default();
        return Err(AskError::OurHeader(scheme.to_owned()));
    }
    Ok((name, value))
}

/// The data itself, or what is in the file that it names.
fn load(data: &str) -> Result<Vec<u8>, AskError> {
    let Some(path) = data.strip_prefix('@') else { return Ok(data.as_bytes().to_vec()) };
    let unreadable = |source| AskError::Unreadable { path: path.to_owned(), source };
    if path == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(unreadable)?;
        return Ok(bytes);
    }
    std::fs::read(Path::new(path)).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: AskFlags,
    }

    fn ask(args: &[&str]) -> Result<Ask, AskError> {
        let line = Line::try_parse_from([&["get", "http://localhost/x"], args].concat());
        line.expect("the flags are known").flags.ask()
    }

    fn header<'a>(ask: &'a Ask, name: &str) -> Vec<&'a str> {
        ask.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn data_is_a_form_and_a_post() {
        let asked = ask(&["-d", "a=1", "-d", "b=2"]).unwrap();
        assert_eq!((&asked.method, &asked.body[..]), (&Method::POST, &b"a=1&b=2"[..]));
        assert_eq!(header(&asked, "content-type"), ["application/x-www-form-urlencoded"]);
        assert_eq!(header(&asked, "accept"), ["*/*"]);

        let asked = ask(&["-X", "PUT", "-d", "", "-H", "content-type: text/plain"]).unwrap();
        assert_eq!((&asked.method, asked.body.len()), (&Method::PUT, 0));
        assert_eq!(header(&asked, "content-type"), ["text/plain"]);
    }

    #[test]
    fn json_sets_both_headers() {
        let asked = ask(&["--json", "{\"a\":", "--json", "1}"]).unwrap();
        assert_eq!((&asked.method, &asked.body[..]), (&Method::POST, &b"{\"a\":1}"[..]));
        assert_eq!(header(&asked, "content-type"), ["application/json"]);
        assert_eq!(header(&asked, "accept"), ["application/json"]);
    }

    #[test]
    fn a_file_of_form_data_loses_its_line_breaks_and_one_of_json_does_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a=1\r\n&b=2\n").unwrap();
        let at = format!("@{}", file.path().display());
        assert_eq!(&ask(&["-d", &at]).unwrap().body[..], b"a=1&b=2");
        assert_eq!(&ask(&["--json", &at]).unwrap().body[..], b"a=1\r\n&b=2\n");
        let missing = ask(&["-d", "@/nowhere/at/all"]);
        assert!(
            matches!(missing, Err(AskError::Unreadable { path, .. }) if path == "/nowhere/at/all")
        );
    }

    #[test]
    fn headers_are_sent_as_they_are() {
        let asked = ask(&[
            "-H",
            "Accept: a, b",
            "-H",
            "If-None-Match: \"x:y\"",
            "-H",
            "A: 1",
            "-H",
            "A: 2",
        ])
        .unwrap();
        assert_eq!(header(&asked, "accept"), ["a, b"]);
        assert_eq!(header(&asked, "if-none-match"), ["\"x:y\""]);
        assert_eq!(header(&asked, "a"), ["1", "2"]);

        let asked = ask(&["-H", "User-Agent:", "-H", "X-Empty;"]).unwrap();
        assert_eq!(header(&asked, "user-agent"), [""; 0]);
        assert_eq!(header(&asked, "x-empty"), [""]);
        for bad in ["nonsense", "a b: c", "x: a\nb"] {
            assert!(matches!(ask(&["-H", bad]), Err(AskError::Header(_))), "{bad}");
        }
    }

    #[test]
    fn the_proof_of_payment_is_ours_to_write() {
        let asked = ask(&["-H", "Authorization: Bearer x"]).unwrap();
        assert_eq!(header(&asked, "authorization"), ["Bearer x"]);
        for line in ["authorization: L402 a:b", "Authorization:lsat a:b"] {
            assert!(matches!(ask(&["-H", line]), Err(AskError::OurHeader(_))), "{line}");
        }
    }

    #[test]
    fn only_plain_http_urls_are_asked() {
        for bad in ["localhost:80/x", "ftp://localhost/", "http://", "/x", "http://a:b@localhost/"]
        {
            let error = read_url(bad).unwrap_err();
            assert!(!error.to_string().contains("a:b"), "{error}");
        }
    }
}
