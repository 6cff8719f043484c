//! Other proxies ask here whether a request may pass that they serve themselves: nginx, Caddy and
//! Traefik over HTTP (`http.rs`), Envoy over gRPC (`envoy.rs`). The decision is the gateway's own, about
//! the services whose configuration says `upstream = "none"`; docs/forward-auth.md shows each proxy's
//! side of it.
//!
//! Two things differ from a gateway that serves by itself. What a request takes (a use of a counted
//! token, a freebie, a payment for one request) stays taken, because nobody tells us how it ended. And
//! an answer that succeeds means "let it pass", so nothing else here ever succeeds.

mod envoy;
mod http;
mod question;

use std::future::Future;
use std::net::IpAddr;

use ::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use ::http::request::Parts;
use ::http::{Request, Response};
use bytes::Bytes;
use hyper::body::Incoming;
use tokio::net::TcpListener;

use crate::admit::{Entrance, enter};
use crate::claim::Again;
use crate::course::Course;
use crate::gate::{Basis, Permit};
use crate::gateway::{Gateway, Service, Snapshot};
use crate::headers;
use crate::own::{self, Answer};
use crate::respond::{Ended, Form, respond};
use crate::route::{self, BadRequest};
use crate::taken::Taken;

static SERVICE: HeaderName = HeaderName::from_static("x-tollway-service");
static BASIS: HeaderName = HeaderName::from_static("x-tollway-basis");
static TOKEN: HeaderName = HeaderName::from_static("x-tollway-token");

/// What whoever serves a request is told about it; whatever came under these names is not true.
static TOLD: [&HeaderName; 3] = [&SERVICE, &BASIS, &TOKEN];

/// Who asks, and what it can do with our answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    /// It hands whatever we say to the client.
    Nginx,
    /// The same.
    Envoy,
    /// It takes success for leave to pass, and hands everything else to the client.
    Plain,
}

/// What is decided about one request.
#[derive(Debug)]
enum Verdict {
    Pass(Pass),
    /// The client is to have this answer instead.
    Instead(Response<Bytes>),
}

/// Leave to pass, and what goes with it.
#[derive(Debug)]
struct Pass {
    /// For whoever serves the request: who paid for what, and what is left of `Authorization`.
    request: HeaderMap,
    /// For the client: a receipt, where there is one.
    response: HeaderMap,
}

impl Gateway {
    /// Answers other proxies' questions whether a request may pass, until `stop` is ready: over HTTP at
    /// `/auth`, `/auth/nginx` and `/auth/answer`, and as Envoy's `ext_authz` over gRPC. Only those that
    /// the configuration trusts (`trusted_proxies`) are answered.
    pub async fn serve_questions(&self, listener: TcpListener, stop: impl Future<Output = ()>) {
        let gateway = self.clone();
        let answer = move |peer, request| {
            let gateway = gateway.clone();
            async move { answer(&gateway, peer, request).await }
        };
        own::serve(listener, self.patience().header, stop, answer).await;
    }
}

async fn answer(gateway: &Gateway, peer: IpAddr, request: Request<Incoming>) -> Answer {
    if !gateway.snapshot().proxies.trust(peer) {
        tracing::warn!(%peer, "a question came from nobody in `trusted_proxies`");
        return own::whole(http::not_trusted());
    }
    if envoy::is_question(&request) {
        return envoy::answer(gateway, request).await;
    }
    let (head, _) = request.into_parts();
    own::whole(http::answer(gateway, peer, head).await)
}

impl Asker {
    /// By which way a question came, for the log.
    fn word(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Envoy => "envoy",
            Self::Plain => "forward-auth",
        }
    }

    /// In which form the client reads an answer.
    fn form(self, head: &Parts) -> Form {
        match self {
            Self::Nginx => Form::of(head),
            // gRPC's answers succeed as far as HTTP can tell, and Envoy makes them by itself.
            Self::Envoy | Self::Plain => Form::Http,
        }
    }

    /// Whether a client can be given an answer that succeeds without being let through.
    fn can_answer(self) -> bool {
        match self {
            Self::Nginx | Self::Envoy => true,
            Self::Plain => false,
        }
    }
}

/// Decides about the request that somebody asks about.
async fn decide(gateway: &Gateway, client: Option<IpAddr>, head: &Parts, asker: Asker) -> Verdict {
    let (till, snapshot) = (gateway.till(), gateway.snapshot());
    let traces = snapshot.traces.as_ref();
    let mut course = Course::begin(till, traces, client, true, head, Some(asker.word()));
    let verdict = match admit(gateway, &snapshot, head, client, asker, &mut course).await {
        Ok(Entrance::Permitted(service, permit)) => {
            course.passed(&permit);
            let mut marked = Response::new(());
            Taken::of(&permit, head).answered(&till.books, &mut marked);
            let response = std::mem::take(marked.headers_mut());
            Verdict::Pass(Pass { request: told(service, &permit, head), response })
        }
        Ok(Entrance::Document(document)) if asker.can_answer() => {
            course.free();
            Verdict::Instead(document)
        }
        Ok(Entrance::Document(_)) => {
            Verdict::Instead(refuse(Ended::NoService, head, asker, &mut course))
        }
        Err(ended) => Verdict::Instead(refuse(ended, head, asker, &mut course)),
    };
    let status = match &verdict {
        Verdict::Pass(_) => ::http::StatusCode::OK,
        Verdict::Instead(response) => response.status(),
    };
    // Others send the answer; the line is written when they have been told.
    drop(course.answered(status));
    verdict
}

async fn admit<'a>(
    gateway: &Gateway,
    snapshot: &'a Snapshot,
    head: &Parts,
    client: Option<IpAddr>,
    asker: Asker,
    course: &mut Course<'a>,
) -> Result<Entrance<'a>, Ended> {
    // Envoy takes them out for us; others may not.
    if asker != Asker::Envoy && head.headers.keys().any(headers::is_elsewhere) {
        return Err(BadRequest::Elsewhere.into());
    }
    let host = route::host_of(head)?;
    enter(gateway, snapshot, head, host.as_ref(), client, course).await
}

fn refuse(ended: Ended, head: &Parts, asker: Asker, course: &mut Course<'_>) -> Response<Bytes> {
    let ended = match ended {
        // That answer succeeded, and here it would be taken for leave to pass.
        Ended::Again(_) if !asker.can_answer() => Ended::Again(Box::new(Again::NotKept)),
        ended => ended,
    };
    course.ended(&ended);
    respond(&ended, &asker.form(head))
}

/// What whoever serves a request is told about it.
fn told(service: &Service, permit: &Permit, head: &Parts) -> HeaderMap {
    let mut told = HeaderMap::new();
    let text = |text: &str| HeaderValue::from_str(text).expect("letters and digits");
    told.insert(&SERVICE, text(service.tariff.name()));
    told.insert(&BASIS, text(permit.basis().word()));
    if let Basis::Paid(verified) = permit.basis() {
        told.insert(&TOKEN, text(&verified.token_id().to_string()));
    }
    let mut left = head.headers.clone();
    headers::strip_credentials(&mut left);
    for line in left.get_all(AUTHORIZATION) {
        told.append(AUTHORIZATION, line.clone());
    }
    told
}
