//! Changes to the services of a configuration's text, which leave everything else of it where it is:
//! comments, order, and keys that are the same.

use serde_json::{Map, Value as Json};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table};

use super::json::{self, from_json, to_json};
use super::redact;
use crate::config::service_keys;

/// A change cannot be made to the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// There is no such service.
    #[error("there is no service `{name}`; there are {}", list(known))]
    NoService {
        /// The one that was named.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The list of services names other services than there are.
    #[error("the order must name each service once; there are {}", list(known))]
    Order {
        /// Those that there are.
        known: Vec<String>,
    },
    /// A value that cannot stand in the file.
    #[error("`{key}` is {found}, which cannot stand in the configuration")]
    Value {
        /// Of which key.
        key: String,
        /// What it is.
        found: &'static str,
    },
    /// A value that was shown as hidden, where nothing is that could be kept.
    #[error(
        "`{key}` says `(secret)`, and there is no value to keep; write the value, or where it is: `{{file:/path}}` or `{{env:NAME}}`"
    )]
    Hidden {
        /// Of which key.
        key: String,
    },
    /// The services are written in a way that this cannot change.
    #[error(
        "`service` is written so that only a text editor can change it; write `[[service]]` tables"
    )]
    Unreadable,
}

fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// Each service as JSON, in its order, with all that is written of it.
pub(crate) fn services(document: &DocumentMut) -> Vec<Map<String, Json>> {
    let Some(item) = document.get("service") else { return Vec::new() };
    let Json::Array(services) = to_json(item) else { return Vec::new() };
    services
        .into_iter()
        .filter_map(|service| match service {
            Json::Object(service) => Some(service),
            _ => None,
        })
        .collect()
}

/// Adds a service: before another, or at the end.
pub(crate) fn add(
    document: &mut DocumentMut,
    service: &Map<String, Json>,
    before: Option<&str>,
) -> Result<(), EditError> {
    let tables = tables(document)?;
    let at = match before {
        None => tables.len(),
        Some(name) => find(tables, name)?,
    };
    let mut table = Table::new();
    fill(&mut table, service)?;
    tables.insert(at, table);
    Ok(())
}

/// Puts another service in the place of one. What is the same stays as it is written.
pub(crate) fn replace(
    document: &mut DocumentMut,
    name: &str,
    service: &Map<String, Json>,
) -> Result<(), EditError> {
    let tables = tables(document)?;
    let at = find(tables, name)?;
    let table = tables.get_mut(at).expect("it was found there");
    let mut service = service.clone();
    if let Json::Object(old) = to_json(&Item::Table(table.clone())) {
        redact::restore(&mut service, &old);
    }
    fill(table, &service)
}

/// Removes a service.
pub(crate) fn remove(document: &mut DocumentMut, name: &str) -> Result<(), EditError> {
    let tables = tables(document)?;
    let at = find(tables, name)?;
    tables.remove(at);
    Ok(())
}

/// Puts the services into another order. Each must be named once.
pub(crate) fn order(document: &mut DocumentMut, wanted: &[String]) -> Result<(), EditError> {
    let tables = tables(document)?;
    let known = names(tables);
    let mut left: Vec<Option<Table>> = tables.iter().cloned().map(Some).collect();
    let mut ordered = ArrayOfTables::new();
    for name in wanted {
        let at = (0..known.len()).find(|&at| known[at] == *name && left[at].is_some());
        let table = at.and_then(|at| left[at].take());
        ordered.push(table.ok_or_else(|| EditError::Order { known: known.clone() })?);
    }
    if left.iter().any(Option::is_some) {
        return Err(EditError::Order { known });
    }
    // They are written by their place in the file first, so all of them get the place of the first.
    let place = tables.iter().filter_map(Table::position).min();
    ordered.iter_mut().for_each(|table| put(table, place));
    *tables = ordered;
    Ok(())
}

fn put(table: &mut Table, place: Option<isize>) {
    table.set_position(place);
    for (_, item) in table.iter_mut() {
        match item {
            Item::Table(inner) => put(inner, place),
            Item::ArrayOfTables(inner) => inner.iter_mut().for_each(|inner| put(inner, place)),
            Item::None | Item::Value(_) => {}
        }
    }
}

/// The `[[service]]` tables, made so where they are written in one line.
fn tables(document: &mut DocumentMut) -> Result<&mut ArrayOfTables, EditError> {
    let item = document.entry("service").or_insert(Item::ArrayOfTables(ArrayOfTables::new()));
    if item.is_array() {
        let tables = std::mem::take(item).into_array_of_tables();
        *item = tables.map(Item::ArrayOfTables).map_err(|_| EditError::Unreadable)?;
    }
    item.as_array_of_tables_mut().ok_or(EditError::Unreadable)
}

