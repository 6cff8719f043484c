//! Redirects, when the caller asks for them: followed as curl's `-L` does, with what a paying client
//! must add. Each hop is a request of its own to an origin of its own, with that origin's tokens.
//! Only the origin that was asked may present a bill, and one call pays one.

use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION,
};
use http::{Method, StatusCode};
use l402::PaymentHash;

use crate::ask::{Bill, Call};
use crate::body::Body;
use crate::client::Shared;
use crate::error::{Error, MoneyMoved, RedirectError};
use crate::fetch::fetch;
use crate::observe::Observer;
use crate::quote::{Quote, collect, quote};
use crate::request::Request;
use crate::response::{Payment, Response};
use crate::wallet::Receipt;

/// What is to be done where payment is asked.
#[derive(Clone, Copy)]
pub(crate) enum Errand {
    /// Pay, so that there is a response.
    Fetch,
    /// Find out what it costs.
    Quote,
    /// Have what that payment has paid for.
    Collect(PaymentHash),
}

/// Sends a request, and follows as many redirects as it allows.
pub(crate) async fn follow(
    shared: &Shared,
    request: &Request,
    observer: &dyn Observer,
    errand: Errand,
) -> Result<Quote, Error> {
    let mut hop = request.clone();
    let mut paid: Option<Payment> = None;
    for (followed, left) in (0..=request.redirects).rev().enumerate() {
        let call = Call::new(shared, &hop, observer, bill(request, &hop, paid.as_ref()));
        let ended = match errand {
            Errand::Fetch => fetch(call).await.map(|response| Quote::Answered(Box::new(response))),
            Errand::Quote => quote(call, None).await,
            Errand::Collect(payment) => collect(call.with_only(payment)).await,
        };
        let response = match ended {
            Ok(Quote::Answered(response)) => response,
            Ok(price @ Quote::Price(_)) => return Ok(price),
            Err(error) => return Err(after(error, &hop, paid)),
        };
        if matches!(response.payment(), Payment::Bought(_) | Payment::Recovered(_)) {
            paid = Some(response.payment().clone());
        }
        if request.redirects == 0 || !is_redirect(response.status()) {
            return Ok(Quote::Answered(Box::new(response.paid_by(paid).after(followed))));
        }
        hop = match next(&hop, &response) {
            Ok(next) if left > 0 => next,
            Ok(_) => return Err(stop(&hop, RedirectError::TooMany(request.redirects), paid)),
            Err(why) => return Err(stop(&hop, why, paid)),
        };
    }
    unreachable!("the last round returns")
}

/// Whether this hop's server may ask for money.
fn bill(request: &Request, hop: &Request, paid: Option<&Payment>) -> Bill {
    if hop.origin != request.origin {
        return Bill::Refuse(RedirectError::OthersBill(hop.origin.clone()));
    }
    match paid {
        Some(_) => Bill::Refuse(RedirectError::SecondBill(hop.origin.clone())),
        None => Bill::Pay,
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// The request that a redirect leads to.
fn next(hop: &Request, response: &Response) -> Result<Request, RedirectError> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let url = location.and_then(|location| hop.url.join(location).ok());
    let url = url.ok_or(RedirectError::BadLocation)?;
    let (method, keeps_body) = match response.status().as_u16() {
        status if hop.keeps_post_on(status) => (hop.method.clone(), true),
        303 if hop.method != Method::HEAD => (Method::GET, false),
        301 | 302 if hop.method == Method::POST => (Method::GET, false),
        _ => (hop.method.clone(), true),
    };
    let mut next = Request::new(method, url).map_err(|_| RedirectError::BadLocation)?;
    if hop.url.scheme() == "https" && next.url.scheme() == "http" {
        return Err(RedirectError::Downgrade(next.origin));
    }
    next.headers = hop.headers.clone();
    next.body = hop.body.clone();
    if !keeps_body {
        next.body = Body::default();
        [CONTENT_TYPE, CONTENT_LENGTH].iter().for_each(|name| drop(next.headers.remove(name)));
    }
    if next.origin != hop.origin && hop.trust_redirects {
        next.headers.remove(HOST);
    } else if next.origin != hop.origin {
        // Meant for the one who redirects, not for whom it names.
        let private = [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, HOST];
        private.iter().for_each(|name| drop(next.headers.remove(name)));
    }
    (next.terms, next.quoted, next.buy_again) = (hop.terms, hop.quoted, hop.buy_again);
    (next.trust_redirects, next.send_rate) = (hop.trust_redirects, hop.send_rate);
    next.keep_post.clone_from(&hop.keep_post);
    Ok(next)
}

impl Request {
    fn keeps_post_on(&self, status: u16) -> bool {
        self.method == Method::POST && self.keep_post.iter().any(|kept| kept.as_u16() == status)
    }
}

fn stop(hop: &Request, why: RedirectError, paid: Option<Payment>) -> Error {
    let receipt = paid.and_then(Payment::into_receipt).map(Box::new);
    Error::Redirect { origin: hop.origin.clone(), why, receipt }
}

/// An error after something was paid must not read as if nothing had been.
fn after(error: Error, hop: &Request, paid: Option<Payment>) -> Error {
    let receipt = paid.and_then(Payment::into_receipt).map(Box::new);
    match (error, receipt) {
        (error, None) => error,
        (Error::Redirect { origin, why, .. }, receipt) => Error::Redirect { origin, why, receipt },
        (Error::Http(source), Some(receipt)) => Error::NoAnswer { receipt, source },
        (error, receipt) if error.money_moved() == MoneyMoved::No => {
            let why = RedirectError::Failed(Box::new(error));
            Error::Redirect { origin: hop.origin.clone(), why, receipt }
        }
        (error, Some(_)) => error,
    }
}

impl Payment {
    fn into_receipt(self) -> Option<Receipt> {
        match self {
            Self::None => None,
            Self::Token(receipt) | Self::Bought(receipt) | Self::Recovered(receipt) => {
                Some(receipt)
            }
        }
    }
}
