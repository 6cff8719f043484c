//! Where permitted requests go: one or more servers, of which the least busy one that is well is asked.
//! A request can only be sent together with its [`Permit`].

mod check;
mod error;
mod health;
mod server;
mod standing;
mod stream;
pub(crate) mod tls;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use http::header::HeaderValue;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;

use crate::config;
use crate::gate::Permit;
use crate::upload::Upload;
use check::Checks;
use health::{Ejection, Health};
use server::Server;

pub(crate) use error::UpstreamError;
pub use error::{CertificatesError, OpenError};
pub(crate) use health::Busy;
pub(crate) use standing::{Condition, Standing};
pub(crate) use stream::Connector;

/// An opened upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// At least one.
    servers: Vec<Arc<Server>>,
    ejection: Ejection,
    /// Where to begin looking, so that equally busy servers take turns.
    turn: AtomicUsize,
    ca: Option<PathBuf>,
    check: Option<config::Check>,
    checks: OnceLock<Checks>,
}

impl Upstream {
    /// Gets ready to connect to each server. What was known of one under the configuration before is
    /// still known, where nothing about it has changed.
    pub(crate) fn open(
        config: &config::Upstream,
        before: Option<&Self>,
    ) -> Result<Self, CertificatesError> {
        let alike = before.filter(|old| old.ca == config.ca && old.check == config.check);
        let mut known: Vec<_> = alike.map(|old| old.servers.iter().collect()).unwrap_or_default();
        let open = |server: &config::Server| {
            let same = known.iter().position(|old| old.is(server));
            let health = same.map(|at| Arc::clone(&known.swap_remove(at).health));
            Server::open(server, config, health.unwrap_or_else(Health::new)).map(Arc::new)
        };
        Ok(Self {
            servers: config.servers.iter().map(open).collect::<Result<_, _>>()?,
            ejection: Ejection { after: config.eject_after, time: config.eject_for },
            turn: AtomicUsize::new(0),
            ca: config.ca.clone(),
            check: config.check.clone(),
            checks: OnceLock::new(),
        })
    }

    /// Begins to ask the servers now and then whether they are well, if that is wanted and not done
    /// already; until this value is dropped. To be called within a runtime.
    pub(crate) fn watch(&self) {
        if let Some(check) = &self.check {
            self.checks.get_or_init(|| Checks::start(check, &self.servers));
        }
    }

    /// Whether connections to it can be turned into something else than HTTP.
    pub(crate) fn can_upgrade(&self) -> bool {
        self.servers.iter().all(|server| !server.h2)
    }

    /// Sends a request and waits for the head of the answer. `host` is who the client thinks it is
    /// talking to; an HTTP/1.1 upstream sees it as `Host`, an HTTP/2 upstream sees its own address.
    /// What comes with the answer is to be kept as long as its body flows.
    ///
    /// A server that cannot be reached has not seen the request, so one without a body is offered to
    /// the next. The permit is used up: no request goes out without one.
    pub(crate) async fn send(
        &self,
        request: Request<Upload>,
        host: Option<HeaderValue>,
        takes_trailers: bool,
        permit: Permit,
    ) -> Result<(Response<Incoming>, Option<Busy>), UpstreamError> {
        if let [server] = &self.servers[..] {
            let sent = server.send(request, host, takes_trailers, &permit).await;
            match &sent {
                Ok(_) => server.health.answered(),
                Err(error) => self.note_alone(server, error),
            }
            return sent.map(|answer| (answer, None));
        }
        Box::pin(self.send_to_one(request, host, takes_trailers, permit)).await
    }

    /// The same with a choice of servers.
    async fn send_to_one(
        &self,
        request: Request<Upload>,
        host: Option<HeaderValue>,
        takes_trailers: bool,
        permit: Permit,
    ) -> Result<(Response<Incoming>, Option<Busy>), UpstreamError> {
        let spare = request.body().is_end_stream().then(|| copy_head(&request));
        let mut next = Some(request);
        let mut tried = vec![false; self.servers.len()];
        loop {
            let index = self.choose(&tried);
            tried[index] = true;
            let request = next.take().expect("put back before each round");
            let server = &self.servers[index];
            let busy = Busy::at(&server.health);
            match server.send(request, host.clone(), takes_trailers, &permit).await {
                Ok(answer) => {
                    server.health.answered();
                    return Ok((answer, Some(busy)));
                }
                Err(error) => {
                    self.note(server, &error);
                    match &spare {
                        Some(spare)
                            if matches!(error, UpstreamError::Unreachable(_))
                                && tried.contains(&false) =>
                        {
                            next = Some(copy_head(spare));
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
    }

    /// The least busy of the servers that are well and not tried, or of all that are not tried.
    fn choose(&self, tried: &[bool]) -> usize {
        let count = self.servers.len();
        let start = self.turn.fetch_add(1, Ordering::Relaxed);
        let untried =
            (0..count).map(|step| (start.wrapping_add(step)) % count).filter(|&i| !tried[i]);
        untried
            .min_by_key(|&index| {
                let health = &self.servers[index].health;
                (!health.is_good(), health.in_flight())
            })
            .expect("a server that is not tried yet")
    }

    fn note(&self, server: &Server, error: &UpstreamError) {
        if error.is_theirs() && server.health.failed(self.ejection) {
            tracing::warn!(server = server.name(), "a server is left alone for a while");
        }
    }

    /// The same of a server that is the only one.
    fn note_alone(&self, server: &Server, error: &UpstreamError) {
        if error.is_theirs() && server.health.failed_alone(self.ejection.after) {
            tracing::warn!(
                server = server.name(),
                "a server does not answer, and there is no other"
            );
        }
    }
}

/// The same request once more, without a body.
fn copy_head(request: &Request<Upload>) -> Request<Upload> {
    let mut copy = Request::new(Upload::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}
