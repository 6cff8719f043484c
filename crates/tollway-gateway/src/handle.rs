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
use crate::client::Sender;
use crate::cors::{self, Cors};
use crate::course::Course;
use crate::find::{Found, find};
use crate::forward::{Way, forward};
use crate::gate::Permit;
use crate::gateway::{Service, Snapshot};
use crate::limits::Unpaid;
use crate::respond::{Ended, Form, respond};
use crate::route::{self, BadRequest};
use crate::serve::Connection;
use crate::taken::Taken;
use crate::till::Till;
use crate::traces::Parent;
use crate::upstream::Upstream;

/// From first byte to last. The snapshot is this request's own: a new configuration concerns the next
/// one.
pub(crate) async fn handle(
    snapshot: Arc<Snapshot>,
    till: &Till,
    connection: &Connection,
    request: Request<Incoming>,
) -> Response<Body> {
    let sender = Sender::of(connection, &snapshot.proxies, request.headers());
    let (head, body) = request.into_parts();
    let traces = snapshot.traces.as_ref();
    let mut course = Course::begin(till, traces, Some(sender.address), sender.trusted, &head, None);
    let form = Form::of(&head);
    let found = route::host_of(&head)
        .map_err(Ended::from)
        .and_then(|host| Ok((find(&snapshot, &head, host.as_ref(), Some(sender.address))?, host)));
    let response = match found {
        Ok((Found::Upstream(service, upstream), host)) => {
            course.service(service, &head);
            let parent = course.parent();
            let parent = parent.as_deref();
            // Every answer says who may read it, a 402 above all.
            let cors = service.passage.cors.as_ref();
            let allowed = cors.map(|cors| (cors, cors.allowed(&head.headers)));
            let unpaid = &snapshot.unpaid;
            let visit = Visit { till, sender, service, upstream, unpaid, host, parent };
            let answered = visit.answer(head, body, &mut course).await;
            let mut response = or_ended(answered, &form, &mut course);
            if let Some((cors, allowed)) = allowed {
                cors.permit(allowed, response.headers_mut());
            }
            response
        }
        Ok((Found::Document(document), _)) => {
            course.free();
            document.map(Body::own)
        }
        // A permit for what we cannot serve would be money for nothing.
        Ok((Found::Asker(_), _)) => {
            body::let_finish(&head, body);
            or_ended(Err(Ended::NoService), &form, &mut course)
        }
        Err(ended) => {
            body::let_finish(&head, body);
            or_ended(Err(ended), &form, &mut course)
        }
    };
    let entry = course.answered(response.status());
    response.map(|body| body.with_entry(entry))
}

fn or_ended(
    answered: Result<Response<Body>, Ended>,
    form: &Form,
    course: &mut Course<'_>,
) -> Response<Body> {
    answered.unwrap_or_else(|ended| {
        course.ended(&ended);
        respond(&ended, form).map(Body::own)
    })
}

/// One request at the service it is for.
struct Visit<'a> {
    till: &'a Till,
    sender: Sender<'a>,
    service: &'a Service,
    upstream: &'a Upstream,
    unpaid: &'a Unpaid,
    /// Whom the client thinks it is talking to.
    host: Option<HeaderValue>,
    /// What the spans of its steps hang on, where it is traced.
    parent: Option<&'a Parent>,
}

impl Visit<'_> {
    async fn answer(
        self,
        head: Parts,
        body: Incoming,
        course: &mut Course<'_>,
    ) -> Result<Response<Body>, Ended> {
        let (uri, permit) = match self.let_in(&head, &body).await {
            Ok(Entrance::Permitted(uri, permit)) => (uri, permit),
            Ok(Entrance::Preflight(method)) => {
                course.free();
                return Ok(Cors::answer(&head, &method));
            }
            Err(ended) => {
                body::let_finish(&head, body);
                return Err(ended);
            }
        };
        course.passed(&permit);
        let taken = Taken::of(&permit, &head);
        let Visit { till, sender, service, upstream, host, parent, .. } = self;
        let way = Way { upstream, passage: &service.passage, parent };
        let forwarded = forward(way, &sender, uri, head, body, host, permit).await;
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
        let desk = Desk::of(self.till, self.service, self.unpaid, self.parent);
        let permit = desk.admit(head, client, now).await?;
        Ok(Entrance::Permitted(uri, permit))
    }
}

/// How a request comes in.
enum Entrance {
    /// To the upstream, at this path if not at its own.
    Permitted(Option<Uri>, Permit),
    /// Only to be told whether a request with this method would be taken.
    Preflight(Method),
}
