//! The body of a request on its way to the upstream. It counts what passes, so that a slow upload is not
//! taken for a silent upstream, and one that is too long is not sent on.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

/// A request's body, or none.
pub(crate) struct Upload {
    body: Option<Incoming>,
    /// The most bytes it may have, and how many there were so far.
    most: u64,
    seen: u64,
    progress: Progress,
}

/// How far an upload has come. A request without a body has nothing to come far with.
#[derive(Clone, Default)]
pub(crate) struct Progress(Option<Arc<Moved>>);

#[derive(Default)]
struct Moved {
    frames: AtomicU64,
    stopped: AtomicU8,
    most: AtomicU64,
}

/// Why an upload ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The client broke off.
    Broken,
    /// It is longer than that many bytes.
    TooLong(u64),
}

/// The same, as the upstream's connection is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("the request's body is longer than {0} bytes")]
    TooLong(u64),
}

const BROKEN: u8 = 1;
const TOO_LONG: u8 = 2;

impl Progress {
    /// How many frames have been taken so far.
    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |moved| moved.frames.load(Ordering::Relaxed))
    }

    /// Whether it ended before its end, and why.
    pub(crate) fn stopped(&self) -> Option<Stopped> {
        let moved = self.0.as_ref()?;
        match moved.stopped.load(Ordering::Acquire) {
            BROKEN => Some(Stopped::Broken),
            TOO_LONG => Some(Stopped::TooLong(moved.most.load(Ordering::Relaxed))),
            _ => None,
        }
    }
}

impl Upload {
    /// A body of at most `most` bytes.
    pub(crate) fn new(body: Incoming, most: Option<u64>) -> Self {
        let empty = http_body::Body::is_end_stream(&body);
        let progress = Progress((!empty).then(Arc::default));
        Self { body: Some(body), most: most.unwrap_or(u64::MAX), seen: 0, progress }
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self { body: None, most: 0, seen: 0, progress: Progress::default() }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let mut polled = Pin::new(body).poll_frame(context).map_err(UploadError::Broken);
        let Some(moved) = &this.progress.0 else { return polled };
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            this.seen += frame.data_ref().map_or(0, |data| data.len() as u64);
            if this.seen > this.most {
                polled = Poll::Ready(Some(Err(UploadError::TooLong(this.most))));
            }
        }
        match &polled {
            Poll::Pending => return polled,
            Poll::Ready(Some(Err(UploadError::Broken(_)))) => {
                moved.stopped.store(BROKEN, Ordering::Release);
            }
            Poll::Ready(Some(Err(UploadError::TooLong(most)))) => {
                moved.most.store(*most, Ordering::Relaxed);
                moved.stopped.store(TOO_LONG, Ordering::Release);
            }
            Poll::Ready(_) => {}
        }
        moved.frames.fetch_add(1, Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}
