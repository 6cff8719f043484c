//! The keys of a service that make its tariff: what it costs, what is free, and what its tokens say.

use std::num::NonZeroU64;
use std::time::Duration;

use super::limits::Freebie;
use super::mistake::Problem;
use super::pricing::{self, Quote, Shared};
use super::raw::{At, Keys, Reader};
use super::schemes;
use super::values;
use crate::rule::Rule;
use crate::tariff::{BadCredential, Tariff, TariffError};

/// Every key of `[[service.rule]]`.
pub(crate) static RULE_KEYS: &[&str] = &["name", "path", "method", "price", "pricer"];

/// Whether a service asks for money.
pub(super) struct Auth {
    /// It does.
    pub(super) asks: bool,
    freebie: Option<Freebie>,
}

/// Reads `auth`, and what goes with it.
pub(super) fn auth(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Auth {
    let window = super::duration(reader, keys, "freebie_window");
    let window = window.unwrap_or(Duration::from_secs(24 * 3600));
    let Some(at) = reader.text(keys, "auth") else { return Auth { asks: true, freebie: None } };
    let freebie = match at.value.as_str() {
        "on" => None,
        "off" => return Auth { asks: false, freebie: None },
        other => {
            let number = other.strip_prefix("freebie ").and_then(|number| number.parse().ok());
            if number.is_none() {
                reader.bad("auth", &at, "write `on`, `off`, or for example `freebie 10`");
            }
            number.map(|requests| Freebie { requests, window })
        }
    };
    Auth { asks: true, freebie }
}

/// Applies each key to the tariff; one that does not fit is a mistake and is left out. Without a name
/// there is no tariff, and the other keys are still worth reading.
pub(super) fn read(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    name: Option<&At<String>>,
    auth: &Auth,
    shared: &Shared,
    quotes: &mut Vec<Quote>,
) -> Option<Tariff> {
    let mut tariff = Tariff::off("nameless").expect("letters only");
    let price = pricing::price(reader, keys, shared, quotes);
    if let Some(at) = name {
        tariff = apply(reader, "name", at, tariff, |_| match price {
            // A missing price is a mistake already, and is never nothing.
            Some(price) if auth.asks => Tariff::priced(&at.value, price),
            _ => Tariff::off(&at.value),
        });
    }
    for table in reader.tables(keys, "rule", "one or more `[[service.rule]]` tables") {
        tariff = rule(reader, table, tariff, auth.asks, shared, quotes);
    }
    if let Some(Freebie { requests, window }) = auth.freebie {
        tariff = tariff.freebies(requests, window);
    }
    for at in reader.texts(keys, "free") {
        tariff = apply(reader, "free", &at, tariff, |tariff| tariff.free(&at.value));
    }
    for at in reader.texts(keys, "no_invoice") {
        tariff = apply(reader, "no_invoice", &at, tariff, |tariff| tariff.no_invoice(&at.value));
    }
    tariff = times(reader, keys, tariff);
    tariff = grants(reader, keys, tariff);
    if let Some(at) = reader.text(keys, "memo") {
        tariff = apply(reader, "memo", &at, tariff, |tariff| tariff.memo(&at.value));
    }
    tariff = tariff.schemes(schemes::read(reader, keys));
    if reader.flag(keys, "strict_caveats") == Some(true) {
        tariff = tariff.strict_caveats();
    }
    if reader.flag(keys, "strict_settlement") == Some(true) {
        tariff = tariff.strict_settlement();
    }
    if let Some(at) = reader.text(keys, "bad_credential") {
        match at.value.as_str() {
            "challenge" => {}
            "refuse" => tariff = tariff.bad_credential(BadCredential::Refuse),
            _ => reader.bad("bad_credential", &at, "write `challenge` (402) or `refuse` (401)"),
        }
    }
    name.map(|_| tariff)
}

/// In this order: an invoice's expiry is checked against its token's.
fn times(reader: &mut Reader<'_>, keys: &mut Keys<'_>, mut tariff: Tariff) -> Tariff {
    type Change = fn(Tariff, Duration) -> Result<Tariff, TariffError>;
    let times: [(_, Change); 2] =
        [("valid_for", Tariff::valid_for), ("invoice_expiry", Tariff::invoice_expiry)];
    for (key, change) in times {
        let Some(at) = reader.text(keys, key) else { continue };
        match values::duration(&at.value) {
            Ok(time) => tariff = apply(reader, key, &at, tariff, |tariff| change(tariff, time)),
            Err(why) => reader.bad(key, &at, why),
        }
    }
    tariff
}

/// What tokens say beside their service and their time.
fn grants(reader: &mut Reader<'_>, keys: &mut Keys<'_>, mut tariff: Tariff) -> Tariff {
    for at in reader.texts(keys, "capabilities") {
        let change = |tariff: Tariff| tariff.capability_of_all(&at.value);
        tariff = apply(reader, "capabilities", &at, tariff, change);
    }
    for (name, value) in reader.text_table(keys, "constraints") {
        let change = |tariff: Tariff| tariff.constraint(&name.value, &value.value);
        tariff = apply(reader, "constraints", &name, tariff, change);
    }
    let count = reader.number(keys, "request_count", 1..=u64::MAX);
    match count.and_then(NonZeroU64::new) {
        Some(count) => tariff.request_count(count),
        None => tariff,
    }
}

/// One `[[service.rule]]`.
fn rule(
    reader: &mut Reader<'_>,
    mut keys: Keys<'_>,
    tariff: Tariff,
    auth: bool,
    shared: &Shared,
    quotes: &mut Vec<Quote>,
) -> Tariff {
    let line = keys.line;
    let name = reader.text(&mut keys, "name");
    let (paths, methods) = (reader.texts(&mut keys, "path"), reader.texts(&mut keys, "method"));
    let price = pricing::price(reader, &mut keys, shared, quotes);
    reader.end(keys, "[[service.rule]]", RULE_KEYS);
    let Some(at) = name else {
        let (place, example) = ("the rule".to_owned(), "name = \"images\"");
        reader.mistake(line, Problem::Missing { key: "name", place, example });
        return tariff;
    };
    if !auth {
        reader.bad("name", &at, "the service says `auth = \"off\"`, so it has no rules");
    }
    let mut rule = match Rule::new(&at.value) {
        Ok(rule) => rule,
        Err(why) => {
            reader.bad("name", &at, why.to_string());
            return tariff;
        }
    };
    for (key, texts, change) in
        [("path", &paths, Rule::path as fn(Rule, &str) -> _), ("method", &methods, Rule::method)]
    {
        for at in texts {
            match change(rule.clone(), &at.value) {
                Ok(changed) => rule = changed,
                Err(why) => reader.bad(key, at, why.to_string()),
            }
        }
    }
    if let Some(price) = price {
        rule = rule.costs(price);
    }
    apply(reader, "name", &at, tariff, |tariff| tariff.rule(rule))
}

fn apply(
    reader: &mut Reader<'_>,
    key: &'static str,
    at: &At<String>,
    tariff: Tariff,
    change: impl FnOnce(Tariff) -> Result<Tariff, TariffError>,
) -> Tariff {
    match change(tariff.clone()) {
        Ok(changed) => changed,
        Err(why) => {
            reader.bad(key, at, why.to_string());
            tariff
        }
    }
}
