//! Bodies on their way through. Neither is ever held whole: a frame is read when the other side takes
//! it.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use crate::log::Entry;

/// How much of an unwanted request body is read and thrown away, in bytes, and for how long.
const MOST_UNWANTED: u64 = 1024 * 1024;
const LONGEST_UNWANTED: Duration = Duration::from_secs(5);

/// The body of a response: the upstream's as it arrives, or a short one of our own. When it ends or is
/// dropped, the request's line is written to the access log.
pub struct Body {
    kind: Kind,
    entry: Option<Entry>,
}

enum Kind {
    Upstream(Incoming),
    Own(Full<Bytes>),
}

impl Body {
    pub(crate) fn upstream(body: Incoming) -> Self {
        Self { kind: Kind::Upstream(body), entry: None }
    }

    pub(crate) fn own(bytes: Bytes) -> Self {
        Self { kind: Kind::Own(Full::new(bytes)), entry: None }
    }

    /// Gives it the line to write when it ends.
    pub(crate) fn with_entry(mut self, entry: Option<Entry>) -> Self {
        self.entry = entry;
        self
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match &mut self.kind {
            Kind::Upstream(body) => Pin::new(body).poll_frame(context),
            Kind::Own(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never: Infallible| match never {}))),
        };
        let frame = ready!(polled);
        if let Some(entry) = &mut self.entry {
            match &frame {
                Some(Ok(frame)) => entry.sent(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(_)) => entry.broken(),
                None => entry.whole(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Upstream(body) => body.is_end_stream(),
            Kind::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Upstream(body) => body.size_hint(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // A body whose length is known is not read beyond its last byte.
        if http_body::Body::is_end_stream(self)
            && let Some(entry) = &mut self.entry
        {
            entry.whole();
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::Upstream(_) => "Body(from the upstream)",
            Kind::Own(_) => "Body(our own)",
        })
    }
}

/// The body of a request on its way to the upstream. It counts its frames, so that a slow upload is
/// not taken for a silent upstream.
pub(crate) struct Upload {
    body: Incoming,
    progress: Progress,
}

/// How many frames of an upload have been taken so far. A request without a body has none to count.
#[derive(Clone, Default)]
pub(crate) struct Progress(Option<Arc<AtomicU64>>);

impl Progress {
    pub(crate) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Upload {
    pub(crate) fn new(body: Incoming) -> Self {
        let empty = http_body::Body::is_end_stream(&body);
        Self { body, progress: Progress((!empty).then(Arc::default)) }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(_), Some(count)) = (&polled, &self.progress.0) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads on for a little while, after a request was answered without its body. A connection that is
/// closed while the client still writes is reset, and then the client never sees the answer.
pub(crate) fn let_finish(head: &Parts, mut body: Incoming) {
    // On HTTP/2 only the one stream is reset, after the answer. And whoever waits for a
    // `100 Continue` has not begun to write; reading would tell it to.
    let waits = head.headers.contains_key(EXPECT);
    if http_body::Body::is_end_stream(&body) || head.version == Version::HTTP_2 || waits {
        return;
    }
    tokio::spawn(async move {
        let read = async {
            let mut unwanted = 0;
            while let Some(Ok(frame)) = body.frame().await {
                unwanted += frame.data_ref().map_or(0, |data| data.len() as u64);
                if unwanted > MOST_UNWANTED {
                    return;
                }
            }
        };
        // Whether it came to its end or not, the answer has been given.
        let _ = tokio::time::timeout(LONGEST_UNWANTED, read).await;
    });
}