fn names(tables: &ArrayOfTables) -> Vec<String> {
    let name =
        |table: &Table| table.get("name").and_then(Item::as_str).unwrap_or("(no name)").to_owned();
    tables.iter().map(name).collect()
}

fn find(tables: &ArrayOfTables, name: &str) -> Result<usize, EditError> {
    let known = names(tables);
    let at = known.iter().position(|known| known == name);
    at.ok_or_else(|| EditError::NoService { name: name.to_owned(), known })
}

/// Makes a table say what the JSON says, and touches nothing that it says already.
fn fill(table: &mut Table, wanted: &Map<String, Json>) -> Result<(), EditError> {
    for (key, value) in wanted {
        if redact::is_hidden(value) {
            return Err(EditError::Hidden { key: key.clone() });
        }
    }
    table.retain(|key, _| wanted.contains_key(key));
    // What is new is written in the order in which it is explained.
    let place = |key: &str| service_keys().iter().position(|known| *known == key);
    let mut wanted: Vec<_> = wanted.iter().collect();
    wanted.sort_by_key(|(key, _)| place(key).unwrap_or(usize::MAX));
    for (key, json) in wanted {
        match (table.get_mut(key), json::tables(json)) {
            (Some(there), _) if to_json(there) == *json => {}
            (Some(Item::ArrayOfTables(there)), Some(wanted)) => fill_all(there, &wanted)?,
            (Some(Item::Table(there)), None) if json.is_object() => {
                fill(there, json.as_object().expect("it is one"))?;
            }
            (Some(Item::Value(there)), None) => {
                let mut value = from_json(json).ok_or_else(|| cannot_stand(key, json))?;
                *value.decor_mut() = there.decor().clone();
                *there = value;
            }
            (_, Some(wanted)) => {
                let mut tables = ArrayOfTables::new();
                fill_all(&mut tables, &wanted)?;
                table.insert(key, Item::ArrayOfTables(tables));
            }
            (_, None) => {
                let value = from_json(json).ok_or_else(|| cannot_stand(key, json))?;
                table.insert(key, Item::Value(value));
            }
        }
    }
    Ok(())
}

/// The same for a list of tables; which is which is told by their names, or else by their place.
fn fill_all(tables: &mut ArrayOfTables, wanted: &[&Map<String, Json>]) -> Result<(), EditError> {
    let mut old: Vec<Option<Table>> = tables.iter().cloned().map(Some).collect();
    let mut new = ArrayOfTables::new();
    for (index, wanted) in wanted.iter().enumerate() {
        let name = wanted.get("name").and_then(Json::as_str);
        let same = |table: &Option<Table>| {
            let there = table.as_ref().and_then(|table| table.get("name")).and_then(Item::as_str);
            there.is_some() && there == name
        };
        let at = match name {
            Some(_) => old.iter().position(same),
            None => Some(index),
        };
        let mut table =
            at.and_then(|at| old.get_mut(at)).and_then(Option::take).unwrap_or_default();
        fill(&mut table, wanted)?;
        new.push(table);
    }
    let place = tables.iter().filter_map(Table::position).min();
    if place.is_some() {
        new.iter_mut().for_each(|table| put(table, place));
    }
    *tables = new;
    Ok(())
}

