//! A seller's books for payments that are each good for one request, by the protocol's own crate.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use l402::scheme::{Asked, Charge, ChargeCredential, ChargeKeys, Charged, Field, Offer};
use l402::{Invoice, Msat, PaymentHash, Secret, scheme};

use crate::seller::Heard;

/// What was taken.
pub(crate) struct Charges {
    keys: ChargeKeys,
    taken: Mutex<HashSet<PaymentHash>>,
}

impl Default for Charges {
    fn default() -> Self {
        let keys = ChargeKeys::new(Secret::new(vec![7; 32]), vec![]);
        Self { keys, taken: Mutex::default() }
    }
}

fn offer(field: Field, route: &str) -> Offer<'_> {
    Offer { realm: "seller", service: "weather", route, field }
}

/// Method, path and query.
fn route(heard: &Heard) -> String {
    format!("{} {}", heard.method, heard.target)
}

impl Charges {
    pub(crate) fn ask(&self, heard: &Heard, field: Field, invoice: &Invoice) -> Vec<HeaderValue> {
        let expires = SystemTime::now() + Duration::from_secs(600);
        let charge = self.charge(&route(heard), field, invoice, expires);
        scheme::ask_for(Asked { token: None, charge: Some(&charge) }).collect()
    }

    pub(crate) fn charge(
        &self,
        route: &str,
        field: Field,
        invoice: &Invoice,
        expires: SystemTime,
    ) -> Charge {
        self.keys.charge(&offer(field, route), Msat::ZERO, invoice, expires).unwrap()
    }

    /// Takes a request's payment, if it has one that was not taken before.
    pub(crate) fn take(&self, heard: &Heard, field: Field) -> Option<Charged> {
        let credential = ChargeCredential::read(&heard.headers, field).ok().flatten()?;
        let route = route(heard);
        let charged =
            credential.verify(&self.keys, &offer(field, &route), SystemTime::now()).ok()?;
        self.taken.lock().unwrap().insert(charged.payment_hash()).then_some(charged)
    }
}
