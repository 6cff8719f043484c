//! `--write-out`: what is printed at the end of a transfer. A variable that is not known, or cannot be
//! measured here, is refused before anything is sent.

use super::flags::AskError;
use super::flags::read_file;
use super::report::Got;

const FLAG: &str = "--write-out";

/// A format that was read.
#[derive(Debug)]
pub(crate) struct WriteOut(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
    /// `%header{name}`.
    Header(String),
    Stderr,
    Stdout,
    OnError,
}

/// curl's variables and our own, and where in the report their values are.
static VARIABLES: &[(&str, &str)] = &[
    ("http_code", "/status"),
    ("response_code", "/status"),
    ("content_type", "/content_type"),
    ("filename_effective", "/output_path"),
    ("method", "/method"),
    ("num_headers", "/num_headers"),
    ("num_redirects", "/redirects"),
    ("num_retries", "/retries"),
    ("redirect_url", "/redirect_url"),
    ("remote_ip", "/remote_ip"),
    ("remote_port", "/remote_port"),
    ("scheme", "/scheme"),
    ("size_download", "/bytes"),
    ("size_upload", "/bytes_sent"),
    ("speed_download", "/bytes_per_second"),
    ("time_appconnect", "/tls_seconds"),
    ("time_connect", "/connect_seconds"),
    ("time_namelookup", "/lookup_seconds"),
    ("time_pretransfer", "/ready_seconds"),
    ("time_starttransfer", "/head_seconds"),
    ("time_total", "/seconds"),
    ("url", "/url"),
    ("url_effective", "/final_url"),
    ("urlnum", "/number"),
    ("http_version", "/http_version"),
    ("errormsg", "/error/message"),
    ("exitcode", "/exit_code"),
    ("paid", "/payment/paid"),
    ("reused", "/payment/reused"),
    ("payment", "/payment/by"),
    ("payment_hash", "/payment/payment_hash"),
    ("payment_scheme", "/payment/scheme"),
    ("amount_msat", "/payment/amount_msat"),
    ("fee_msat", "/payment/fee_msat"),
    ("budget_remaining_msat", "/payment/budget_remaining_msat"),
    ("json", ""),
    ("header_json", "/headers"),
];

const NOT_TOLD: &str = "the HTTP library does not tell it";
const ONE_CHECK: &str =
    "a connection whose certificate is not good does not come about; see `--insecure`";

/// curl's variables that cannot be had here, and why.
static ABSENT: &[(&str, &str)] = &[
    ("certs", NOT_TOLD),
    ("num_certs", NOT_TOLD),
    ("conn_id", NOT_TOLD),
    ("xfer_id", "give `%{urlnum}`"),
    ("http_connect", NOT_TOLD),
    ("local_ip", NOT_TOLD),
    ("local_port", NOT_TOLD),
    ("num_connects", NOT_TOLD),
    ("proxy_used", NOT_TOLD),
    ("proxy_ssl_verify_result", ONE_CHECK),
    ("ssl_verify_result", ONE_CHECK),
    ("referer", "it is what `--referer` says"),
    ("size_header", "give `%{header_json}`"),
    ("size_request", NOT_TOLD),
    ("speed_upload", "give `%{size_upload}` and `%{time_total}`"),
    ("time_posttransfer", NOT_TOLD),
    ("time_queue", "give `%{time_total}`"),
    ("time_redirect", "give `--verbose --trace-time`, which tells when each was followed"),
    ("ftp_entry_path", "only http and https are spoken"),
    ("tls_earlydata", "nothing is sent before the server is known"),
];

