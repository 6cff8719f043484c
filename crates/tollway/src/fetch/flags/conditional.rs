//! Parts of a file, the rest of one, and answers only if something changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use http::header::{IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::AskError;

#[derive(Debug, Args)]
#[command(next_help_heading = "Parts and conditions")]
pub(crate) struct ConditionFlags {
    /// Ask for these bytes, as `0-499`, `500-` or `-500`
    #[arg(
        short,
        long,
        value_name = "RANGE",
        allow_hyphen_values = true,
        conflicts_with = "continue_at"
    )]
    range: Option<String>,

    /// Go on behind so many bytes; `-` is the length of the file that is there. If the file has
    /// changed since, it is written anew
    #[arg(short = 'C', long, value_name = "OFFSET", allow_hyphen_values = true)]
    continue_at: Option<String>,

    /// Only if it is newer than this date, or this file; older with `-` before it
    #[arg(short = 'z', long, value_name = "DATE|FILE", allow_hyphen_values = true)]
    time_cond: Option<String>,

    /// Write the answer's ETag there
    #[arg(long, value_name = "FILE")]
    pub(crate) etag_save: Option<PathBuf>,

    /// Only if its ETag is not the one in this file
    #[arg(long, value_name = "FILE")]
    etag_compare: Option<PathBuf>,
}

/// Where a download goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resume {
    /// How many bytes are there.
    pub(crate) from: u64,
    /// Where the ETag of what is there was written.
    pub(crate) validator: Option<PathBuf>,
}

impl ConditionFlags {
    /// Adds the headers, and says where to go on in `file`.
    pub(crate) fn add(
        &self,
        file: Option<&Path>,
        headers: &mut HeaderMap,
    ) -> Result<Option<Resume>, AskError> {
        if let Some(range) = &self.range {
            insert("--range", headers, RANGE, &format!("bytes={range}"))?;
        }
        if let Some(condition) = &self.time_cond {
            let (name, rest) = match condition.strip_prefix('-') {
                Some(rest) => (IF_UNMODIFIED_SINCE, rest),
                None => (IF_MODIFIED_SINCE, condition.as_str()),
            };
            let date = httpdate::fmt_http_date(read_date(rest)?);
            insert("--time-cond", headers, name, &date)?;
        }
        if let Some(file) = &self.etag_compare {
            // As with curl, a file that is not there yet is no condition.
            let etag = fs::read_to_string(file).unwrap_or_default();
            let etag = etag.lines().next().unwrap_or("\"\"");
            insert("--etag-compare", headers, IF_NONE_MATCH, etag)?;
        }
        let Some(offset) = &self.continue_at else { return Ok(None) };
        self.resume(offset, file, headers).map(Some)
    }

    /// Whether the rest of a file is asked for.
    pub(crate) fn goes_on(&self) -> bool {
        self.continue_at.is_some()
    }

    fn resume(
        &self,
        offset: &str,
        file: Option<&Path>,
        headers: &mut HeaderMap,
    ) -> Result<Resume, AskError> {
        const FLAG: &str = "--continue-at";
        let bad = |problem| AskError::Value { flag: FLAG, value: offset.to_owned(), problem };
        let from = match (offset, file) {
            ("-", Some(file)) => fs::metadata(file).map(|about| about.len()).unwrap_or(0),
            ("-", None) => return Err(bad("name the file by `-o FILE` or `-O`")),
            (number, _) => number.parse().map_err(|_| bad("write a number of bytes, or `-`"))?,
        };
        let validator = file.map(validator_of);
        if from > 0 {
            insert(FLAG, headers, RANGE, &format!("bytes={from}-"))?;
            let etag = validator.as_ref().and_then(|path| fs::read_to_string(path).ok());
            if let Some(etag) = etag.as_deref().and_then(|text| text.lines().next()) {
                insert(FLAG, headers, IF_RANGE, etag)?;
            }
        }
        Ok(Resume { from, validator })
    }
}

/// Where the ETag of a part of a file is kept, until the whole of it is there.
pub(crate) fn validator_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".etag");
    name.into()
}

