//! Whose request it is: a service's, or our own.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http::header::HeaderValue;
use http::request::Parts;

use crate::cors;
use crate::discovery;
use crate::gateway::{Service, Snapshot};
use crate::reading::Readings;
use crate::respond::Ended;
use crate::route::BadRequest;
use crate::upstream::Upstream;

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// A service's, and of its upstream.
    Upstream(&'a Service, &'a Upstream),
    /// A service's that somebody else serves: another proxy, or the program that this runs in.
    Asker(&'a Service),
    /// Our own: somebody wants to read the prices.
    Document(Response<Bytes>),
}

/// Where a request leads. Two are the same when they are one.
struct Place<'a>(&'a Arc<Service>);

impl PartialEq for Place<'_> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.0, other.0)
    }
}

/// Finds whose request it is. `host` is the one that the client asked for, and `client` its address, as far
/// as that is known.
pub(crate) fn find<'a>(
    snapshot: &'a Snapshot,
    head: &Parts,
    host: Option<&HeaderValue>,
    client: Option<IpAddr>,
) -> Result<Found<'a>, Ended> {
    let is_blocked = |client| snapshot.blocked.iter().any(|network| network.contains(&client));
    if client.is_some_and(is_blocked) {
        return Err(Ended::Blocked);
    }
    if let Some(document) = discovery::respond(snapshot, host, head) {
        return Ok(Found::Document(document));
    }
    // A browser's question about a method belongs to the service that has the method.
    let asked = cors::preflight(head);
    let method = asked.as_ref().unwrap_or(&head.method);
    let lead = |path: &str| snapshot.routes.find(host, method, path).map(Place);
    let found = Readings::of(head.uri.path()).agree(lead).map_err(BadRequest::from)?;
    let Place(service) = found.ok_or(Ended::NoService)?;
    Ok(match &service.upstream {
        Some(upstream) => Found::Upstream(service, upstream),
        None => Found::Asker(service),
    })
}
