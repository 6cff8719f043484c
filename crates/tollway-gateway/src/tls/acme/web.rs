//! How the authority is spoken to: over our own HTTP client, which trusts whom the configuration says.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Limited;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::upstream::Connector;

/// How long it may take to begin an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// A client for one authority.
pub(super) struct Web(Client<Connector, BodyWrapper<Bytes>>);

impl Web {
    pub(super) fn new(connector: &Connector) -> Self {
        Self(Client::builder(TokioExecutor::new()).build(connector.clone()))
    }
}

impl HttpClient for Web {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = tokio::time::timeout(PATIENCE, self.0.request(request));
        Box::pin(async move {
            let failed = |error| Error::Other(error);
            let answer = asked.await.map_err(|late| failed(late.into()))?;
            let answer = answer.map_err(|error| failed(error.into()))?;
            Ok(answer.map(|body| Limited::new(body, LONGEST)).into())
        })
    }
}
