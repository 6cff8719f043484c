//! A small HTTP client of our own: one question, one short answer, within a time.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;

use crate::config::{Protocol, Source};
use crate::upstream::{CertificatesError, Connector, tls};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// Somebody who can be asked.
#[derive(Debug)]
pub(super) struct Web {
    client: Client<Connector, Full<Bytes>>,
    pub(super) uri: Uri,
    patience: Duration,
}

/// A question was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// There was no answer.
    #[error("no answer")]
    Failed(#[source] ClientError),
    /// There was none in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// The answer broke off, or is far too long.
    #[error("the answer broke off or is too long")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is not a good one.
    #[error("the answer is {0}")]
    Status(StatusCode),
}

impl Web {
    pub(super) fn open(source: &Source) -> Result<Self, CertificatesError> {
        let tls = tls::trusting(source.ca.as_deref())?;
        let connector = Connector::tcp(tls, source.protocol, source.timeout);
        let client = Client::builder(TokioExecutor::new())
            .http2_only(source.protocol == Some(Protocol::H2))
            .build(connector);
        let uri = source.url.as_str().parse().expect("a URL with a host is a URI");
        Ok(Self { client, uri, patience: source.timeout })
    }

    /// Asks, and reads the whole answer, which has to be a 200.
    pub(super) async fn ask(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Collected<Bytes>>, WebError> {
        let asked = async {
            let answer = self.client.request(request).await.map_err(WebError::Failed)?;
            if answer.status() != StatusCode::OK {
                return Err(WebError::Status(answer.status()));
            }
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, LONGEST).collect().await.map_err(WebError::Broken)?;
            Ok(Response::from_parts(head, body))
        };
        tokio::time::timeout(self.patience, asked)
            .await
            .unwrap_or(Err(WebError::Silent(self.patience)))
    }
}
