//! What is sent: the method, and the body in all the forms that curl knows. A body is always one that
//! can be sent again, because a 402 is answered by sending the request once more: what comes from
//! stdin is kept first.

use std::path::PathBuf;

use bytes::Bytes;
use clap::{ArgMatches, Args};
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::NamedTempFile;
use tollway_client::Body;
use url::Url;

use super::{AskError, form, in_order, read_file};

/// What `--data-urlencode` leaves as it is (RFC 3986, 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Debug, Args)]
#[command(next_help_heading = "What is sent")]
pub(crate) struct SendFlags {
    /// The method; GET, or POST when there is something to send
    #[arg(short = 'X', long, value_name = "METHOD")]
    request: Option<String>,

    /// Ask for the head only
    #[arg(short = 'I', long)]
    pub(crate) head: bool,

    /// What to send as a form; `@FILE` reads a file without its line breaks, `@-` stdin. Several
    /// are joined by `&`
    #[arg(
        short,
        long,
        value_name = "DATA",
        allow_hyphen_values = true,
        visible_alias = "data-ascii"
    )]
    data: Vec<String>,

    /// As --data, but `@` is a character like others
    #[arg(long, value_name = "DATA", allow_hyphen_values = true)]
    data_raw: Vec<String>,

    /// As --data, but a file is sent as it is
    #[arg(long, value_name = "DATA", allow_hyphen_values = true)]
    data_binary: Vec<String>,

    /// As --data, encoded: `CONTENT`, `=CONTENT`, `NAME=CONTENT`, `@FILE` or `NAME@FILE`
    #[arg(long, value_name = "DATA", allow_hyphen_values = true)]
    data_urlencode: Vec<String>,

    /// Send the data in the URL's query, with GET
    #[arg(short = 'G', long)]
    get: bool,

    /// Put this into the URL's query, encoded as by --data-urlencode
    #[arg(long, value_name = "DATA", allow_hyphen_values = true)]
    url_query: Vec<String>,

    /// What to send as JSON; `@FILE` reads a file as it is, `@-` stdin. Several are joined as they
    /// are
    #[arg(long, value_name = "DATA", allow_hyphen_values = true, conflicts_with_all = ["data", "data_raw", "data_binary", "data_urlencode"])]
    json: Vec<String>,

    /// A field of a form in several parts: `NAME=TEXT`, `NAME=@FILE` or `NAME=<FILE`, with
    /// `;type=TYPE` and `;filename=NAME` behind it
    #[arg(short = 'F', long, value_name = "FIELD", allow_hyphen_values = true, conflicts_with_all = ["data", "data_raw", "data_binary", "data_urlencode", "json"])]
    form: Vec<String>,

    /// As --form, but `@`, `<` and `;` are characters like others
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true, conflicts_with_all = ["data", "data_raw", "data_binary", "data_urlencode", "json"])]
    form_string: Vec<String>,

    /// Send this file by PUT; `-` is stdin. A URL that ends with `/` gets the file's name
    #[arg(short = 'T', long, value_name = "FILE", conflicts_with_all = ["data", "data_raw", "data_binary", "data_urlencode", "json", "form", "form_string", "get"])]
    upload_file: Option<String>,
}

/// What goes into every URL's request.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) method: Method,
    pub(crate) body: Body,
    /// Its length in bytes, where it is known.
    pub(crate) length: u64,
    pub(crate) content_type: Option<String>,
    pub(crate) accept: Option<&'static str>,
    query: Vec<u8>,
    upload_name: Option<String>,
    /// Files that live as long as they may be sent.
    _kept: Vec<NamedTempFile>,
}

/// What the body is made of.
struct Made {
    body: Body,
    length: u64,
    content_type: Option<String>,
    kept: Vec<NamedTempFile>,
}

impl SendFlags {
    /// Reads the files and puts the body together.
    pub(crate) fn read(&self, args: &ArgMatches) -> Result<Sending, AskError> {
        let mut query = Vec::new();
        for (_, value) in in_order(args, &["url_query"]) {
            join(
                &mut query,
                urlencode(
                    "--url-query",
                    value.strip_prefix('+').unwrap_or(value),
                    value.starts_with('+'),
                )?,
            );
        }
        let data = self.data(args)?;
        let made = match data {
            Some(data) if self.get => {
                join(&mut query, data);
                None
            }
            Some(data) => Some(Made::bytes(data, "application/x-www-form-urlencoded")),
            None => self.other_body(args)?,
        };
        let method = match &self.request {
            Some(name) => name.parse().map_err(|_| AskError::Method(name.clone()))?,
            None if self.head => Method::HEAD,
            None if self.get => Method::GET,
            None if self.upload_file.is_some() => Method::PUT,
            None if made.is_some() => Method::POST,
            None => Method::GET,
        };
        if self.head && made.is_some() {
            let why = "a request for the head sends no body; give `--get` to put data into the URL";
            return Err(AskError::Together { one: "--head", other: "data to send", why });
        }
        let made = made.unwrap_or_else(Made::nothing);
        Ok(Sending {
            method,
            body: made.body,
            length: made.length,
            content_type: made.content_type,
            accept: (!self.json.is_empty()).then_some("application/json"),
            query,
            upload_name: self.upload_file.as_deref().and_then(base_name),
            _kept: made.kept,
        })
    }