impl WriteOut {
    /// Reads a format; `@FILE` names one.
    pub(crate) fn read(text: &str) -> Result<Self, AskError> {
        let file;
        let mut rest = match text.strip_prefix('@') {
            Some(path) => {
                file = String::from_utf8_lossy(&read_file(FLAG, path)?).into_owned();
                file.as_str()
            }
            None => text,
        };
        let mut parts = Vec::new();
        let mut plain = String::new();
        while let Some(c) = rest.chars().next() {
            let (part, length) = match c {
                '%' if rest.starts_with("%%") => (Err("%"), 2),
                '%' => match read_variable(rest)? {
                    Some((part, length)) => (Ok(part), length),
                    None => (Err("%"), 1),
                },
                '\\' => match rest.get(..2) {
                    Some("\\n") => (Err("\n"), 2),
                    Some("\\r") => (Err("\r"), 2),
                    Some("\\t") => (Err("\t"), 2),
                    _ => (Err("\\"), 1),
                },
                c => (Err(&rest[..c.len_utf8()]), c.len_utf8()),
            };
            match part {
                Err(text) => plain.push_str(text),
                Ok(part) => {
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(part);
                }
            }
            rest = &rest[length..];
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// What goes to stdout, and what to stderr. What servers wrote is escaped in it.
    pub(crate) fn render(&self, got: &Got) -> (String, String) {
        let (mut out, mut err) = (String::new(), String::new());
        let report = serde_json::to_value(got).expect("reports have string keys only");
        let mut to_stderr = false;
        for part in &self.0 {
            let text = match part {
                Part::Stderr | Part::Stdout => {
                    to_stderr = *part == Part::Stderr;
                    continue;
                }
                // What follows is for transfers that failed.
                Part::OnError if report.get("error").is_none() => break,
                Part::OnError => continue,
                Part::Text(text) => text.clone(),
                Part::Header(name) => {
                    let values = report.pointer(&format!("/headers/{name}"));
                    let first = values.and_then(|values| values.get(0));
                    plain(first)
                }
                Part::Variable(name) => {
                    let known = VARIABLES.iter().find(|(known, _)| known == name);
                    let (_, pointer) = known.expect("only known ones are read");
                    plain(report.pointer(pointer))
                }
            };
            let to = if to_stderr { &mut err } else { &mut out };
            to.push_str(&text);
        }
        (out, err)
    }
}

/// `%{name}` or `%header{name}` at the start of the text, and its length.
fn read_variable(text: &str) -> Result<Option<(Part, usize)>, AskError> {
    let header = text.strip_prefix("%header{");
    let Some(rest) = header.or_else(|| text.strip_prefix("%{")) else { return Ok(None) };
    let before = text.len() - rest.len();
    let Some(end) = rest.find('}') else { return Ok(None) };
    let (name, length) = (&rest[..end], before + end + 1);
    if header.is_some() {
        return Ok(Some((Part::Header(name.to_ascii_lowercase()), length)));
    }
    let part = match name {
        "stderr" => Part::Stderr,
        "stdout" => Part::Stdout,
        "onerror" => Part::OnError,
        name if VARIABLES.iter().any(|(known, _)| *known == name) => {
            Part::Variable(name.to_owned())
        }
        name => {
            let value = format!("%{{{name}}}");
            let absent = ABSENT.iter().find(|(absent, _)| *absent == name);
            let unknown = "there is no such variable here; `tollway get --help` lists them";
            let problem = absent.map_or(unknown, |(_, problem)| *problem);
            return Err(AskError::Value { flag: FLAG, value, problem });
        }
    };
    Ok(Some((part, length)))
}

fn plain(value: Option<&serde_json::Value>) -> String {
    match value {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => crate::terminal::escape(text),
        Some(value) => crate::terminal::escape_json(value),
    }
}

/// The names of all variables, for the help.
pub(crate) fn names() -> String {
    let names: Vec<_> = VARIABLES.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_text_and_variables() {
        let read = WriteOut::read("a%{http_code}\\n100%% %header{X-Y}%{stderr}%").unwrap().0;
        assert_eq!(
            read,
            [
                Part::Text("a".into()),
                Part::Variable("http_code".into()),
                Part::Text("\n100% ".into()),
                Part::Header("x-y".into()),
                Part::Stderr,
                Part::Text("%".into()),
            ]
        );
    }

    #[test]
    fn what_cannot_be_measured_is_refused_before_anything_is_sent() {
        for (name, why) in ABSENT {
            let variable = format!("%{{{name}}}");
            let error = WriteOut::read(&variable).unwrap_err().to_string();
            assert!(error.contains(&variable) && error.contains(why), "{error}");
            assert!(!VARIABLES.iter().any(|(known, _)| known == name), "{name} can be had");
        }
        assert!(WriteOut::read("%{nonsense}").is_err());
    }
}
