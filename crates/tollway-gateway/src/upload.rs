//! The body of a request on its way to the upstream. It counts what passes, so that a slow upload is not
//! taken for a silent upstream, and one that is too long is not sent on.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use crate::grpc_web::{Decoder, NotBase64};

/// A request's body, or none.
pub(crate) struct Upload {
    body: Option<Incoming>,
    /// The most bytes it may have, and how many there were so far.
    most: u64,
    seen: u64,
    /// Where it is text that stands for the bytes that are sent on.
    text: Option<Decoder>,
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
    /// It is no text that stands for bytes.
    NotBase64,
}

/// The same, as the upstream's connection is told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("the request's body is longer than {0} bytes")]
    TooLong(u64),
    #[error(transparent)]
    NotBase64(#[from] NotBase64),
}

const BROKEN: u8 = 1;
const TOO_LONG: u8 = 2;
const NOT_BASE64: u8 = 3;

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
            NOT_BASE64 => Some(Stopped::NotBase64),
            _ => None,
        }
    }
}

impl Upload {
    /// A body of at most `most` bytes.
    pub(crate) fn new(body: Incoming, most: Option<u64>) -> Self {
        let empty = http_body::Body::is_end_stream(&body);
        let progress = Progress((!empty).then(Arc::default));
        Self { body: Some(body), most: most.unwrap_or(u64::MAX), seen: 0, text: None, progress }
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self { body: None, most: 0, seen: 0, text: None, progress: Progress::default() }
    }

    /// Sends on what its text stands for. Its length is not known any more.
    pub(crate) fn decoded(mut self) -> Self {
        self.text = Some(Decoder::default());
        self
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
        if let Some(text) = &mut this.text {
            polled = polled.map(|frame| decode(text, frame));
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
            Poll::Ready(Some(Err(UploadError::NotBase64(_)))) => {
                moved.stopped.store(NOT_BASE64, Ordering::Release);
            }
            Poll::Ready(_) => {}
        }
        moved.frames.fetch_add(1, Ordering::Relaxed);
        polled
    }

    fn is_end_stream(&self) -> bool {
        let whole = self.text.as_ref().is_none_or(|text| text.end().is_ok());
        whole && self.body.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        if self.text.is_some() {
            return SizeHint::default();
        }
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

type Piece = Option<Result<Frame<Bytes>, UploadError>>;

/// What a piece of text stands for; at the end, whether that was all.
fn decode(text: &mut Decoder, piece: Piece) -> Piece {
    match piece {
        Some(Ok(frame)) => Some(match frame.into_data() {
            Ok(data) => text.read(&data).map(Frame::data).map_err(UploadError::from),
            Err(other) => Ok(other),
        }),
        Some(Err(error)) => Some(Err(error)),
        None => text.end().err().map(|error| Err(error.into())),
    }
}
