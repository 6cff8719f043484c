//! What the caller gets: the answer's head, its body piece by piece, and what was paid for it.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, Version};
use l402::ChargeReceipt;
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::{HttpError, HttpErrorKind};
use crate::timing::Timings;
use crate::wallet::Receipt;
use crate::way::ResponseBody;
use crate::wire::Answer;

/// How long a body may be that is held in memory, unless it is said, in bytes.
const LONGEST: usize = 64 << 20;

/// A response, whatever its status. Its body has yet to arrive.
#[derive(Debug)]
pub struct Response {
    answer: Answer,
    payment: Payment,
    redirects: usize,
}

/// What opened the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// Nothing was asked.
    None,
    /// A token that an earlier call had bought.
    Token(Receipt),
    /// A token that this call bought.
    Bought(Receipt),
    /// A payment that an earlier call began and whose end this call learned from the node. Nothing
    /// more was paid.
    Recovered(Receipt),
}

impl Payment {
    /// The receipt of the token that was sent, if one was.
    pub const fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::None => None,
            Self::Token(receipt) | Self::Bought(receipt) | Self::Recovered(receipt) => {
                Some(receipt)
            }
        }
    }
}

impl Response {
    pub(crate) const fn new(answer: Answer, payment: Payment) -> Self {
        Self { answer, payment, redirects: 0 }
    }

    /// The same, after so many redirects.
    pub(crate) fn after(self, redirects: usize) -> Self {
        Self { redirects, ..self }
    }

    /// The same, opened by a payment that was made on the way to it, if one was.
    pub(crate) fn paid_by(self, paid: Option<Payment>) -> Self {
        let payment = paid.unwrap_or(self.payment);
        Self { payment, ..self }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.answer.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.answer.head().headers()
    }

    /// The version of HTTP that was spoken.
    pub fn version(&self) -> Version {
        self.answer.head().version()
    }

    /// The URL that answered: another than was asked only when redirects were followed.
    pub fn url(&self) -> &Url {
        self.answer.head().url()
    }

    /// How many redirects led to it.
    pub const fn redirects(&self) -> usize {
        self.redirects
    }

    /// Who answered, where the connection has an address; a proxy's, if there is one.
    pub fn remote_addr(&self) -> Option<std::net::SocketAddr> {
        self.answer.head().remote_addr()
    }

    /// The points that the sending which was answered passed on its way; those of an earlier one, before
    /// a payment, are in [`Step::Answered`](crate::Step::Answered). Empty unless the transport
    /// [measures](crate::Transport::measured) them.
    pub const fn timings(&self) -> Timings {
        self.answer.timings()
    }

    /// The server's own word that it has taken the payment, where it gives one and it is about that
    /// payment.
    pub fn charge_receipt(&self) -> Option<ChargeReceipt> {
        let receipt = ChargeReceipt::read(self.headers())?;
        (self.payment.receipt()?.hash == receipt.hash).then_some(receipt)
    }

    /// What opened the door.
    pub const fn payment(&self) -> &Payment {
        &self.payment
    }

    /// The next piece of the body, as it arrives; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, or nothing came for as long as the client waits. What was paid for is in
    /// the wallet.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        self.answer.chunk().await
    }

    /// The same for programs that speak `http`: head and body, as it arrives, trailers among it. The
    /// time between two pieces is not limited there.
    pub fn into_http(self) -> http::Response<ResponseBody> {
        self.into_reqwest().into()
    }

    pub(crate) fn into_reqwest(self) -> reqwest::Response {
        self.answer.into_head()
    }

    /// The whole body as text, whatever in it is not UTF-8 replaced. It is the server's: escape it
    /// before a terminal sees it.
    ///
    /// # Errors
    /// As [`Response::chunk`].
    pub async fn text(self) -> Result<String, HttpError> {
        Ok(String::from_utf8_lossy(&self.bytes().await?).into_owned())
    }

    /// The whole body, read as JSON.
    ///
    /// # Errors
    /// As [`Response::chunk`]; a body that is not the JSON of a `T` is [`HttpErrorKind::Broken`].
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        let origin = self.answer.origin().clone();
        let read = serde_json::from_slice(&self.bytes().await?);
        read.map_err(|error| HttpError {
            origin,
            kind: HttpErrorKind::Broken,
            source: Some(error.into()),
        })
    }

    /// The whole body, held in memory: up to 64 MiB of it. For a longer one use
    /// [`Response::bytes_up_to`], or [`Response::chunk`], which holds one piece.
    ///
    /// # Errors
    /// As [`Response::bytes_up_to`].
    pub async fn bytes(self) -> Result<Bytes, HttpError> {
        self.bytes_up_to(LONGEST).await
    }

    /// The whole body, if it is no longer than so many bytes.
    ///
    /// # Errors
    /// As [`Response::chunk`]; [`HttpErrorKind::TooLong`] for a longer body, of which no more than that
    /// was read.
    pub async fn bytes_up_to(mut self, longest: usize) -> Result<Bytes, HttpError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.chunk().await? {
            if piece.len() > longest.saturating_sub(body.len()) {
                let origin = self.answer.origin().clone();
                return Err(HttpError { origin, kind: HttpErrorKind::TooLong, source: None });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.freeze())
    }
}
