//! Whether a request may pass, and if not, what it is asked for: the decision, and what has to be asked
//! of others on the way to it. The proxy and the tower layer both come through here, and there is no
//! other way to a [`Permit`].

use std::net::IpAddr;
use std::time::SystemTime;

use bytes::Bytes;
use http::Response;
use http::header::HeaderValue;
use http::request::Parts;
use l402::TokenId;
use l402::caveat::Counter;
use l402::scheme::ChargeMalformed;

use crate::check::{Unchecked, check};
use crate::claim::{Outcome, claim};
use crate::cors;
use crate::course::Course;
use crate::find::{Found, find};
use crate::gate::{self, Basis, Permit, Shut, Verdict};
use crate::gateway::{Gateway, Service, Snapshot};
use crate::limits::{self, Limits, TooOften, Unpaid};
use crate::metrics::ServiceMetrics;
use crate::pricer::{Prices, Route};
use crate::reading::Readings;
use crate::respond::Ended;
use crate::route::{self, BadRequest};
use crate::rule::Terms;
use crate::store::Take;
use crate::tariff::{BadCredential, Tariff};
use crate::till::{Order, Till};
use crate::traces::Parent;

/// How a request comes in that somebody else serves.
#[derive(Debug)]
pub(crate) enum Entrance<'a> {
    /// To this service.
    Permitted(&'a Service, Permit),
    /// It asked for a document about ourselves.
    Document(Response<Bytes>),
}

/// Finds whose request it is and lets it in, or says why not. `host` is the one that the client asked for.
/// A service of which we are the proxy ourselves is not let in here: that would be money for nothing.
pub(crate) async fn enter<'a>(
    gateway: &Gateway,
    snapshot: &'a Snapshot,
    head: &Parts,
    host: Option<&HeaderValue>,
    client: Option<IpAddr>,
    course: &mut Course<'a>,
) -> Result<Entrance<'a>, Ended> {
    let service = match find(snapshot, head, host, client)? {
        Found::Asker(service) => service,
        Found::Upstream(..) => return Err(Ended::NoService),
        Found::Document(document) => return Ok(Entrance::Document(document)),
    };
    course.service(service, head);
    let parent = course.parent();
    let desk = Desk::of(gateway.till(), service, &snapshot.unpaid, parent.as_deref());
    let permit = desk.admit(head, client, SystemTime::now()).await?;
    Ok(Entrance::Permitted(service, permit))
}

/// Where a service's requests are let in, or asked to pay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desk<'a> {
    till: &'a Till,
    tariff: &'a Tariff,
    prices: &'a Prices,
    limits: &'a Limits,
    /// Of all services together.
    unpaid: &'a Unpaid,
    metrics: &'a ServiceMetrics,
    parent: Option<&'a Parent>,
}

/// One request at the desk.
struct Visitor<'a> {
    head: &'a Parts,
    readings: &'a Readings<'a>,
    address: Option<IpAddr>,
    now: SystemTime,
}

impl<'a> Desk<'a> {
    /// The desk of one service.
    pub(crate) fn of(
        till: &'a Till,
        service: &'a Service,
        unpaid: &'a Unpaid,
        parent: Option<&'a Parent>,
    ) -> Self {
        let Service { tariff, prices, limits, metrics, .. } = service;
        Self { till, tariff, prices, limits, unpaid, metrics, parent }
    }

    /// Lets one request in, which came from `address`, or says why not.
    pub(crate) async fn admit(
        &self,
        head: &Parts,
        address: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Permit, Ended> {
        let readings = Readings::of(head.uri.path());
        let lead = |path: &str| self.tariff.terms(&head.method, path);
        let terms = readings.agree(lead).map_err(BadRequest::from)?;
        let visitor = Visitor { head, readings: &readings, address, now };
        // What has to wait for others is in a box of its own: whoever is paid for, and every connection
        // that lies idle, would carry room for it otherwise.
        match gate::judge(self.tariff, &terms, self.till, head, address, now) {
            Ok(Verdict::Admit(permit)) => {
                self.count(&visitor, &permit).await?;
                Ok(self.noted(permit, now))
            }
            Ok(Verdict::Check(credential)) => {
                // Who comes too often loses no use by it.
                let token = Some(credential.verified().token_id());
                self.limit(&visitor, token).await?;
                let checked = check(self.till, self.tariff, &credential, now, self.parent);
                match Box::pin(checked).await? {
                    Some(checked) => Ok(self.noted(credential.permit(checked), now)),
                    None => Box::pin(self.ask(&visitor, &terms, Shut::Spent)).await,
                }
            }
            Ok(Verdict::Claim(payment)) => {
                self.limit(&visitor, None).await?;
                let claimed = claim(self.till, self.tariff, payment, head, now, self.parent);
                match Box::pin(claimed).await? {
                    Outcome::Pass(permit) => Ok(self.noted(permit, now)),
                    Outcome::Used => Box::pin(self.ask(&visitor, &terms, Shut::Used)).await,
                    Outcome::Again(again) => Err(Ended::Again(Box::new(again))),
                }
            }
            Err(why @ (Shut::Two | Shut::Unreadable(ChargeMalformed::Several))) => {
                Err(Ended::TwoCredentials(why))
            }
            Err(why) => Box::pin(self.ask(&visitor, &terms, why)).await,
        }
    }

    /// Counts a request that may pass, where there are limits.
    async fn count(&self, visitor: &Visitor<'_>, permit: &Permit) -> Result<(), Ended> {
        let token = match permit.basis() {
            Basis::Paid(verified) => Some(verified.token_id()),
            Basis::Once(_) | Basis::Freebie | Basis::Free | Basis::Off => None,
        };
        self.limit(visitor, token).await
    }

    async fn limit(&self, visitor: &Visitor<'_>, token: Option<TokenId>) -> Result<(), Ended> {
        let (path, address, now) = (visitor.readings.decoded(), visitor.address, visitor.now);
        self.limits.take(path, address, token).map_err(|wait| self.too_often(wait))?;
        let counters = self.limits.shared(self.tariff.name(), path, address, token, now);
        if counters.is_empty() {
            return Ok(());
        }
        let together = Box::pin(self.limit_together(&counters, now)).await;
        together.map_err(|wait| self.too_often(wait))
    }

    /// The same where all gateways with the store count together.
    async fn limit_together(&self, counters: &[Counter], now: SystemTime) -> Result<(), TooOften> {
        match self.till.books.take(counters, now).await {
            Ok(Take::Taken) => Ok(()),
            Ok(Take::Spent) => Err(limits::until_next(counters, now)),
            // While the store is down one passes, or may buy, as often as this gateway alone allows.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a limit could not be counted with the other gateways");
                Ok(())
            }
        }
    }

