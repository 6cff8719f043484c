//! The life of one request, in the order it happens. Read this file first.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::HeaderValue;
use http::request::Parts;
use http::{Method, Request, Response, Uri};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::admit::Desk;
use crate::body::{self, Body};
use crate::books::Books;
use crate::check::Uses;
use crate::claim::Underway;
use crate::client::Sender;
use crate::cors::{self, Cors};
use crate::discovery;
use crate::forward::forward;
use crate::gate::{Basis, Permit};
use crate::gateway::{Service, Snapshot};
use crate::limits::Unpaid;
use crate::log::Entry;
use crate::reading::Readings;
use crate::respond::{Ended, Form, respond};
use crate::route::{self, BadRequest};
use crate::serve::Connection;
use crate::till::Till;
use crate::upstream::UpstreamError;

/// From first byte to last. The snapshot is this request's own: a new configuration concerns the next
/// one.
pub(crate) async fn handle(
    snapshot: Arc<Snapshot>,
    till: &Till,
    connection: &Connection,
    request: Request<Incoming>,
) -> Response<Body> {
    let sender = Sender::of(connection, &snapshot.proxies, request.headers());
    let mut entry = Entry::new(sender.address, request.method(), request.uri());
    let (head, body) = request.into_parts();
    let form = Form::of(&head);
    let response = match find(&snapshot, &head) {
        Ok(Found::Service(host, service)) => {
            entry
                .iter_mut()
                .for_each(|entry| entry.service = Some(service.tariff.name().to_owned()));
            // Every answer says who may read it, a 402 above all.
            let cors = service.passage.cors.as_ref();
            let allowed = cors.map(|cors| (cors, cors.allowed(&head.headers)));
            let unpaid = &snapshot.unpaid;
            let visit = Visit { till, sender, service, unpaid, host };
            let answered = visit.answer(head, body, &mut entry).await;
            let mut response = or_ended(answered, &form, &mut entry);
            if let Some((cors, allowed)) = allowed {
                cors.permit(allowed, response.headers_mut());
            }
            response
        }
        Ok(Found::Manifest(list)) => {
            entry.iter_mut().for_each(|entry| entry.basis = "free");
            list.map(Body::own)
        }
        Err(ended) => {
            body::let_finish(&head, body);
            or_ended(Err(ended), &form, &mut entry)
        }
    };
    if let Some(entry) = &mut entry {
        entry.status = Some(response.status());
    }
    response.map(|body| body.with_entry(entry))
}

fn or_ended(
    answered: Result<Response<Body>, Ended>,
    form: &Form,
    entry: &mut Option<Entry>,
) -> Response<Body> {
    answered.unwrap_or_else(|ended| {
        note(&ended, entry);
        respond(&ended, form).map(Body::own)
    })
}

/// One request at the service it is for.
struct Visit<'a> {
    till: &'a Till,
    sender: Sender<'a>,
    service: &'a Service,
    unpaid: &'a Unpaid,
    /// Whom the client thinks it is talking to.
    host: Option<HeaderValue>,
}

impl Visit<'_> {
    async fn answer(
        self,
        head: Parts,
        body: Incoming,
        entry: &mut Option<Entry>,
    ) -> Result<Response<Body>, Ended> {
        let (uri, permit) = match self.let_in(&head, &body).await {
            Ok(Entrance::Permitted(uri, permit)) => (uri, permit),
            Ok(Entrance::Preflight(method)) => {
                entry.iter_mut().for_each(|entry| entry.basis = "free");
                return Ok(Cors::answer(&head, &method));
            }
            Err(ended) => {
                body::let_finish(&head, body);
                return Err(ended);
            }
        };
        entry.iter_mut().for_each(|entry| entry.basis = permit.basis().word());
        let taken = Taken::of(&permit, &head);
        let Visit { till, sender, service, host, .. } = self;
        let forwarded = forward(service, &sender, uri, head, body, host, permit).await;
        Ok(taken.ended(&till.books, forwarded).await?)
    }

    /// Everything that can be said before anybody is asked to pay, and then whether a credential opens
    /// the service, what it costs if not, and the bill.
    async fn let_in(&self, head: &Parts, body: &Incoming) -> Result<Entrance, Ended> {
        let passage = &self.service.passage;
        if let (Some(method), Some(cors)) = (cors::preflight(head), &passage.cors) {
            let allowed = cors.allowed(&head.headers);
            return allowed.map(|_| Entrance::Preflight(method)).ok_or(Ended::Preflight);
        }
        if let Some(most) = passage.body_limit.filter(|most| body.size_hint().lower() > *most) {
            return Err(Ended::TooLarge(most));
        }
        let uri = passage.rewrite(&head.uri).map_err(BadRequest::from)?;
        let (client, now) = (Some(self.sender.address), SystemTime::now());
        let Service { tariff, prices, limits, .. } = self.service;
        let desk = Desk { till: self.till, tariff, prices, limits, unpaid: self.unpaid };
        let permit = desk.admit(head, client, now).await?;
        Ok(Entrance::Permitted(uri, permit))
    }
}

/// What a request took out of the store on its way in.
enum Taken {
    Nothing,
    Uses(Uses),
    Payment(Box<Underway>),
}

impl Taken {
    fn of(permit: &Permit, head: &Parts) -> Self {
        match permit.basis() {
            Basis::Paid(verified) if !verified.counters().is_empty() => {
                Self::Uses(Uses::of(verified))
            }
            Basis::Once(charged) => Self::Payment(Box::new(Underway::of(charged, head))),
            Basis::Paid(_) | Basis::Freebie | Basis::Free | Basis::Off => Self::Nothing,
        }
    }

    /// What it took is given back when nothing came of it.
    async fn ended(
        self,
        books: &Arc<Books>,
        forwarded: Result<Response<Body>, UpstreamError>,
    ) -> Result<Response<Body>, UpstreamError> {
        match self {
            Self::Nothing => {}
            Self::Payment(payment) => {
                return payment.ended(books, forwarded, SystemTime::now()).await;
            }
            Self::Uses(uses) => {
                if let Err(UpstreamError::Unreachable(_)) = &forwarded {
                    uses.give_back(books).await;
                }
            }
        }
        forwarded
    }
}

/// How a request comes in.
enum Entrance {
    /// To the upstream, at this path if not at its own.
    Permitted(Option<Uri>, Permit),
    /// Only to be told whether a request with this method would be taken.
    Preflight(Method),
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
    if let Some(list) = discovery::respond(snapshot, host.as_ref(), head) {
        return Ok(Found::Manifest(list));
    }
    // A browser's question about a method belongs to the service that has the method.
    let asked = cors::preflight(head);
    let method = asked.as_ref().unwrap_or(&head.method);
    let lead = |path: &str| snapshot.routes.find(host.as_ref(), method, path).map(Place);
    let found = Readings::of(head.uri.path()).agree(lead).map_err(BadRequest::from)?;
    let Place(service) = found.ok_or(Ended::NoService)?;
    Ok(Found::Service(host, service))
}

/// Writes down what became of a request that did not get through, and the cause when it is not the
/// client's.
fn note(ended: &Ended, entry: &mut Option<Entry>) {
    match ended {
        Ended::BadRequest(_)
        | Ended::NoService
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
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect();
    causes.join(": ")
}
