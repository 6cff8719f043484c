//! What a request took out of the store on its way in, so that it can be given back when nothing came
//! of it.

use std::sync::Arc;
use std::time::SystemTime;

use http::Response;
use http::request::Parts;
use l402::caveat::Counter;

use crate::body::Body;
use crate::books::Books;
use crate::claim::Underway;
use crate::gate::{Basis, Permit};
use crate::upstream::UpstreamError;

/// What one request took.
#[derive(Debug)]
#[must_use]
pub(crate) enum Taken {
    Nothing,
    /// Uses of a counted token, or one of the requests that cost nothing.
    Uses(Vec<Counter>),
    /// A payment that is good for one request.
    Payment(Box<Underway>),
}

impl Taken {
    pub(crate) fn of(permit: &Permit, head: &Parts) -> Self {
        match permit.basis() {
            Basis::Paid(verified) if !verified.counters().is_empty() => {
                Self::Uses(verified.counters().to_vec())
            }
            Basis::Once(charged) => Self::Payment(Box::new(Underway::of(charged, head))),
            Basis::Freebie => Self::Uses(permit.freebie().into_iter().cloned().collect()),
            Basis::Paid(_) | Basis::Free | Basis::Off => Self::Nothing,
        }
    }

    /// What it took is given back when the upstream has not seen the request.
    pub(crate) async fn ended(
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
                    books.give_back(&uses).await;
                }
            }
        }
        forwarded
    }

    /// Somebody else serves the request, and it stays taken: only they know how far it went. An answer
    /// to a payment for one request is marked as one.
    pub(crate) fn answered<B>(self, books: &Arc<Books>, response: &mut Response<B>) {
        if let Self::Payment(payment) = self {
            payment.answered(books, response, SystemTime::now());
        }
    }
}