fn insert(
    flag: &'static str,
    headers: &mut HeaderMap,
    name: HeaderName,
    text: &str,
) -> Result<(), AskError> {
    let problem = "a header is one line of plain characters";
    let bad = |_| AskError::Value { flag, value: text.to_owned(), problem };
    headers.insert(name, HeaderValue::from_str(text.trim()).map_err(bad)?);
    Ok(())
}

/// A date of HTTP, of mail or of ISO 8601, or when a file was written.
fn read_date(text: &str) -> Result<SystemTime, AskError> {
    if let Ok(time) = fs::metadata(text).and_then(|about| about.modified()) {
        return Ok(time);
    }
    if let Ok(time) = httpdate::parse_http_date(text) {
        return Ok(time);
    }
    if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
        return Ok(zoned.timestamp().into());
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.into());
    }
    let utc = |day: jiff::civil::DateTime| day.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let day = text.parse::<jiff::civil::DateTime>().ok().and_then(utc);
    day.map(|day| day.timestamp().into()).ok_or_else(|| AskError::Value {
        flag: "--time-cond",
        value: text.to_owned(),
        problem: "write a date, as `2026-01-31` or `Sat, 31 Jan 2026 12:00:00 GMT`, or name a file",
    })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    fn add(line: &[&str], file: Option<&Path>) -> Result<(HeaderMap, Option<Resume>), AskError> {
        let command = ConditionFlags::augment_args(clap::Command::new("get"));
        let args = command.try_get_matches_from([&["get"], line].concat()).expect("known flags");
        let mut headers = HeaderMap::new();
        let flags = ConditionFlags::from_arg_matches(&args).unwrap();
        let resume = flags.add(file, &mut headers)?;
        Ok((headers, resume))
    }

    #[test]
    fn a_range_is_asked_for() {
        assert_eq!(add(&["-r", "-500"], None).unwrap().0["range"], "bytes=-500");
    }

    #[test]
    fn a_file_goes_on_where_it_ends_if_it_is_still_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("part");
        let (headers, resume) = add(&["-C", "-"], Some(&file)).unwrap();
        assert!(headers.is_empty() && resume.unwrap().from == 0, "nothing is there yet");

        fs::write(&file, "12345").unwrap();
        fs::write(validator_of(&file), "\"v1\"\n").unwrap();
        let (headers, resume) = add(&["-C", "-"], Some(&file)).unwrap();
        assert_eq!(
            (&headers["range"], &headers["if-range"]),
            (&"bytes=5-".parse().unwrap(), &"\"v1\"".parse().unwrap())
        );
        assert_eq!(resume.unwrap().from, 5);
        assert!(matches!(add(&["-C", "-"], None), Err(AskError::Value { .. })));
        assert!(matches!(add(&["-C", "x"], None), Err(AskError::Value { .. })));
    }

    #[test]
    fn a_date_is_written_in_many_ways() {
        for date in [
            "2026-01-31",
            "Sat, 31 Jan 2026 00:00:00 GMT",
            "2026-01-31T00:00:00Z",
            "31 Jan 2026 00:00:00 +0000",
        ] {
            let (headers, _) = add(&["-z", date], None).unwrap();
            assert_eq!(headers["if-modified-since"], "Sat, 31 Jan 2026 00:00:00 GMT", "{date}");
        }
        let (headers, _) = add(&["-z", "-2026-01-31"], None).unwrap();
        assert!(headers.contains_key("if-unmodified-since"));
        assert!(matches!(add(&["-z", "yesterday"], None), Err(AskError::Value { .. })));
    }

    #[test]
    fn an_etag_is_compared_with() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "\"v1\"\n").unwrap();
        let line = ["--etag-compare", file.path().to_str().unwrap()];
        assert_eq!(add(&line, None).unwrap().0["if-none-match"], "\"v1\"");
        assert_eq!(add(&["--etag-compare", "/nowhere"], None).unwrap().0["if-none-match"], "\"\"");
    }
}
