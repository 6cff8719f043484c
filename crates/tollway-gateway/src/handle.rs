//! The life of one request, in the order it happens. Read this file first.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::HeaderValue;
use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::{self, Body};
use crate::forward::forward;
use crate::gate::{self, Permit, Shut};
use crate::gateway::{Service, Snapshot};
use crate::log::Entry;
use crate::manifest;
use crate::reading::Readings;
use crate::respond::{Ended, Form, respond};
use crate::route::{self, BadRequest};
use crate::serve::Connection;
use crate::tariff::{BadCredential, Tariff};
use crate::till::Till;

/// From first byte to last. The snapshot is this request's own: a new configuration concerns the next
/// one.
pub(crate) async fn handle(
    snapshot: Arc<Snapshot>,
    till: &Till,
    connection: &Connection,
    request: Request<Incoming>,
) -> Response<Body> {
    let mut entry = Entry::new(connection.client(), request.method(), request.uri());
    let (head, body) = request.into_parts();
    let form = Form::of(&head);
    let response = match answer(&snapshot, till, connection, head, body, &mut entry).await {
        Ok(response) => response,
        Err(ended) => {
            note(&ended, &mut entry);
            respond(&ended, &form).map(Body::own)
        }
    };
    if let Some(entry) = &mut entry {
        entry.status = Some(response.status());
    }
    response.map(|body| body.with_entry(entry))
}

async fn answer(
    snapshot: &Snapshot,
    till: &Till,
    connection: &Connection,
    head: Parts,
    body: Incoming,
    entry: &mut Option<Entry>,
) -> Result<Response<Body>, Ended> {
    // 1. Which service is this?
    let (host, service) = match find(snapshot, &head) {
        Ok(Found::Service(host, service)) => (host, service),
        Ok(Found::Manifest(list)) => {
            entry.iter_mut().for_each(|entry| entry.basis = "free");
            return Ok(list.map(Body::own));
        }
        Err(ended) => {
            body::let_finish(&head, body);
            return Err(ended);
        }
    };
    entry.iter_mut().for_each(|entry| entry.service = Some(service.tariff.name().to_owned()));

    // 2. Does a credential open it? If not: what does it cost? Ask for it.
    let (client, now) = (Some(connection.client()), SystemTime::now());
    let permit = match admit(till, &service.tariff, &head, client, now).await {
        Ok(permit) => permit,
        Err(ended) => {
            body::let_finish(&head, body);
            return Err(ended);
        }
    };
    entry.iter_mut().for_each(|entry| entry.basis = permit.basis().word());

    // 3. Forward it.
    Ok(forward(&service.upstream, connection, head, body, host, permit).await?)
}

/// Whose request it is.
enum Found<'a> {
    /// One service's. With the host that the client asked for.
    Service(Option<HeaderValue>, &'a Service),
    /// Our own: somebody wants to read the prices.
    Manifest(Response<bytes::Bytes>),
}

/// Where a request leads. Two are the same when they are one.
struct Place<'a>(&'a Arc<Service>);

impl PartialEq for Place<'_> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.0, other.0)
    }
}

fn find<'a>(snapshot: &'a Snapshot, head: &Parts) -> Result<Found<'a>, Ended> {
    let host = route::host_of(head)?;
    if let Some(list) = manifest::respond(&snapshot.routes, host.as_ref(), head) {
        return Ok(Found::Manifest(list));
    }
    let lead = |path: &str| snapshot.routes.find(host.as_ref(), &head.method, path).map(Place);
    let found = Readings::of(head.uri.path()).agree(lead).map_err(BadRequest::from)?;
    let Place(service) = found.ok_or(Ended::NoService)?;
    Ok(Found::Service(host, service))
}

/// Whether a request may pass, and if not, what it is asked for. The proxy and the tower layer both
/// come through here, and there is no other way to a [`Permit`].
pub(crate) async fn admit(
    till: &Till,
    tariff: &Tariff,
    head: &Parts,
    client_ip: Option<IpAddr>,
    now: SystemTime,
) -> Result<Permit, Ended> {
    let lead = |path: &str| tariff.terms(path);
    let terms = Readings::of(head.uri.path()).agree(lead).map_err(BadRequest::from)?;
    let (why, price) = match gate::judge(tariff, terms, &till.keyring, head, client_ip, now) {
        Ok(permit) => return Ok(permit),
        Err(shut) => shut,
    };
    match (&why, tariff.bad_credential) {
        (Shut::Counted, _) => return Err(Ended::Counted(why)),
        (Shut::Malformed(_) | Shut::Denied(_), BadCredential::Refuse) => {
            return Err(Ended::Refused(why));
        }
        (Shut::Malformed(_) | Shut::Denied(_), BadCredential::Challenge)
        | (Shut::NoCredential, _) => {}
    }
    let bill = till.ask(tariff, price, why, now).await?;
    Err(Ended::Asked(Box::new(bill)))
}

/// Writes down what became of a request that did not get through, and the cause when it is not the
/// client's.
fn note(ended: &Ended, entry: &mut Option<Entry>) {
    match ended {
        Ended::BadRequest(_)
        | Ended::NoService
        | Ended::Asked(_)
        | Ended::Refused(_)
        | Ended::Counted(_) => {}
        Ended::Till(error) => tracing::error!(error = chain(error), "no invoice could be made"),
        Ended::Upstream(error) => tracing::warn!(error = chain(error), "the upstream failed"),
    }
    if let Some(entry) = entry {
        let (what, why) = ended.words();
        // An upstream that fails does not change on what the request was let through.
        if !matches!(ended, Ended::Upstream(_)) {
            entry.basis = what;
        }
        entry.why = why;
    }
}

/// An error and all its causes, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    causes.join(": ")
}
