//! The way of spans to a collector: OTLP over HTTP, by our own client and our own TLS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider,
};
use tokio::runtime::Handle;

use super::Traces;
use crate::config::{self, FetchError};
use crate::upstream::{CertificatesError, Connector, tls};

/// How long the collector may take for one batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a span waits for others to be sent with.
const DELAY: Duration = Duration::from_secs(2);
/// How many spans may wait; more are dropped.
const MOST_WAITING: usize = 4096;
/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// Spans cannot be sent anywhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracesError {
    /// The file with the collector's authorities.
    #[error("the certificates in `ca`: {0}")]
    Certificates(#[from] CertificatesError),
    /// A header's secret is not there.
    #[error("the header `{name}`: {source}")]
    Fetch {
        /// Which header.
        name: HeaderName,
        /// Why.
        source: FetchError,
    },
    /// What was fetched is not one line.
    #[error("the header `{0}`: what its secret says is not one line of text")]
    Value(HeaderName),
    /// The exporter does not take this.
    #[error("spans cannot be sent: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl Traces {
    /// Gets ready to send, by that runtime. Where the one before was opened from the same, it goes on.
    ///
    /// # Errors
    /// See [`TracesError`]. Nothing is sent yet, so a collector that is down is none.
    pub(crate) fn open(
        config: &config::Traces,
        env: impl Fn(&str) -> Option<String>,
        runtime: &Handle,
        before: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, TracesError> {
        if let Some(before) = before.filter(|before| before.config == *config) {
            return Ok(Arc::clone(before));
        }
        let mut headers = Vec::new();
        for (name, template) in &config.headers {
            let fetched = template
                .fetch(&env)
                .map_err(|source| TracesError::Fetch { name: name.clone(), source })?;
            let mut value = HeaderValue::from_str(fetched.expose())
                .map_err(|_| TracesError::Value(name.clone()))?;
            value.set_sensitive(true);
            headers.push((name.clone(), value));
        }
        let connector = Connector::tcp(tls::trusting(config.ca.as_deref())?, None, PATIENCE);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let collector =
            Collector { runtime: runtime.clone(), client, headers, silent: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(config.endpoint.as_str())
            .with_timeout(PATIENCE)
            .with_http_client(collector)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", "tollway-gateway"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ]);
        let provider = SdkTracerProvider::builder()
            // Who is told of is decided before a span is begun.
            .with_sampler(Sampler::AlwaysOn)
            .with_span_processor(processor)
            .with_resource(resource.build())
            .build();
        Ok(Arc::new(Self::new(provider, config.clone())))
    }
}

/// Sends batches. They come on a thread that has no runtime, and leave on the gateway's.
#[derive(Debug)]
struct Collector {
    runtime: Handle,
    client: Client<Connector, Full<Bytes>>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether it failed the last time; that is said once.
    silent: AtomicBool,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut request = request.map(Full::new);
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let asked = async {
                let (head, body) = client.request(request).await?.into_parts();
                let body = Limited::new(body, LONGEST).collect().await?.to_bytes();
                Ok::<_, HttpError>(Response::from_parts(head, body))
            };
            tokio::time::timeout(PATIENCE, asked).await?
        });
        let sent = sent.await.unwrap_or_else(|error| Err(error.into()));
        let failed = !sent.as_ref().is_ok_and(|response| response.status().is_success());
        if failed && !self.silent.swap(failed, Ordering::Relaxed) {
            let status = sent.as_ref().map(|response| response.status().as_u16()).ok();
            let error = sent.as_ref().err().map(|error| &**error as &dyn std::error::Error);
            tracing::warn!(error, status, "the collector takes no spans; they are dropped");
        }
        self.silent.store(failed, Ordering::Relaxed);
        sent
    }
}
