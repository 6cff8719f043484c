//! Bodies on their way through. Neither is ever held whole: a frame is read when the other side takes
//! it.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http::header::EXPECT;
use http::request::Parts;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::grpc_web::Encoding;
use crate::keep::Keep;
use crate::log::Entry;
use crate::upstream::Busy;

/// How much of an unwanted request body is read and thrown away, in bytes, and for how long.
const MOST_UNWANTED: u64 = 1024 * 1024;
const LONGEST_UNWANTED: Duration = Duration::from_secs(5);

/// The body of a response: the upstream's as it arrives, or a short one of our own. When it ends or is
/// dropped, the request's line is written to the access log.
pub struct Body {
    kind: Kind,
    entry: Option<Box<Entry>>,
    /// Writes it down for whoever asks the same again.
    keep: Option<Box<Keep>>,
    /// The form in which a page reads it, where that is not the upstream's.
    web: Option<Encoding>,
    /// How long the upstream may be silent in the middle of it.
    idle: Option<Idle>,
    /// The server is busy with this as long as it flows.
    _busy: Option<Busy>,
}

enum Kind {
    Upstream(Incoming),
    Own(Full<Bytes>),
}

/// Why a response broke off in the middle of its body.
///
/// Exhaustive on purpose.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream broke off.
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
    /// The upstream was silent for longer than `idle_timeout`.
    #[error("the upstream was silent for {0:?} in the middle of its answer")]
    Idle(Duration),
}

/// A limit on silence. The clock is only started when there is something to wait for.
struct Idle {
    most: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Body {
    pub(crate) fn upstream(body: Incoming, idle: Option<Duration>, busy: Option<Busy>) -> Self {
        let idle = idle.map(|most| Idle { most, waiting: None });
        Self { kind: Kind::Upstream(body), entry: None, keep: None, web: None, idle, _busy: busy }
    }

    pub(crate) fn own(bytes: Bytes) -> Self {
        let kind = Kind::Own(Full::new(bytes));
        Self { kind, entry: None, keep: None, web: None, idle: None, _busy: None }
    }

    /// Writes it as gRPC-Web.
    pub(crate) fn written(mut self, encoding: Encoding) -> Self {
        self.web = Some(encoding);
        self
    }

    /// Lets it be written down as it passes.
    pub(crate) fn keeping(mut self, keep: Keep) -> Self {
        self.keep = Some(Box::new(keep));
        self
    }

    /// Gives it the line to write when it ends.
    pub(crate) fn with_entry(mut self, entry: Option<Box<Entry>>) -> Self {
        self.entry = entry;
        self
    }
}

impl Idle {
    /// Whether the time is up, when there was nothing to read; else starts anew.
    fn is_over(&mut self, nothing: bool, context: &mut Context<'_>) -> bool {
        if !nothing {
            self.waiting = None;
            return false;
        }
        let most = self.most;
        let clock = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(most)));
        clock.as_mut().poll(context).is_ready()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = match &mut self.kind {
            Kind::Upstream(body) => Pin::new(body).poll_frame(context).map_err(BodyError::Upstream),
            Kind::Own(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never: Infallible| match never {}))),
        };
        if let Some(idle) = &mut self.idle
            && idle.is_over(polled.is_pending(), context)
        {
            polled = Poll::Ready(Some(Err(BodyError::Idle(idle.most))));
        }
        let mut frame = ready!(polled);
        if let Some(web) = self.web {
            frame = frame.map(|frame| frame.map(|frame| web.write(frame)));
        }
        if let Some(entry) = &mut self.entry {
            match &frame {
                Some(Ok(frame)) => entry.sent(frame.data_ref().map_or(0, Bytes::len)),
                Some(Err(_)) => entry.broken(),
                None => entry.whole(),
            }
        }
        if let Some(keep) = &mut self.keep {
            match &frame {
                Some(Ok(frame)) => match frame.data_ref() {
                    Some(data) => keep.data(data),
                    None => keep.trailers(),
                },
                // Broken off: what there is of it goes when it is dropped.
                Some(Err(_)) => {}
                None => keep.whole(),
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
        if self.web.is_some() && !self.is_end_stream() {
            return SizeHint::default();
        }
        match &self.kind {
            Kind::Upstream(body) => body.size_hint(),
            Kind::Own(body) => body.size_hint(),
        }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // A body whose length is known is not read beyond its last byte.
        if http_body::Body::is_end_stream(self) {
            self.entry.iter_mut().for_each(|entry| entry.whole());
            self.keep.iter_mut().for_each(|keep| keep.whole());
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