    /// Everything of the `--data` family, in the order of the command line.
    fn data(&self, args: &ArgMatches) -> Result<Option<Vec<u8>>, AskError> {
        let given = in_order(args, &["data", "data_raw", "data_binary", "data_urlencode"]);
        if given.is_empty() {
            return Ok(None);
        }
        let mut all = Vec::new();
        for (place, (id, value)) in given.into_iter().enumerate() {
            let bytes = match (id, value.strip_prefix('@')) {
                ("data", Some(path)) => {
                    let mut bytes = read_file("--data", path)?;
                    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
                    bytes
                }
                ("data_binary", Some(path)) => read_file("--data-binary", path)?,
                ("data_urlencode", _) => urlencode("--data-urlencode", value, false)?,
                _ => value.as_bytes().to_vec(),
            };
            if place > 0 {
                all.push(b'&');
            }
            all.extend(bytes);
        }
        Ok(Some(all))
    }

    fn other_body(&self, args: &ArgMatches) -> Result<Option<Made>, AskError> {
        if !self.json.is_empty() {
            let mut all = Vec::new();
            for value in &self.json {
                match value.strip_prefix('@') {
                    Some(path) => all.extend(read_file("--json", path)?),
                    None => all.extend_from_slice(value.as_bytes()),
                }
            }
            return Ok(Some(Made::bytes(all, "application/json")));
        }
        if !self.form.is_empty() || !self.form_string.is_empty() {
            let fields = in_order(args, &["form", "form_string"]);
            let form::Form { file, length, content_type } = form::write(&fields)?;
            let body = Body::file(file.path());
            let content_type = Some(content_type);
            return Ok(Some(Made { body, length, content_type, kept: vec![file] }));
        }
        self.upload_file.as_deref().map(upload).transpose()
    }
}

impl Sending {
    /// The URL with what belongs into its query and behind its path.
    pub(crate) fn address(&self, mut url: Url) -> Url {
        if let Some(name) = self.upload_name.as_deref().filter(|_| url.path().ends_with('/')) {
            let path = format!("{}{}", url.path(), utf8_percent_encode(name, ENCODED));
            url.set_path(&path);
        }
        if !self.query.is_empty() {
            let more = String::from_utf8_lossy(&self.query).into_owned();
            let query = match url.query().filter(|query| !query.is_empty()) {
                Some(query) => format!("{query}&{more}"),
                None => more,
            };
            url.set_query(Some(&query));
        }
        url
    }
}

impl Made {
    fn nothing() -> Self {
        Self { body: Body::default(), length: 0, content_type: None, kept: Vec::new() }
    }

    fn bytes(bytes: Vec<u8>, content_type: &str) -> Self {
        let length = bytes.len() as u64;
        let body = Bytes::from(bytes).into();
        Self { body, length, content_type: Some(content_type.to_owned()), kept: Vec::new() }
    }
}

/// A file as it is. Stdin is copied first: it can be read only once.
fn upload(path: &str) -> Result<Made, AskError> {
    const FLAG: &str = "--upload-file";
    let unreadable = |source| AskError::Unreadable { flag: FLAG, path: path.to_owned(), source };
    if path == "-" || path == "." {
        let mut file = NamedTempFile::new().map_err(unreadable)?;
        let length =
            std::io::copy(&mut std::io::stdin(), file.as_file_mut()).map_err(unreadable)?;
        let body = Body::file(file.path());
        return Ok(Made { body, length, content_type: None, kept: vec![file] });
    }
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        // A pipe cannot be sent a second time.
        return Err(AskError::Value {
            flag: FLAG,
            value: path.to_owned(),
            problem: "it is no plain file; give `-` and pipe it into stdin",
        });
    }
    let body = Body::file(PathBuf::from(path));
    Ok(Made { body, length: about.len(), content_type: None, kept: Vec::new() })
}

fn base_name(path: &str) -> Option<String> {
    let name = std::path::Path::new(path).file_name()?.to_str()?;
    (name != "-").then(|| name.to_owned())
}

fn join(all: &mut Vec<u8>, more: Vec<u8>) {
    if !all.is_empty() {
        all.push(b'&');
    }
    all.extend(more);
}

