//! Whether a request may pass, and if not, what it is asked for: the decision, and what has to be asked
//! of others on the way to it. The proxy and the tower layer both come through here, and there is no
//! other way to a [`Permit`].

use std::net::IpAddr;
use std::time::SystemTime;

use http::request::Parts;
use l402::scheme::ChargeMalformed;

use crate::check::{Unchecked, check};
use crate::claim::{Outcome, claim};
use crate::cors;
use crate::gate::{self, Basis, Permit, Shut, Verdict};
use crate::limits::{self, Limits, Unpaid};
use crate::pricer::{Prices, Route};
use crate::reading::Readings;
use crate::respond::Ended;
use crate::route::{self, BadRequest};
use crate::rule::Terms;
use crate::tariff::{BadCredential, Tariff};
use crate::till::{Order, Till};

/// Where a service's requests are let in, or asked to pay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Desk<'a> {
    pub(crate) till: &'a Till,
    pub(crate) tariff: &'a Tariff,
    pub(crate) prices: &'a Prices,
    pub(crate) limits: &'a Limits,
    /// Of all services together.
    pub(crate) unpaid: &'a Unpaid,
}

/// One request at the desk.
struct Visitor<'a> {
    head: &'a Parts,
    readings: &'a Readings<'a>,
    address: Option<IpAddr>,
    now: SystemTime,
}

impl Desk<'_> {
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
        match gate::judge(self.tariff, &terms, self.till, head, address, now) {
            Ok(Verdict::Admit(permit)) => {
                self.count(&visitor, &permit)?;
                Ok(self.noted(permit, now))
            }
            Ok(Verdict::Check(credential)) => {
                // Who comes too often loses no use by it.
                let token = Some(credential.verified().token_id());
                self.limits.take(readings.decoded(), address, token).map_err(Ended::TooOften)?;
                match check(self.till, self.tariff, &credential, now).await? {
                    Some(checked) => Ok(self.noted(credential.permit(checked), now)),
                    None => self.ask(&visitor, &terms, Shut::Spent).await,
                }
            }
            Ok(Verdict::Claim(payment)) => {
                self.limits.take(readings.decoded(), address, None).map_err(Ended::TooOften)?;
                match claim(self.till, self.tariff, payment, head, now).await? {
                    Outcome::Pass(permit) => Ok(self.noted(permit, now)),
                    Outcome::Used => self.ask(&visitor, &terms, Shut::Used).await,
                    Outcome::Again(again) => Err(Ended::Again(Box::new(again))),
                }
            }
            Err(why @ (Shut::Two | Shut::Unreadable(ChargeMalformed::Several))) => {
                Err(Ended::TwoCredentials(why))
            }
            Err(why) => self.ask(&visitor, &terms, why).await,
        }
    }

    /// Counts a request that may pass, where there are limits.
    fn count(&self, visitor: &Visitor<'_>, permit: &Permit) -> Result<(), Ended> {
        let token = match permit.basis() {
            Basis::Paid(verified) => Some(verified.token_id()),
            Basis::Once(_) | Basis::Freebie | Basis::Free | Basis::Off => None,
        };
        let path = visitor.readings.decoded();
        self.limits.take(path, visitor.address, token).map_err(Ended::TooOften)
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
            self.count(visitor, &permit)?;
            return Ok(permit);
        }
        if terms.no_invoice {
            return Err(Ended::Refused(why));
        }
        // Before anything is asked of the pricer or the node.
        self.unpaid.take(visitor.address).map_err(Ended::TooOften)?;
        let route = Route {
            service: self.tariff.name(),
            rule: self.tariff.rule_name(terms),
            method: head.method.as_str(),
            path: visitor.readings.decoded(),
            host: route::asked_host(head),
        };
        let price = self.prices.find(terms.price, &route).await?;
        if let Some(permit) = gate::quoted(price) {
            self.count(visitor, &permit)?;
            return Ok(permit);
        }
        let memo = self.tariff.memo.write(self.tariff.name(), head, price);
        let order = Order { tariff: self.tariff, terms, price, memo: &memo, head, now };
        let bill = self.till.ask(&order, why).await?;
        Err(Ended::Asked(Box::new(bill)))
    }

    /// One of the requests that cost nothing, if there is one left for this neighbourhood.
    async fn freebie(&self, visitor: &Visitor<'_>) -> Result<Option<Permit>, Ended> {
        let (Some(freebie), Some(address)) = (&self.tariff.freebie, visitor.address) else {
            return Ok(None);
        };
        let counter = limits::freebies(self.tariff.name(), freebie, address, visitor.now);
        let taken = self.till.books.take(&[counter], visitor.now).await;
        let taken = taken.map_err(Unchecked::Store)?;
        Ok(gate::freebie(taken))
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
