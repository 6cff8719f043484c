//! Keeps the answer to a request that may be sent again: what passes by is written down on the side,
//! up to a length, and handed to the store when the answer is over.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use l402::PaymentHash;

use crate::books::Books;
use crate::store::Answer;

/// The longest body that is kept, in bytes.
const LONGEST: usize = 256 * 1024;

/// An answer on its way through.
#[derive(Debug)]
pub(crate) struct Keep {
    books: Arc<Books>,
    hash: PaymentHash,
    status: StatusCode,
    headers: HeaderMap,
    /// `None` once there is too much of it, or it is told.
    body: Option<BytesMut>,
    told: bool,
}

impl Keep {
    /// Begins with the head, as the client will see it.
    pub(crate) fn begin<B>(books: &Arc<Books>, hash: PaymentHash, head: &Response<B>) -> Self {
        Self {
            books: Arc::clone(books),
            hash,
            status: head.status(),
            headers: head.headers().clone(),
            body: Some(BytesMut::new()),
            told: false,
        }
    }

    /// More of the body.
    pub(crate) fn data(&mut self, data: &Bytes) {
        match &mut self.body {
            Some(body) if body.len() + data.len() <= LONGEST => body.extend_from_slice(data),
            _ => self.body = None,
        }
    }

    /// There is more than headers and a body, which is all that is kept.
    pub(crate) fn trailers(&mut self) {
        self.body = None;
    }

    /// The body came to its end.
    pub(crate) fn whole(&mut self) {
        let answer = match self.body.take() {
            None => Answer::NotKept,
            Some(body) => {
                let (status, headers) = (self.status, std::mem::take(&mut self.headers));
                Answer::Whole { status, headers, body: body.freeze() }
            }
        };
        self.tell(answer);
    }

    fn tell(&mut self, answer: Answer) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let (books, hash) = (Arc::clone(&self.books), self.hash);
        // Without a runtime nothing is served, and nobody asks again.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { books.answer(hash, &answer).await });
        }
    }
}

impl Drop for Keep {
    fn drop(&mut self) {
        self.tell(Answer::NotKept);
    }
}