fn cannot_stand(key: &str, json: &Json) -> EditError {
    let found = match json {
        Json::Null => "null",
        Json::Number(_) => "a number beyond all that are known there",
        Json::Bool(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
            "or holds null or a number beyond all that are known there"
        }
    };
    EditError::Value { key: key.to_owned(), found }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    const TEXT: &str = r#"# The whole.
listen = "127.0.0.1:0" # here

# The first.
[[service]]
name = "a" # its name
path = "/a"
upstream = "http://127.0.0.1:1"
price = "10 sat" # cheap
# free = ["/x"]

# A part of it.
[[service.rule]]
name = "big"
path = "/a/big"
price = "20 sat"

[[service.limit]]
rate = "5/1m"

# The second.
[[service]]
name = "b"
path = "/b"
upstream = ["http://127.0.0.1:2", "http://127.0.0.1:3"]
auth = "off"
constraints = { method = "GET" }
"#;

    fn document() -> DocumentMut {
        TEXT.parse().unwrap()
    }

    fn service(document: &DocumentMut, name: &str) -> Map<String, Json> {
        let all = services(document);
        all.into_iter().find(|service| service["name"] == name).unwrap()
    }

    fn order_of(document: &DocumentMut) -> Vec<String> {
        let again: DocumentMut = document.to_string().parse().unwrap();
        services(&again)
            .iter()
            .map(|service| service["name"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_service_that_is_put_back_as_it_is_changes_nothing() {
        let mut document = document();
        for name in ["a", "b"] {
            let same = service(&document, name);
            replace(&mut document, name, &same).unwrap();
        }
        assert_eq!(document.to_string(), TEXT);
    }

    #[test]
    fn what_is_changed_keeps_the_comments_of_what_is_not() {
        let mut document = document();
        let mut a = service(&document, "a");
        a["price"] = json!("11 sat");
        a.insert("valid_for".into(), json!("1d"));
        a["rule"][0]["price"] = json!("22 sat");
        a.remove("limit");
        replace(&mut document, "a", &a).unwrap();
        let changed = document.to_string();
        let expected = TEXT
            .replace("\"10 sat\" # cheap\n", "\"11 sat\" # cheap\nvalid_for = \"1d\"\n")
            .replace("20 sat", "22 sat")
            .replace("\n[[service.limit]]\nrate = \"5/1m\"\n", "");
        assert_eq!(
            changed.replace("# free = [\"/x\"]\n", ""),
            expected.replace("# free = [\"/x\"]\n", "")
        );
        assert!(changed.contains("# free"), "{changed}");
        Config::read(&changed).unwrap();
        assert_eq!(service(&changed.parse().unwrap(), "a"), a);
    }

    #[test]
    fn services_come_go_and_change_places_with_all_that_is_theirs() {
        let mut document = document();
        let c = json!({"name": "c", "path": "/c", "upstream": "http://h", "price": "1 sat",
            "rule": [{"name": "r", "path": "/c/r", "price": "2 sat"}, {"name": "s", "path": "/c/s"}]});
        let c = c.as_object().unwrap();
        add(&mut document, c, Some("b")).unwrap();
        assert_eq!(order_of(&document), ["a", "c", "b"]);
        let mut d = c.clone();
        (d["name"], d["path"]) = (json!("d"), json!("/d"));
        add(&mut document, &d, None).unwrap();
        assert_eq!(order_of(&document), ["a", "c", "b", "d"]);
        let all = services(&document);
        order(&mut document, &["d", "b", "c", "a"].map(str::to_owned)).unwrap();
        assert_eq!(order_of(&document), ["d", "b", "c", "a"]);
        let again: DocumentMut = document.to_string().parse().unwrap();
        for service in all {
            assert!(services(&again).contains(&service), "{service:?} in {document}");
        }
        remove(&mut document, "b").unwrap();
        assert_eq!(order_of(&document), ["d", "c", "a"]);
        Config::read(&document.to_string()).unwrap();
        assert!(document.to_string().starts_with("# The whole.\nlisten"), "{document}");
    }

    #[test]
    fn rules_are_known_by_their_names() {
        let mut document = document();
        let mut a = service(&document, "a");
        let new = json!({"name": "new", "path": "/a/new", "price": "1 sat"});
        a["rule"].as_array_mut().unwrap().insert(0, new);
        replace(&mut document, "a", &a).unwrap();
        let again: DocumentMut = document.to_string().parse().unwrap();
        assert_eq!(service(&again, "a"), a, "{document}");
        assert!(document.to_string().contains("# A part of it.\n[[service.rule]]\nname = \"big\""));
    }

    #[test]
    fn services_in_one_line_can_be_changed_too() {
        let text = "service = [{ name = 'a', upstream = 'http://h', price = '1 sat' }]\n";
        let mut document: DocumentMut = text.parse().unwrap();
        let mut a = service(&document, "a");
        a["price"] = json!("2 sat");
        replace(&mut document, "a", &a).unwrap();
        let config = Config::read(&document.to_string()).unwrap();
        assert_eq!(config.services[0].tariff.price(), Some("2 sat".parse().unwrap()));
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        let mut document = document();
        let known = vec!["a".to_owned(), "b".to_owned()];
        let none = EditError::NoService { name: "x".into(), known: known.clone() };
        assert_eq!(remove(&mut document, "x"), Err(none));
        for wanted in [&["a"][..], &["a", "a"], &["a", "b", "x"], &["a", "b", "b"]] {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let refused = Err(EditError::Order { known: known.clone() });
            assert_eq!(order(&mut document, &wanted), refused);
        }
        let mut a = service(&document, "a");
        for (value, part) in
            [(json!(null), "null"), (json!([null]), "null"), (json!("(secret)"), "(secret)")]
        {
            a.insert("memo".into(), value);
            let refused = replace(&mut document.clone(), "a", &a).unwrap_err().to_string();
            assert!(refused.contains("`memo`") && refused.contains(part), "{refused}");
        }
        assert_eq!(document.to_string(), TEXT);
    }
}
