//! A payment that is good for one request is claimed here, before the request goes on, and once only.
//! The same request, sent again with its `Idempotency-Key`, gets the same answer instead.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use l402::PaymentHash;
use l402::scheme::Charged;

use crate::body::Body;
use crate::books::Books;
use crate::check::{self, Unchecked};
use crate::gate::{Claimable, Permit};
use crate::keep::Keep;
use crate::payment;
use crate::store::{Answer, Claim, OneTime};
use crate::tariff::Tariff;
use crate::till::Till;
use crate::traces::Parent;
use crate::upstream::UpstreamError;

/// How much longer than its challenge a claim is kept: clocks of several gateways differ.
const MARGIN: Duration = Duration::from_secs(300);

pub(crate) static RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");

/// Proof that a payment is this request's and no other's. Only [`claim`] makes one.
#[derive(Debug)]
#[must_use]
pub(crate) struct First(());

/// What becomes of a payment that was verified.
///
/// Exhaustive on purpose.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The request may pass.
    Pass(Permit),
    /// It was used for another request.
    Used,
    /// It was used for this one.
    Again(Again),
}

/// The answer to a request that was answered before.
///
/// Exhaustive on purpose.
#[derive(Debug)]
pub(crate) enum Again {
    /// The first one has not been answered yet.
    Running,
    /// It was answered, and the answer was not kept.
    NotKept,
    /// It was answered with this.
    Whole {
        /// Its status.
        status: StatusCode,
        /// Its headers.
        headers: HeaderMap,
        /// Its body.
        body: Bytes,
    },
}

/// Claims a payment for a request.
pub(crate) async fn claim(
    till: &Till,
    tariff: &Tariff,
    claimable: Claimable,
    head: &Parts,
    now: SystemTime,
    parent: Option<&Parent>,
) -> Result<Outcome, Unchecked> {
    let charged = claimable.charged();
    if tariff.strict_settlement {
        check::settled(till, charged.payment_hash(), parent).await?;
    }
    let one_time = OneTime {
        hash: charged.payment_hash(),
        request: payment::repeatable(head),
        until: charged.expires().checked_add(MARGIN).unwrap_or_else(|| charged.expires()),
    };
    Ok(match till.books.claim(&one_time, now).await? {
        Claim::First => Outcome::Pass(claimable.permit(First(()))),
        Claim::Spent => Outcome::Used,
        Claim::Running => Outcome::Again(Again::Running),
        Claim::Answered(Answer::NotKept) => Outcome::Again(Again::NotKept),
        Claim::Answered(Answer::Whole { status, headers, body }) => {
            Outcome::Again(Again::Whole { status, headers, body })
        }
    })
}

/// A claim whose request is on its way.
#[derive(Debug)]
pub(crate) struct Underway {
    charged: Charged,
    repeatable: bool,
}

impl Underway {
    pub(crate) fn of(charged: &Charged, head: &Parts) -> Self {
        let repeatable = payment::repeatable(head).is_some();
        Self { charged: charged.clone(), repeatable }
    }

    /// What came of it: nothing, and the payment is still good; a failure, which used it up; or an
    /// answer, which gets a receipt if it is a good one.
    pub(crate) async fn ended(
        self,
        books: &Arc<Books>,
        forwarded: Result<Response<Body>, UpstreamError>,
        now: SystemTime,
    ) -> Result<Response<Body>, UpstreamError> {
        let hash: PaymentHash = self.charged.payment_hash();
        match forwarded {
            Err(UpstreamError::Unreachable(error)) => {
                books.release(hash).await;
                Err(UpstreamError::Unreachable(error))
            }
            Err(error) => {
                if self.repeatable {
                    books.answer(hash, &Answer::NotKept).await;
                }
                Err(error)
            }
            Ok(mut response) => {
                self.mark(&mut response, now);
                if !self.repeatable {
                    return Ok(response);
                }
                let keep = Keep::begin(books, hash, &response);
                Ok(response.map(|body| body.keeping(keep)))
            }
        }
    }

    /// The same for an answer that cannot be kept, because its body may be anything.
    pub(crate) fn answered<B>(
        self,
        books: &Arc<Books>,
        response: &mut Response<B>,
        now: SystemTime,
    ) {
        self.mark(response, now);
        if self.repeatable {
            // One that is dropped before its end tells that it was not kept.
            drop(Keep::begin(books, self.charged.payment_hash(), response));
        }
    }

    /// An answer that was paid for is nobody else's, and a good one gets a receipt.
    fn mark<B>(&self, response: &mut Response<B>, now: SystemTime) {
        let success = response.status().is_success();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        if success {
            headers.insert(RECEIPT.clone(), self.charged.receipt(now));
        }
    }
}
