//! Hands an answer's body on, piece by piece as it comes: decompressed where that was agreed, no
//! faster than asked, and into the right part of a file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use http::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};
use tollway_client::Response;

use super::decode::Decoder;
use super::flags::conditional::{Resume, validator_of};
use super::flags::output::Place;
use super::plan::AskFlags;
use super::progress::Progress;
use super::report::Got;
use super::sink::{How, Sink};
use super::talk::{Talk, head_text};
use crate::failure::Failure;

/// How one answer is handed on.
pub(crate) struct Delivery<'a> {
    pub(crate) flags: &'a AskFlags,
    pub(crate) talk: &'a Talk<'a>,
    pub(crate) place: &'a Place,
    pub(crate) resume: Option<Resume>,
    /// Whether the body is to be part of a report.
    pub(crate) in_report: bool,
    /// Whether a bar may be drawn.
    pub(crate) show_progress: bool,
}

impl Delivery<'_> {
    /// Writes the body where it belongs, and into the report how long it is.
    pub(crate) async fn run(&self, mut response: Response, got: &mut Got) -> Result<(), Failure> {
        let file = self.place.file(response.headers());
        if self.is_complete(&response) {
            got.output_path = file.map(|file| file.display().to_string());
            self.talk.say("the file is complete already");
            return Ok(());
        }
        let mut sink = self.open(file.as_deref(), &response)?;
        self.save_etags(file.as_deref(), response.headers())?;
        if self.flags.shows_head() && !matches!(sink, Sink::Memory(_)) {
            let head = head_text(response.version(), response.status(), response.headers());
            sink.write(head.as_bytes())?;
        }
        let last_modified = response.headers().get(LAST_MODIFIED).cloned();
        let received = self.receive(&mut response, &mut sink, got).await;
        if let (Err(_), true, Some(path)) =
            (&received, self.flags.output.remove_on_error, sink.path())
        {
            // What failed is told; that there is also a file left is not worth another error.
            let _ = fs::remove_file(path);
        }
        received?;
        sink.finish()?;
        got.output_path = sink.path().map(|path| path.display().to_string());
        if let Some(path) = sink.path() {
            self.finish_file(path, last_modified.as_ref().and_then(|value| value.to_str().ok()))?;
        }
        if let Sink::Memory(body) = sink {
            got.body(body);
        }
        Ok(())
    }

    async fn receive(
        &self,
        response: &mut Response,
        sink: &mut Sink,
        got: &mut Got,
    ) -> Result<(), Failure> {
        let limits = &self.flags.limits;
        let mut decoder = match self.flags.compressed() {
            true => Decoder::of(response.headers()),
            false => Decoder::Plain,
        };
        let length = content_length(response.headers());
        if let (Some(limit), Some(length)) = (limits.max_filesize, length)
            && length > limit
        {
            return Err(Failure::TooLong { limit });
        }
        let mut progress = Progress::new(self.show_progress, length);
        let mut pace = Pace::new(limits.limit_rate, limits.least_speed());
        while let Some(piece) = pace.next(response).await? {
            got.bytes += piece.len() as u64;
            if let Some(limit) = limits.max_filesize.filter(|limit| got.bytes > *limit) {
                return Err(Failure::TooLong { limit });
            }
            self.talk.received(&piece);
            decoder.take(&piece, |plain| sink.write(plain))?;
            sink.flush()?;
            progress.at(got.bytes);
            pace.wait(got.bytes).await?;
        }
        decoder.finish(|plain| sink.write(plain))
    }

    /// The place, opened so that what is there stays if the answer is the rest of it.
    fn open(&self, file: Option<&Path>, response: &Response) -> Result<Sink, Failure> {
        let Some(file) = file else {
            let resumed = self.resume.as_ref().is_some_and(|resume| resume.from > 0);
            if resumed
                && response.status() != StatusCode::PARTIAL_CONTENT
                && response.status().is_success()
            {
                return Err(Failure::NotAPart);
            }
            return Ok(if self.in_report { Sink::Memory(Vec::new()) } else { Sink::stdout() });
        };
        let output = &self.flags.output;
        let mut how = How {
            create_dirs: output.create_dirs,
            no_clobber: output.no_clobber && !self.flags.goes_on(),
            from: None,
        };
        if let Some(Resume { from, .. }) = self.resume.as_ref().filter(|resume| resume.from > 0) {
            if response.status() == StatusCode::PARTIAL_CONTENT {
                if range_start(response.headers()) != Some(*from) {
                    return Err(Failure::NotAPart);
                }
                how.from = Some(*from);
            } else if response.status().is_success() {
                self.talk.say(
                    "the server sends the whole file: it has changed, or cannot be had in parts",
                );
            }
        }
        Ok(Sink::file(file.to_owned(), how))
    }

    /// Whether the server says that there is nothing behind what is here.
    fn is_complete(&self, response: &Response) -> bool {
        let Some(Resume { from, .. }) = self.resume else { return false };
        let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let whole = range.and_then(|range| range.strip_prefix("bytes */")?.parse::<u64>().ok());
        response.status() == StatusCode::RANGE_NOT_SATISFIABLE && whole == Some(from)
    }

    /// Writes down by what the file can be told from another one, for `--etag-save` and for going on.
    fn save_etags(&self, file: Option<&Path>, headers: &HeaderMap) -> Result<(), Failure> {
        let etag = headers.get(ETAG).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let write = |path: &Path| {
            let failed =
                |source| Failure::Io { what: format!("writing `{}`", path.display()), source };
            fs::write(path, format!("{etag}\n")).map_err(failed)
        };
        if let Some(path) = self.flags.etag_save() {
            write(path)?;
        }
        match (&self.resume, file) {
            // A weak one does not say that the bytes are the same (RFC 9110, 13.1.5).
            (Some(_), Some(file)) if etag.starts_with('"') => write(&validator_of(file)),
            _ => Ok(()),
        }
    }

    fn finish_file(&self, path: &Path, last_modified: Option<&str>) -> Result<(), Failure> {
        if self.resume.is_some() {
            // The whole is there.
            let _ = fs::remove_file(validator_of(path));
        }
        let Some(time) = last_modified.and_then(|text| httpdate::parse_http_date(text).ok()) else {
            return Ok(());
        };
        if !self.flags.output.remote_time {
            return Ok(());
        }
        set_time(path, time).map_err(|source| Failure::Io {
            what: format!("setting the time of `{}`", path.display()),
            source,
        })
    }
}

