//! `-K FILE`: flags from a file, written as curl's own configuration files are. They take the place
//! of the `-K` on the command line, so that what stands behind it still wins. No file is read that is
//! not named: one in a home or a working folder could spend.

use std::ffi::{OsStr, OsString};

use crate::fetch::flags::{AskError, read_file};

const FLAG: &str = "--config";
/// How many files may name one another.
const DEEPEST: usize = 8;

/// Puts what is in the files that `-K` names in its place.
pub(crate) fn expand(args: Vec<OsString>) -> Result<Vec<OsString>, AskError> {
    expand_to(args, 0)
}

fn expand_to(args: Vec<OsString>, depth: usize) -> Result<Vec<OsString>, AskError> {
    let mut all = Vec::with_capacity(args.len());
    let mut left = args.into_iter();
    while let Some(arg) = left.next() {
        let text = arg.to_str().unwrap_or_default();
        let path = match text {
            "--" => {
                all.push(arg);
                break;
            }
            "-K" | "--config" => left
                .next()
                .ok_or(AskError::Secret { flag: FLAG, problem: "name a file behind it" })?,
            text if text.starts_with("--config=") => OsStr::new(&text[9..]).to_owned(),
            text if text.starts_with("-K") => OsStr::new(&text[2..]).to_owned(),
            _ => {
                all.push(arg);
                continue;
            }
        };
        let path = path.to_string_lossy().into_owned();
        if depth == DEEPEST {
            let problem = "such files name one another without end";
            return Err(AskError::Value { flag: FLAG, value: path, problem });
        }
        let text = String::from_utf8_lossy(&read_file(FLAG, &path)?).into_owned();
        let mut more = Vec::new();
        for line in text.lines() {
            more.extend(read_line(line).into_iter().map(OsString::from));
        }
        all.extend(expand_to(more, depth + 1)?);
    }
    all.extend(left);
    Ok(all)
}

/// `--flag value`, `flag = "value"`, `-f value`, `flag`; `#` begins a comment.
fn read_line(line: &str) -> Vec<String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Vec::new();
    }
    let end =
        line.find(|c: char| c.is_whitespace() || matches!(c, '=' | ':')).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    let flag = if name.starts_with('-') { name.to_owned() } else { format!("--{name}") };
    if rest.is_empty() {
        return vec![flag];
    }
    let value = match rest.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => rest.split_whitespace().next().unwrap_or_default().to_owned(),
    };
    vec![flag, value]
}

fn unquote(text: &str) -> String {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some('v') => value.push('\u{b}'),
                Some(other) => value.push(other),
                None => break,
            },
            c => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_in_several_ways() {
        for (line, flags) in [
            ("# no", vec![]),
            ("--silent", vec!["--silent"]),
            ("-H \"A: b c\"", vec!["-H", "A: b c"]),
            ("header = \"A: \\\"b\\\"\"", vec!["--header", "A: \"b\""]),
            ("url=http://a/x", vec!["--url", "http://a/x"]),
            ("max-cost: 10", vec!["--max-cost", "10"]),
        ] {
            assert_eq!(read_line(line), flags, "{line}");
        }
    }

    #[test]
    fn a_file_takes_the_place_of_its_flag_and_no_circle_is_walked() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "max-cost = 5\nsilent\n").unwrap();
        let name = file.path().to_str().unwrap();
        let line = ["get", "-K", name, "--max-cost", "7", "--", "-K"];
        let all = expand(line.map(OsString::from).to_vec()).unwrap();
        assert_eq!(all, ["get", "--max-cost", "5", "--silent", "--max-cost", "7", "--", "-K"]);

        std::fs::write(file.path(), format!("-K {name}\n")).unwrap();
        let circle = expand(vec!["-K".into(), name.into()]);
        assert!(matches!(circle, Err(AskError::Value { .. })));
    }
}
