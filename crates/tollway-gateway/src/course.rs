//! The course of one request, as far as others want to know of it: its line in the access log, the
//! numbers for Prometheus, and the causes of what went wrong. Whoever decides about a request tells
//! this; nothing is decided here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use http::request::Parts;

use crate::gate::Permit;
use crate::gateway::Service;
use crate::log::Entry;
use crate::metrics::{Outcome, ServiceMetrics};
use crate::respond::Ended;
use crate::till::Till;
use crate::traces::{Parent, Trace, Traces};

/// One request on its way. Dropped before it was answered, it says that its client has gone.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    started: Instant,
    metrics: &'a ServiceMetrics,
    outcome: Outcome,
    entry: Option<Box<Entry>>,
    trace: Option<Trace>,
    answered: bool,
}

impl<'a> Course<'a> {
    /// A request just came in from `client`, by way of somebody who is `trusted` or not; `door` says
    /// which way, when it is not the usual one; `traces` is where it is told of, if anywhere.
    pub(crate) fn begin(
        till: &'a Till,
        traces: Option<&Arc<Traces>>,
        client: Option<IpAddr>,
        trusted: bool,
        head: &Parts,
        door: Option<&'static str>,
    ) -> Self {
        let started = Instant::now();
        let entry = Entry::new(started, client, head, door);
        let trace = traces.and_then(|traces| traces.begin(head, client, trusted));
        let (metrics, outcome) = (&till.metrics.nobody, Outcome::Gone);
        Self { started, metrics, outcome, entry, trace, answered: false }
    }

    /// It belongs to this service.
    pub(crate) fn service(&mut self, service: &'a Service, head: &Parts) {
        self.metrics = &service.metrics;
        if let Some(entry) = &mut self.entry {
            entry.service = Some(service.tariff.name().to_owned());
        }
        if let Some(trace) = &mut self.trace {
            trace.service(head.method.as_str(), service.tariff.name());
        }
    }

    /// What its steps are to hang on, where it is traced.
    pub(crate) fn parent(&self) -> Option<Arc<Parent>> {
        self.trace.as_ref().map(Trace::parent)
    }

    /// It may pass.
    pub(crate) fn passed(&mut self, permit: &Permit) {
        self.outcome = permit.basis().outcome();
        self.set_basis(permit.basis().word());
    }

    /// It asks for something that costs nothing and belongs to us.
    pub(crate) fn free(&mut self) {
        self.outcome = Outcome::Free;
        self.set_basis("free");
    }

    /// It did not get through. The cause is logged when it is not the client's.
    pub(crate) fn ended(&mut self, ended: &Ended) {
        tell(ended);
        self.outcome = ended.outcome();
        let (what, why) = ended.words();
        // An upstream that fails does not change on what the request was let through.
        if !matches!(ended, Ended::Upstream(_)) {
            self.set_basis(what);
        }
        if let Some(entry) = &mut self.entry {
            entry.why = why;
        }
    }

    /// It has its answer. What is left is the log's line, to be written when the body has left.
    pub(crate) fn answered(mut self, status: StatusCode) -> Option<Box<Entry>> {
        self.answered = true;
        self.metrics.ended(self.outcome, self.started.elapsed());
        if let Some(trace) = self.trace.take() {
            trace.end(self.outcome.word(), Some(status));
        }
        if let Some(entry) = &mut self.entry {
            entry.status = Some(status);
        }
        self.entry.take()
    }

    fn set_basis(&mut self, basis: &'static str) {
        if let Some(entry) = &mut self.entry {
            entry.basis = basis;
        }
    }
}

impl Drop for Course<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.metrics.ended(Outcome::Gone, self.started.elapsed());
            if let Some(trace) = self.trace.take() {
                trace.end(Outcome::Gone.word(), None);
            }
        }
    }
}

/// Logs the cause, when it is ours or the upstream's.
fn tell(ended: &Ended) {
    match ended {
        Ended::BadRequest(_)
        | Ended::NoService
        | Ended::Blocked
        | Ended::Preflight
        | Ended::TooLarge(_)
        | Ended::TooOften(_)
        | Ended::Asked(_)
        | Ended::TwoCredentials(_)
        | Ended::Again(_)
        | Ended::Refused(_) => {}
        Ended::Price(error) => tracing::error!(error = chain(error), "no price could be had"),
        Ended::Unchecked(error) => {
            tracing::error!(error = chain(error), "a credential could not be checked");
        }
        Ended::Till(error) => tracing::error!(error = chain(error), "no invoice could be made"),
        Ended::Upstream(error) => tracing::warn!(error = chain(error), "the upstream failed"),
    }
}

/// An error and all its causes, in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    causes.join(": ")
}
