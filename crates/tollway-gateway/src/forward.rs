//! The way through: what the upstream gets of a request, and what the client gets of its answer.

use http::header::HeaderValue;
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;

use crate::body::Body;
use crate::client::Sender;
use crate::gate::Permit;
use crate::grpc_web::{Encoding, Translation};
use crate::headers;
use crate::passage::Passage;
use crate::traces::Parent;
use crate::tunnel::Tunnel;
use crate::upload::Upload;
use crate::upstream::{Upstream, UpstreamError};

/// The way to one service's upstream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    pub(crate) upstream: &'a Upstream,
    pub(crate) passage: &'a Passage,
    /// What its span is to hang on, where there is one.
    pub(crate) parent: Option<&'a Parent>,
}

/// Sends a request on, to its own path or another, and returns the answer as soon as its head is
/// there. Both bodies go on moving after that, each at the pace of its slower end.
pub(crate) async fn forward(
    Way { upstream, passage, parent }: Way<'_>,
    sender: &Sender<'_>,
    rewritten: Option<Uri>,
    head: Parts,
    body: Incoming,
    host: Option<HeaderValue>,
    permit: Permit,
) -> Result<Response<Body>, UpstreamError> {
    let mut request = Request::from_parts(head, Upload::new(body, passage.body_limit));
    let tunnel = upstream.can_upgrade().then(|| Tunnel::wanted(&mut request)).flatten();
    // What our own server left there is not for the upstream's connection.
    request.extensions_mut().clear();
    let fields = request.headers_mut();
    let mut takes_trailers = headers::strip_one_hop(fields);
    headers::strip_credentials(fields);
    headers::set_forwarded(fields, &sender.text, &sender.scheme, host.as_ref());
    if let Some(identity) = sender.connection.identity() {
        identity.tell(fields);
    }
    let host = passage.edit(&mut request).or(host);
    if let Some(uri) = rewritten {
        *request.uri_mut() = uri;
    }
    let web = passage.grpc_web.then(|| Translation::of(request.headers())).flatten();
    if let Some(web) = &web {
        // A gRPC server turns away who does not take trailers.
        takes_trailers = true;
        web.ask(request.headers_mut());
        request = match web.sent {
            Encoding::Binary => request,
            Encoding::Text => request.map(Upload::decoded),
        };
    }
    let fields = request.headers_mut();
    if let Some(tunnel) = &tunnel {
        tunnel.ask(fields);
    }

    let step = parent.map(|parent| parent.step("upstream"));
    if let Some(step) = &step {
        step.hand_on(fields);
    }

    let sent = upstream.send(request, host, takes_trailers, permit).await;
    if let Some(step) = step {
        let status = sent.as_ref().map(|(response, _)| response.status()).ok();
        step.answered(sent.is_ok(), status);
    }
    let (mut response, busy) = sent?;

    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    match (switched, tunnel) {
        (false, _) => {
            headers::strip_one_hop(response.headers_mut());
        }
        (true, Some(tunnel)) => tunnel.open(&mut response, sender.connection.stage())?,
        (true, None) => return Err(UpstreamError::Switched),
    }
    headers::strip_challenges(response.headers_mut());
    passage.response.apply(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    let web = web.filter(|web| web.answer(response.headers_mut()));
    let response = response.map(|body| Body::upstream(body, passage.idle_timeout, busy));
    Ok(match web {
        Some(web) => response.map(|body| body.written(web.read)),
        None => response,
    })
}
