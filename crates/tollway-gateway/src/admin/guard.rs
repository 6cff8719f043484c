//! Who is let in: whoever shows a credential of ours that may do what the route needs.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use l402::admin::{self, AdminDenied};
use l402::caveat::{CaveatError, Facts};
use l402::{Macaroon, Token};

use super::Office;
use super::answer::Refused;
use super::credential::Capability;

/// The far end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// Somebody at an address.
    At(IpAddr),
    /// A process on this machine, on a socket.
    Here(Peer),
}

/// Whose process is at the other end of a socket; the kernel says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    /// The user, when the kernel would say.
    pub(super) uid: Option<u32>,
    /// The user that we act as.
    pub(super) own: u32,
}

/// Lets a request through that may do what its route needs.
pub(super) async fn admit(
    State((office, needed)): State<(Arc<Office>, Option<Capability>)>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match judge(&office, needed, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => {
            // Never the credential itself, nor what it says.
            tracing::warn!(path = request.uri().path(), "an administrator's request is refused");
            refused.into_response()
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn judge(office: &Office, needed: Option<Capability>, request: &Request) -> Result<(), Refused> {
    let caller = match request.extensions().get::<Caller>() {
        Some(Caller::At(address)) => Some(*address),
        Some(Caller::Here(Peer { uid, own })) if *uid == Some(*own) => None,
        Some(Caller::Here(Peer { own, .. })) => return Err(Refused::Stranger { own: *own }),
        None => None,
    };
    let Some(needed) = needed else { return Ok(()) };
    let macaroon = credential(request)?;
    let facts = Facts {
        service: admin::SERVICE,
        capability: Some(needed.name()),
        method: request.method().as_str(),
        path: request.uri().path(),
        client_ip: caller,
        now: SystemTime::now(),
    };
    let verified = office.keys.verify(&macaroon, &facts).map_err(|denied| match denied {
        AdminDenied::Caveat(CaveatError::DoesNotHold(condition))
            if condition == "admin_capabilities" =>
        {
            Refused::MayNot(needed.name())
        }
        denied => denied.into(),
    })?;
    match office.gateway.till().books.is_revoked(verified) {
        true => Err(Refused::Revoked),
        false => Ok(()),
    }
}

/// The one credential that a request came with.
fn credential(request: &Request) -> Result<Macaroon, Refused> {
    let mut lines = request.headers().get_all(AUTHORIZATION).iter();
    let line = lines.next().ok_or(Refused::NoCredential)?;
    if lines.next().is_some() {
        return Err(Refused::Unreadable);
    }
    let text = line.to_str().map_err(|_| Refused::Unreadable)?;
    let (scheme, token) = text.split_once(' ').ok_or(Refused::Unreadable)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refused::Unreadable);
    }
    let token = Token::new(token.trim()).map_err(|_| Refused::Unreadable)?;
    match token.macaroons().as_deref() {
        Some([macaroon]) => Ok(macaroon.clone()),
        _ => Err(Refused::Unreadable),
    }
}
