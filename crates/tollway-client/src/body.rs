//! What a request sends, from memory or from a file, as often and as slowly as it must.

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// What a request sends, in a form that can be sent again.
#[derive(Clone, Default)]
pub struct Body(pub(crate) Source);

/// Where it comes from.
#[derive(Clone, Default)]
pub(crate) enum Source {
    #[default]
    Empty,
    Bytes(Bytes),
    File(Arc<PathBuf>),
}

impl Body {
    /// A file, opened anew and read from its start each time that it is sent. It is never held in
    /// memory whole.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(Arc::new(path.into())))
    }

    /// What the HTTP client takes, no faster than `most` bytes a second. Opens the file, if it is one.
    pub(crate) async fn open(&self, most: Option<NonZeroU64>) -> io::Result<Option<reqwest::Body>> {
        let (file, rest) = match &self.0 {
            Source::Empty => return Ok(None),
            Source::Bytes(bytes) => match most {
                None => return Ok(Some(bytes.clone().into())),
                Some(_) => (None, bytes.clone()),
            },
            Source::File(path) => {
                let file = tokio::fs::File::open(&**path).await?;
                let left = file.metadata().await?.len();
                (Some(FileBody { file, left }), Bytes::new())
            }
        };
        Ok(Some(match (most, file) {
            (Some(most), file) => reqwest::Body::wrap(Paced::new(file, rest, most)),
            (None, Some(file)) => reqwest::Body::wrap(file),
            (None, None) => rest.into(),
        }))
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Source::Bytes(bytes.into()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Empty => f.write_str("Body(empty)"),
            Source::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Source::File(path) => write!(f, "Body(file {})", path.display()),
        }
    }
}

/// A file of a length that is said in advance, so that it can be sent without chunking.
struct FileBody {
    file: tokio::fs::File,
    left: u64,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let most = usize::try_from(self.left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; most];
        let mut buffer = ReadBuf::new(&mut piece);
        ready!(Pin::new(&mut self.file).poll_read(context, &mut buffer))?;
        let read = buffer.filled().len();
        if read == 0 {
            let shrunk = io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter");
            return Poll::Ready(Some(Err(shrunk)));
        }
        piece.truncate(read);
        self.left -= u64::try_from(read).expect("a piece is short");
        Poll::Ready(Some(Ok(Frame::data(piece.into()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A body that is handed on no faster than it may be sent, in pieces of a tenth of a second.
struct Paced {
    file: Option<FileBody>,
    /// What was read and not yet handed on.
    rest: Bytes,
    most: NonZeroU64,
    /// When the first piece was handed on, and how many bytes have been since.
    started: Option<Instant>,
    sent: u64,
    due: Pin<Box<Sleep>>,
}

impl Paced {
    fn new(file: Option<FileBody>, rest: Bytes, most: NonZeroU64) -> Self {
        let due = Box::pin(tokio::time::sleep(Duration::ZERO));
        Self { file, rest, most, started: None, sent: 0, due }
    }

    /// Takes the next piece out of what was read, and says when the one behind it may follow.
    fn hand_on(&mut self) -> Bytes {
        let tenth = usize::try_from(self.most.get() / 10).unwrap_or(usize::MAX);
        let piece = self.rest.split_to(self.rest.len().min(tenth.clamp(1, PIECE)));
        self.sent += u64::try_from(piece.len()).expect("a piece is short");
        let started = *self.started.get_or_insert_with(Instant::now);
        let micros = u128::from(self.sent) * 1_000_000 / u128::from(self.most.get());
        let takes = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        self.due.as_mut().reset(started + takes);
        piece
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        ready!(self.due.as_mut().poll(context));
        if self.rest.is_empty() {
            let Some(file) = &mut self.file else { return Poll::Ready(None) };
            match ready!(Pin::new(file).poll_frame(context)) {
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                other => return Poll::Ready(other),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.hand_on()))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.file.as_ref().map_or(0, |file| file.left);
        SizeHint::with_exact(left + u64::try_from(self.rest.len()).expect("it is in memory"))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_is_sent_no_faster_than_it_may_be() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), vec![7; 30_000]).unwrap();
        for body in [Body::file(file.path()), vec![7; 30_000].into()] {
            let (started, most) = (Instant::now(), NonZeroU64::new(10_000));
            let body = body.open(most).await.unwrap().unwrap();
            assert_eq!(http_body::Body::size_hint(&body).exact(), Some(30_000));
            assert_eq!(body.collect().await.unwrap().to_bytes(), vec![7; 30_000]);
            assert_eq!(started.elapsed().as_secs(), 3);
        }
        assert!(Body::default().open(NonZeroU64::new(1)).await.unwrap().is_none());
    }
}
