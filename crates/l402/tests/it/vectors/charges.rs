//! Payments that are good for one request: what a seller asks for them, and what a buyer answers.

use std::time::{Duration, SystemTime};

use l402::scheme::{ChargeKeys, Field, Offer};
use l402::{Invoice, Msat, Offers, Secret};
use serde_json::{Value, json};

use super::Case;
use super::http::refusal;
use crate::support::{PREIMAGE, asks, text, unhex};

pub(super) fn charge(file: &Value, case: &Case<'_>) {
    let found = match case.input.get("challenge") {
        Some(line) => answer(text(line)),
        None => ask(file, case.input),
    };
    assert_eq!(found, *case.expected, "{}", case.name);
}

fn ask(file: &Value, input: &Value) -> Value {
    let field = match text(&input["field"]) {
        "Authorization" => Field::Authorization,
        _ => Field::PaymentAuthorization,
    };
    let [realm, service, route] = ["realm", "service", "route"].map(|key| text(&input[key]));
    let offer = Offer { realm, service, route, field };
    let invoice: Invoice = text(&input["invoice"]).parse().expect("an invoice");
    let number = |key: &str| input[key].as_u64().expect("a number");
    let expires = SystemTime::UNIX_EPOCH + Duration::from_secs(number("expires"));
    let price = Msat::from_msat(number("price_msat"));
    let keys = ChargeKeys::new(Secret::new(unhex(text(&file["key"]))), vec![]);
    let charge = keys.charge(&offer, price, &invoice, expires).expect("it can be asked for");
    json!({ "challenge": charge.challenge().to_str().expect("ASCII") })
}

fn answer(line: &str) -> Value {
    let offers = Offers::read(&asks([line]));
    match (&offers.challenges[..], &offers.refused[..]) {
        ([challenge], []) => {
            let value = challenge.authorization(&PREIMAGE);
            json!({ "authorization": value.to_str().expect("ASCII") })
        }
        ([], [("Payment", why)]) => json!({ "refused": refusal(why) }),
        other => panic!("{other:?}"),
    }
}