/// `CONTENT`, `=CONTENT`, `NAME=CONTENT`, `@FILE` or `NAME@FILE`.
fn urlencode(flag: &'static str, text: &str, as_it_is: bool) -> Result<Vec<u8>, AskError> {
    if as_it_is {
        return Ok(text.as_bytes().to_vec());
    }
    let encode = |bytes: &[u8]| percent_encoding::percent_encode(bytes, ENCODED).to_string();
    let cut = text.find(['=', '@']);
    let (name, content) = match cut {
        None => ("", encode(text.as_bytes())),
        Some(at) if text.as_bytes()[at] == b'=' => {
            (&text[..at], encode(&text.as_bytes()[at + 1..]))
        }
        Some(at) => (&text[..at], encode(&read_file(flag, &text[at + 1..])?)),
    };
    Ok(if name.is_empty() { content } else { format!("{name}={content}") }.into_bytes())
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    pub(super) fn send(line: &[&str]) -> Result<(Sending, String), AskError> {
        let command = SendFlags::augment_args(clap::Command::new("get"));
        let args = command.try_get_matches_from([&["get"], line].concat()).expect("known flags");
        let sending = SendFlags::from_arg_matches(&args).unwrap().read(&args)?;
        let url = sending.address("http://localhost/dir/?q=1".parse().unwrap());
        Ok((sending, url.to_string()))
    }

    fn body(line: &[&str]) -> String {
        format!("{:?}", send(line).unwrap().0.body)
    }

    fn text(line: &[&str]) -> String {
        let command = SendFlags::augment_args(clap::Command::new("get"));
        let args = command.try_get_matches_from([&["get"], line].concat()).expect("known flags");
        let flags = SendFlags::from_arg_matches(&args).unwrap();
        String::from_utf8(flags.data(&args).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn data_is_a_form_and_a_post_in_the_order_of_the_command_line() {
        let line = ["-d", "a=1", "--data-urlencode", "b=x y", "--data-raw", "@c", "-d", "d=2"];
        assert_eq!(text(&line), "a=1&b=x%20y&@c&d=2");
        let (sending, _) = send(&line).unwrap();
        assert_eq!(sending.method, Method::POST);
        assert_eq!(sending.content_type.as_deref(), Some("application/x-www-form-urlencoded"));
        assert_eq!(send(&["-X", "PUT", "-d", ""]).unwrap().0.method, Method::PUT);
    }

    #[test]
    fn encoding_takes_names_and_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "x/y\n").unwrap();
        let named = format!("n@{}", file.path().display());
        for (given, sent) in
            [("a b", "a%20b"), ("=a=b", "a%3Db"), ("n=a&b", "n=a%26b"), (&named, "n=x%2Fy%0A")]
        {
            assert_eq!(text(&["--data-urlencode", given]), sent);
        }
    }

    #[test]
    fn get_puts_data_into_the_query() {
        let (sending, url) = send(&["-G", "-d", "a=1", "--url-query", "b=x y"]).unwrap();
        assert_eq!((sending.method, sending.length), (Method::GET, 0));
        assert_eq!(url, "http://localhost/dir/?q=1&b=x%20y&a=1");
    }

    #[test]
    fn json_has_its_type_and_is_joined_as_it_is() {
        let (sending, _) = send(&["--json", "{\"a\":", "--json", "1}"]).unwrap();
        assert_eq!((sending.method, sending.length), (Method::POST, 7));
        assert_eq!(sending.content_type.as_deref(), Some("application/json"));
        assert_eq!(sending.accept, Some("application/json"));
    }

    #[test]
    fn a_file_of_form_data_loses_its_line_breaks_and_a_binary_one_does_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "a=1\r\n&b=2\n").unwrap();
        let at = format!("@{}", file.path().display());
        assert_eq!(text(&["-d", &at]), "a=1&b=2");
        assert_eq!(text(&["--data-binary", &at]), "a=1\r\n&b=2\n");
        let missing = send(&["-d", "@/nowhere/at/all"]);
        assert!(
            matches!(missing, Err(AskError::Unreadable { path, .. }) if path == "/nowhere/at/all")
        );
    }

    #[test]
    fn a_file_that_is_sent_by_put_gives_its_name_to_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b.txt");
        std::fs::write(&path, "12345").unwrap();
        let (sending, url) = send(&["-T", path.to_str().unwrap()]).unwrap();
        assert_eq!((&sending.method, sending.length), (&Method::PUT, 5));
        assert_eq!(url, "http://localhost/dir/a%20b.txt?q=1");
        assert!(body(&["-T", path.to_str().unwrap()]).contains("a b.txt"));
        let folder = folder.path().to_str().unwrap();
        assert!(matches!(send(&["-T", folder]), Err(AskError::Value { .. })));
    }

    #[test]
    fn a_head_has_no_body() {
        assert_eq!(send(&["-I"]).unwrap().0.method, Method::HEAD);
        assert!(matches!(send(&["-I", "-d", "x"]), Err(AskError::Together { .. })));
    }
}
