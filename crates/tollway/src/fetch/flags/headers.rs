//! The request's headers: ours, then the user's in place of them.

use clap::{ArgMatches, Args};
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::send::Sending;
use super::{AskError, in_order, read_file};
use crate::fetch::decode;

#[derive(Debug, Args)]
#[command(next_help_heading = "Headers")]
pub(crate) struct HeaderFlags {
    /// A header, `Name: value`; `Name;` sends it empty, `Name:` leaves out one of our own; `@FILE`
    /// reads lines of them
    #[arg(short = 'H', long, value_name = "LINE")]
    header: Vec<String>,

    /// What to call ourselves; nothing when it is empty
    #[arg(short = 'A', long, value_name = "NAME", allow_hyphen_values = true)]
    user_agent: Option<String>,

    /// Where the link was found
    #[arg(short = 'e', long, value_name = "URL")]
    referer: Option<String>,

    /// Let the answer be compressed (gzip, deflate, br), and write it uncompressed
    #[arg(long)]
    pub(crate) compressed: bool,
}

impl HeaderFlags {
    /// All headers but those of authentication, cookies and conditions.
    pub(crate) fn read(&self, args: &ArgMatches, send: &Sending) -> Result<HeaderMap, AskError> {
        let own = concat!("tollway/", env!("CARGO_PKG_VERSION"));
        let mut headers = HeaderMap::new();
        let agent = self.user_agent.as_deref().unwrap_or(own);
        if !agent.is_empty() {
            headers.insert(USER_AGENT, value("--user-agent", agent)?);
        }
        headers.insert(ACCEPT, HeaderValue::from_static(send.accept.unwrap_or("*/*")));
        if let Some(kind) = &send.content_type {
            headers.insert(CONTENT_TYPE, value("--form", kind)?);
        }
        if let Some(from) = &self.referer {
            headers.insert(REFERER, value("--referer", from)?);
        }
        if self.compressed {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(decode::ACCEPTED));
        }
        // A header of the user's replaces ours; several of the user's are all sent.
        let mut lines = Vec::new();
        for (_, line) in in_order(args, &["header"]) {
            match line.strip_prefix('@') {
                Some(path) => {
                    let text = read_file("--header", path)?;
                    for line in
                        String::from_utf8_lossy(&text).lines().filter(|l| !l.trim().is_empty())
                    {
                        lines.push(read_header(line)?);
                    }
                }
                None => lines.push(read_header(line)?),
            }
        }
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

fn value(flag: &'static str, text: &str) -> Result<HeaderValue, AskError> {
    let problem = "a header is one line of plain characters";
    let bad = |_| AskError::Value { flag, value: text.to_owned(), problem };
    HeaderValue::from_str(text).map_err(bad)
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

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;
    use crate::fetch::flags::send::SendFlags;

    fn headers(line: &[&str]) -> Result<HeaderMap, AskError> {
        let command = SendFlags::augment_args(HeaderFlags::augment_args(clap::Command::new("get")));
        let args = command.try_get_matches_from([&["get"], line].concat()).expect("known flags");
        let sending = SendFlags::from_arg_matches(&args).unwrap().read(&args)?;
        HeaderFlags::from_arg_matches(&args).unwrap().read(&args, &sending)
    }

    fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn headers_are_sent_as_they_are() {
        let given = ["Accept: a, b", "If-None-Match: \"x:y\"", "A: 1", "A: 2"];
        let line: Vec<_> = given.iter().flat_map(|line| ["-H", line]).collect();
        let asked = headers(&line).unwrap();
        assert_eq!(all(&asked, "accept"), ["a, b"]);
        assert_eq!(all(&asked, "if-none-match"), ["\"x:y\""]);
        assert_eq!(all(&asked, "a"), ["1", "2"]);

        let asked = headers(&["-H", "User-Agent:", "-H", "X-Empty;"]).unwrap();
        assert_eq!(all(&asked, "user-agent"), [""; 0]);
        assert_eq!(all(&asked, "x-empty"), [""]);
        for bad in ["nonsense", "a b: c", "x: a\nb"] {
            assert!(matches!(headers(&["-H", bad]), Err(AskError::Header(_))), "{bad}");
        }
    }

    #[test]
    fn a_type_of_the_users_replaces_ours() {
        let asked = headers(&["-d", "x", "-H", "content-type: text/plain"]).unwrap();
        assert_eq!(all(&asked, "content-type"), ["text/plain"]);
        let asked =
            headers(&["--json", "{}", "-A", "me", "-e", "http://a/", "--compressed"]).unwrap();
        assert_eq!(all(&asked, "accept"), ["application/json"]);
        assert_eq!(
            (all(&asked, "user-agent"), all(&asked, "referer")),
            (vec!["me"], vec!["http://a/"])
        );
        assert_eq!(all(&asked, "accept-encoding"), [decode::ACCEPTED]);
    }

    #[test]
    fn lines_are_read_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A: 1\r\n\r\nB: 2\n").unwrap();
        let asked = headers(&["-H", &format!("@{}", file.path().display())]).unwrap();
        assert_eq!((all(&asked, "a"), all(&asked, "b")), (vec!["1"], vec!["2"]));
    }

    #[test]
    fn the_proof_of_payment_is_ours_to_write() {
        let asked = headers(&["-H", "Authorization: Bearer x"]).unwrap();
        assert_eq!(all(&asked, "authorization"), ["Bearer x"]);
        for line in ["authorization: L402 a:b", "Authorization:lsat a:b"] {
            assert!(matches!(headers(&["-H", line]), Err(AskError::OurHeader(_))), "{line}");
        }
    }
}
