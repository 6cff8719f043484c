//! A form in several parts (RFC 7578), written into a file of its own: it may hold large files, and
//! must be the same each time that it is sent.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use super::{AskError, read_file};

const FLAG: &str = "--form";

/// A form that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) file: NamedTempFile,
    pub(crate) length: u64,
    pub(crate) content_type: String,
}

/// One field, as it was given.
#[derive(Debug, PartialEq, Eq)]
struct Field<'a> {
    name: &'a str,
    content: Content<'a>,
    kind: Option<&'a str>,
    file_name: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Content<'a> {
    Text(&'a str),
    /// The text in a file.
    TextOf(&'a str),
    /// A file, with its name.
    File(&'a str),
}

/// Writes all fields; `form_string` ones are taken as they are.
pub(crate) fn write(fields: &[(&str, &str)]) -> Result<Form, AskError> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).expect("the system has random numbers");
    let boundary =
        format!("------------------------{}", hex::DisplayHex::to_lower_hex_string(&random[..]));
    let mut file = NamedTempFile::new().map_err(cannot_keep)?;
    for (id, text) in fields {
        let field = read(text, *id == "form_string")?;
        field.write(&boundary, &mut file)?;
    }
    write!(file, "--{boundary}--\r\n").map_err(cannot_keep)?;
    file.flush().map_err(cannot_keep)?;
    let length = file.as_file().metadata().map_err(cannot_keep)?.len();
    Ok(Form { file, length, content_type: format!("multipart/form-data; boundary={boundary}") })
}

fn cannot_keep(source: io::Error) -> AskError {
    AskError::Unreadable { flag: FLAG, path: std::env::temp_dir().display().to_string(), source }
}

fn read(text: &str, as_it_is: bool) -> Result<Field<'_>, AskError> {
    let bad = |problem| AskError::Value { flag: FLAG, value: text.to_owned(), problem };
    let (name, rest) = text.split_once('=').ok_or_else(|| bad("write `NAME=CONTENT`"))?;
    let plain = |content| Field { name, content, kind: None, file_name: None };
    if as_it_is {
        return Ok(plain(Content::Text(rest)));
    }
    let (content, options) = split_options(rest);
    let mut field = match content.as_bytes().first() {
        Some(b'@') => plain(Content::File(&content[1..])),
        Some(b'<') => plain(Content::TextOf(&content[1..])),
        _ => plain(Content::Text(content)),
    };
    for option in options {
        match option.trim().split_once('=') {
            Some(("type", kind)) => field.kind = Some(kind),
            Some(("filename", name)) => field.file_name = Some(name.trim_matches('"').to_owned()),
            _ => return Err(bad("only `;type=` and `;filename=` may stand behind it")),
        }
    }
    if let (Content::File(path), None) = (&field.content, &field.file_name) {
        let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
        field.file_name = name;
    }
    Ok(field)
}

/// What stands before the first `;type=` or `;filename=`, and these. A `;` that begins neither is
/// part of the text.
fn split_options(text: &str) -> (&str, Vec<&str>) {
    let starts = |at: usize| {
        let rest = text[at + 1..].trim_start();
        rest.starts_with("type=") || rest.starts_with("filename=")
    };
    let cuts: Vec<usize> =
        text.match_indices(';').map(|(at, _)| at).filter(|at| starts(*at)).collect();
    let Some(first) = cuts.first() else { return (text, Vec::new()) };
    let ends = cuts.iter().skip(1).copied().chain([text.len()]);
    (&text[..*first], cuts.iter().zip(ends).map(|(at, end)| &text[at + 1..end]).collect())
}

impl Field<'_> {
    fn write(&self, boundary: &str, to: &mut NamedTempFile) -> Result<(), AskError> {
        let mut head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"",
            quoted(self.name)
        );
        if let Some(name) = &self.file_name {
            head.push_str(&format!("; filename=\"{}\"", quoted(name)));
        }
        let fallback =
            matches!(self.content, Content::File(_)).then_some("application/octet-stream");
        if let Some(kind) = self.kind.or(fallback) {
            if kind.contains(['\r', '\n']) {
                let problem = "a type is one line";
                return Err(AskError::Value { flag: FLAG, value: kind.to_owned(), problem });
            }
            head.push_str(&format!("\r\nContent-Type: {kind}"));
        }
        head.push_str("\r\n\r\n");
        to.write_all(head.as_bytes()).map_err(cannot_keep)?;
        match self.content {
            Content::Text(text) => to.write_all(text.as_bytes()).map_err(cannot_keep)?,
            Content::TextOf(path) | Content::File(path) if path == "-" => {
                to.write_all(&read_file(FLAG, path)?).map_err(cannot_keep)?;
            }
            Content::TextOf(path) | Content::File(path) => {
                let unreadable =
                    |source| AskError::Unreadable { flag: FLAG, path: path.to_owned(), source };
                let mut file = std::fs::File::open(path).map_err(unreadable)?;
                io::copy(&mut file, to).map_err(unreadable)?;
            }
        }
        to.write_all(b"\r\n").map_err(cannot_keep)
    }
}

/// As browsers do it: what would end the quotes, or the line, is percent-encoded (RFC 7578, 2).
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &[(&str, &str)]) -> (String, String) {
        let form = write(fields).unwrap();
        let text = std::fs::read_to_string(form.file.path()).unwrap();
        assert_eq!(form.length, text.len() as u64);
        (text, form.content_type)
    }

    #[test]
    fn each_field_is_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a\"b.txt");
        std::fs::write(&file, "from the file").unwrap();
        let at = format!("up=@{};type=text/plain", file.display());
        let from = format!("in=<{}", file.display());
        let (text, kind) = written(&[
            ("form", "name=a;b"),
            ("form", &at),
            ("form", &from),
            ("form_string", "raw=@x;type=y"),
        ]);
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        let parts: Vec<_> = text.split(&format!("--{boundary}")).map(str::trim).collect();
        assert_eq!(
            parts[1..],
            [
                "Content-Disposition: form-data; name=\"name\"\r\n\r\na;b",
                "Content-Disposition: form-data; name=\"up\"; filename=\"a%22b.txt\"\r\nContent-Type: text/plain\r\n\r\nfrom the file",
                "Content-Disposition: form-data; name=\"in\"\r\n\r\nfrom the file",
                "Content-Disposition: form-data; name=\"raw\"\r\n\r\n@x;type=y",
                "--",
            ]
        );
    }

    #[test]
    fn a_type_and_a_name_may_stand_behind_a_field() {
        let field = read("a=@x;type=a/b;filename=\"c\"", false).unwrap();
        assert_eq!((field.kind, field.file_name.as_deref()), (Some("a/b"), Some("c")));
        assert!(matches!(read("nothing", false), Err(AskError::Value { .. })));
        assert!(matches!(write(&[("form", "a=x;type=b\r\nEvil: 1")]), Err(AskError::Value { .. })));
        assert!(matches!(write(&[("form", "a=@/nowhere")]), Err(AskError::Unreadable { .. })));
    }
}