    fn too_often(&self, wait: TooOften) -> Ended {
        self.metrics.too_many_requests();
        Ended::TooOften(wait)
    }

    /// Counts a bill that is about to be written.
    async fn one_more_bill(&self, visitor: &Visitor<'_>) -> Result<(), Ended> {
        let too_many = |wait: TooOften| {
            self.metrics.too_many_bills();
            Ended::TooOften(wait)
        };
        let Visitor { address, now, .. } = *visitor;
        // What is too much for this gateway alone costs the store no question.
        self.unpaid.take(address).map_err(too_many)?;
        let counters = self.unpaid.shared(address, now);
        if counters.is_empty() {
            return Ok(());
        }
        self.limit_together(&counters, now).await.map_err(too_many)
    }

    /// What becomes of a request without a credential that opens this: it may cost nothing all the
    /// same, or it is asked to pay.
    async fn ask(&self, visitor: &Visitor<'_>, terms: &Terms, why: Shut) -> Result<Permit, Ended> {
        let Visitor { head, now, .. } = *visitor;
        let presented = match &why {
            Shut::NoCredential => false,
            Shut::Malformed(_)
            | Shut::Denied(_)
            | Shut::Revoked
            | Shut::Spent
            | Shut::Unreadable(_)
            | Shut::NotCharged(_)
            | Shut::Used
            | Shut::Two => true,
        };
        if presented && self.tariff.bad_credential == BadCredential::Refuse {
            return Err(Ended::Refused(why));
        }
        // Nobody can pay for a browser's question.
        if cors::preflight(head).is_some() {
            return Err(Ended::Preflight);
        }
        if let Some(permit) = self.freebie(visitor).await? {
            if let Err(ended) = self.count(visitor, &permit).await {
                // Who has to wait has not had it.
                if let Some(counter) = permit.freebie() {
                    self.till.books.give_back(std::slice::from_ref(counter)).await;
                }
                return Err(ended);
            }
            return Ok(permit);
        }
        if terms.no_invoice {
            return Err(Ended::Refused(why));
        }
        // Before anything is asked of the pricer or the node.
        self.one_more_bill(visitor).await?;
        let route = Route {
            service: self.tariff.name(),
            rule: self.tariff.rule_name(terms),
            method: head.method.as_str(),
            path: visitor.readings.decoded(),
            host: route::asked_host(head),
        };
        let price = self.prices.find(terms.price, &route).await?;
        if let Some(permit) = gate::quoted(price) {
            self.count(visitor, &permit).await?;
            return Ok(permit);
        }
        let memo = self.tariff.memo.write(self.tariff.name(), head, price);
        let order = Order {
            tariff: self.tariff,
            terms,
            price,
            memo: &memo,
            head,
            now,
            parent: self.parent,
        };
        let bill = self.till.ask(&order, why).await?;
        self.metrics.asked(bill.token.is_some(), bill.charge.is_some());
        Err(Ended::Asked(Box::new(bill)))
    }

    /// One of the requests that cost nothing, if there is one left for this neighbourhood.
    async fn freebie(&self, visitor: &Visitor<'_>) -> Result<Option<Permit>, Ended> {
        let (Some(freebie), Some(address)) = (&self.tariff.freebie, visitor.address) else {
            return Ok(None);
        };
        let counter = limits::freebies(self.tariff.name(), freebie, address, visitor.now);
        let taken = self.till.books.take(std::slice::from_ref(&counter), visitor.now).await;
        let taken = taken.map_err(Unchecked::Store)?;
        Ok(gate::freebie(taken, counter))
    }

    /// Notes that somebody has paid, if that is news.
    fn noted(&self, permit: Permit, now: SystemTime) -> Permit {
        // A token does not say what it cost; its bill does, where that was written down.
        let (hash, price) = match permit.basis() {
            Basis::Paid(verified) => (verified.payment_hash(), None),
            Basis::Once(charged) => (charged.payment_hash(), Some(charged.amount())),
            Basis::Freebie | Basis::Free | Basis::Off => return permit,
        };
        self.till.books.paid(hash, self.tariff.name(), price, now);
        permit
    }
}
