//! Spans for OpenTelemetry: one for each request that is told of, and below it one for each question to
//! the node and one for the upstream. A client's own trace (W3C `traceparent` and `tracestate`) goes on
//! through us. Where nothing is traced this costs one look at an empty place; and then, as for requests
//! that are not told of, those headers pass as they came.
//!
//! No span holds a header, a query, a token, a preimage or an invoice.

mod export;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use http::StatusCode;
use http::header::HeaderMap;
use http::request::Parts;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

use crate::config;

pub use export::TracesError;

/// How long the last spans may take when a gateway stops.
const LAST_SPANS: Duration = Duration::from_secs(5);
/// Steps of this length through all numbers fill them evenly: 2^64 divided by the golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where spans go, and which requests have some.
#[derive(Debug)]
pub(crate) struct Traces {
    /// What it was opened from.
    config: config::Traces,
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// A request whose number, well mixed, is below this is told of.
    below: u64,
    number: AtomicU64,
}

/// The span of one request.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Boxed, because most requests carry room for one and have none.
    span: Box<Span>,
    parent: Arc<Parent>,
}

/// What the steps of a request hang on.
#[derive(Debug)]
pub(crate) struct Parent {
    tracer: SdkTracer,
    context: SpanContext,
}

/// The span of one step. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Step(Box<Span>);

impl Traces {
    fn new(provider: SdkTracerProvider, config: config::Traces) -> Self {
        let tracer = provider.tracer("tollway-gateway");
        let below = match config.per_million {
            1_000_000.. => u64::MAX,
            share => u64::MAX / 1_000_000 * u64::from(share),
        };
        Self { config, provider, tracer, below, number: AtomicU64::new(0) }
    }

    /// Begins the span of a request, if it is told of. Whether a client wants its own trace recorded
    /// counts only when it comes from somebody who is trusted: it is us who pay for the recording.
    pub(crate) fn begin(
        &self,
        head: &Parts,
        client: Option<IpAddr>,
        trusted: bool,
    ) -> Option<Trace> {
        let propagator = TraceContextPropagator::new();
        // Its parent is whoever the headers name, and never what this thread does by chance.
        let from =
            propagator.extract_with_context(&Context::new(), &HeaderExtractor(&head.headers));
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let chosen = number.wrapping_mul(STEP) <= self.below;
        let wished = trusted && from.span().span_context().is_sampled();
        if !(chosen || wished) {
            return None;
        }
        let mut attributes = vec![
            KeyValue::new("http.request.method", head.method.as_str().to_owned()),
            KeyValue::new("url.path", head.uri.path().to_owned()),
        ];
        attributes
            .extend(client.map(|address| KeyValue::new("client.address", address.to_string())));
        let builder = self.tracer.span_builder(head.method.as_str().to_owned());
        let builder = builder.with_kind(SpanKind::Server).with_attributes(attributes);
        let span = self.tracer.build_with_context(builder, &from);
        let (tracer, context) = (self.tracer.clone(), span.span_context().clone());
        Some(Trace { span: Box::new(span), parent: Arc::new(Parent { tracer, context }) })
    }

    /// Hands over what was recorded, before a gateway's end.
    pub(crate) async fn flush(&self) {
        let provider = self.provider.clone();
        // It waits for a thread of its own, which waits for this runtime to send.
        let flushed = tokio::task::spawn_blocking(move || provider.force_flush());
        if !matches!(tokio::time::timeout(LAST_SPANS, flushed).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the last spans could not be handed over");
        }
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // To end it waits for its thread, and that perhaps for the runtime that this is dropped on.
        let provider = self.provider.clone();
        let ending = move || drop(provider.shutdown_with_timeout(LAST_SPANS));
        // Without a thread to be had it ends with the process.
        drop(thread::Builder::new().name("traces end".to_owned()).spawn(ending));
    }
}

impl Trace {
    /// What the request's steps are to hang on.
    pub(crate) fn parent(&self) -> Arc<Parent> {
        Arc::clone(&self.parent)
    }

    /// It belongs to this service.
    pub(crate) fn service(&mut self, method: &str, name: &str) {
        self.span.update_name(format!("{method} {name}"));
        self.span.set_attribute(KeyValue::new("tollway.service", name.to_owned()));
    }

    /// It is over, as far as we see it: its answer's head is there, or its client is gone.
    pub(crate) fn end(mut self, outcome: &'static str, status: Option<StatusCode>) {
        self.span.set_attribute(KeyValue::new("tollway.outcome", outcome));
        if let Some(status) = status {
            let code = i64::from(status.as_u16());
            self.span.set_attribute(KeyValue::new("http.response.status_code", code));
            if status.is_server_error() {
                self.span.set_status(Status::error(outcome));
            }
        }
        self.span.end();
    }
}

impl Parent {
    /// Begins one step: a question to somebody else.
    pub(crate) fn step(&self, name: &'static str) -> Step {
        let context = Context::new().with_remote_span_context(self.context.clone());
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Client);
        Step(Box::new(self.tracer.build_with_context(builder, &context)))
    }

    /// Lets whoever serves the request in this process go on with the trace.
    pub(crate) fn hand_on(&self, headers: &mut HeaderMap) {
        inject(&self.context, headers);
    }
}

fn inject(from: &SpanContext, headers: &mut HeaderMap) {
    let context = Context::new().with_remote_span_context(from.clone());
    let propagator = TraceContextPropagator::new();
    propagator.inject_context(&context, &mut HeaderInjector(headers));
    // An empty one is none.
    if headers.get("tracestate").is_some_and(|state| state.is_empty()) {
        headers.remove("tracestate");
    }
}

impl Step {
    /// Lets whoever is asked go on with the trace.
    pub(crate) fn hand_on(&self, headers: &mut HeaderMap) {
        inject(self.0.span_context(), headers);
    }

    /// How it ended.
    pub(crate) fn answered(mut self, good: bool, status: Option<StatusCode>) {
        if let Some(status) = status {
            let code = i64::from(status.as_u16());
            self.0.set_attribute(KeyValue::new("http.response.status_code", code));
        }
        if !good {
            self.0.set_status(Status::error("failed"));
        }
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telling_of(per_million: u32) -> Traces {
        let endpoint = "http://127.0.0.1:1/v1/traces".parse().unwrap();
        let config = config::Traces { endpoint, per_million, ca: None, headers: Vec::new() };
        Traces::new(SdkTracerProvider::builder().build(), config)
    }

    #[test]
    fn as_many_are_told_of_as_was_said() {
        let (head, ()) = http::Request::new(()).into_parts().clone();
        for share in [1_000_000, 500_000, 100_000, 1_000] {
            let traces = telling_of(share);
            let told = (0..100_000).filter(|_| traces.begin(&head, None, false).is_some()).count();
            let expected = usize::try_from(share / 10).unwrap();
            assert!(told.abs_diff(expected) <= expected / 100 + 2, "{share}: {told}");
        }
    }

    #[test]
    fn only_who_is_trusted_has_its_own_wish_recorded() {
        let traces = telling_of(1);
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = http::Request::builder().header("traceparent", parent).body(()).unwrap();
        let (head, ()) = request.into_parts();
        let _first = traces.begin(&head, None, false);
        assert!(traces.begin(&head, None, false).is_none());
        let trace = traces.begin(&head, None, true).unwrap();
        assert_eq!(trace.parent.context.trace_id().to_string(), &parent[3..35]);
    }
}