fn set_time(path: &Path, time: SystemTime) -> std::io::Result<()> {
    fs::OpenOptions::new().append(true).open(path)?.set_modified(time)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Where the part begins that is sent.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let range = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

/// How fast a body comes: not faster than one speed, not slower than another for long.
struct Pace {
    started: Instant,
    most: Option<u64>,
    least: Option<(u64, Duration)>,
    /// Since when, and from how many bytes, the speed is measured.
    window: (Instant, u64),
}

impl Pace {
    fn new(most: Option<u64>, least: Option<(u64, Duration)>) -> Self {
        let now = Instant::now();
        Self { started: now, most: most.filter(|most| *most > 0), least, window: (now, 0) }
    }

    /// The next piece, unless nothing comes for as long as may be slow.
    async fn next(&self, response: &mut Response) -> Result<Option<bytes::Bytes>, Failure> {
        let next = response.chunk();
        let Some((_, time)) = self.least else { return next.await.map_err(Failure::BrokeOff) };
        match tokio::time::timeout(time, next).await {
            Ok(piece) => piece.map_err(Failure::BrokeOff),
            Err(_) => Err(Failure::TooSlow),
        }
    }

    /// So many bytes are there: waits if that is too many.
    async fn wait(&mut self, bytes: u64) -> Result<(), Failure> {
        if let Some((speed, time)) = self.least
            && self.window.0.elapsed() >= time
        {
            let came = bytes.saturating_sub(self.window.1);
            if came < speed.saturating_mul(time.as_secs().max(1)) {
                return Err(Failure::TooSlow);
            }
            self.window = (Instant::now(), bytes);
        }
        if let Some(most) = self.most {
            let due = Duration::from_millis(bytes.saturating_mul(1_000) / most);
            tokio::time::sleep(due.saturating_sub(self.started.elapsed())).await;
        }
        Ok(())
    }
}
