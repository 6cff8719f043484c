//! What is shown of a configuration. Where a secret can stand it is `(secret)`, and whoever sends that
//! back keeps what is there.

use serde_json::{Map, Value as Json};

/// What stands for a secret.
pub(super) const HIDDEN: &str = "(secret)";

/// Keys whose value is a URL with whatever its driver needs, and their scheme is all that is shown.
static DRIVERS: &[&str] = &["node", "store"];
/// Keys whose text must name a secret; somebody may have put the secret itself there.
static NAMED: &[&str] = &["secret", "token", "password", "key"];

/// The value of a key as it may be shown.
pub(crate) fn redacted(key: &str, json: &Json) -> Json {
    match json {
        Json::String(text) => Json::String(redact_text(key, text)),
        Json::Array(items) => items.iter().map(|item| redacted(key, item)).collect(),
        Json::Object(entries) => {
            let show = |(name, value): (&String, &Json)| {
                // What is sent to an upstream is between the gateway and the upstream.
                let shown = match value {
                    Json::String(text) if key == "request_headers" => Json::String(header(text)),
                    value => redacted(name, value),
                };
                (name.clone(), shown)
            };
            Json::Object(entries.iter().map(show).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => json.clone(),
    }
}

/// Puts what is there in the place of what was shown of it.
pub(super) fn restore(new: &mut Map<String, Json>, old: &Map<String, Json>) {
    for (key, value) in new {
        if let Some(old) = old.get(key) {
            restore_value(value, old, redacted(key, old));
        }
    }
}

fn restore_value(new: &mut Json, old: &Json, shown: Json) {
    if *new == shown {
        *new = old.clone();
        return;
    }
    match (new, old, shown) {
        (Json::Object(new), Json::Object(old), Json::Object(mut shown)) => {
            for (name, value) in new {
                if let (Some(old), Some(shown)) = (old.get(name), shown.remove(name)) {
                    restore_value(value, old, shown);
                }
            }
        }
        (Json::Array(new), Json::Array(old), Json::Array(shown)) => {
            // A list may have become longer or shorter, and each text in it is found again.
            for value in new {
                if let Some(at) = shown.iter().position(|shown| shown == value) {
                    *value = old[at].clone();
                } else if let Some((old, shown)) = by_name(value, old, &shown) {
                    restore_value(value, old, shown.clone());
                }
            }
        }
        _ => {}
    }
}

/// The table of a list that has the same name.
fn by_name<'a>(new: &Json, old: &'a [Json], shown: &'a [Json]) -> Option<(&'a Json, &'a Json)> {
    let name = new.get("name")?;
    let at = old.iter().position(|old| old.get("name") == Some(name))?;
    Some((&old[at], &shown[at]))
}

/// Whether something that was hidden is still there.
pub(super) fn is_hidden(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains(HIDDEN),
        Json::Array(items) => items.iter().any(is_hidden),
        Json::Object(entries) => entries.values().any(is_hidden),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

fn redact_text(key: &str, text: &str) -> String {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    // Of a file or of none there is nothing to hide.
    if DRIVERS.contains(&key) && !matches!(scheme, "memory" | "sqlite") {
        return format!("{scheme}:{HIDDEN}");
    }
    let mut parts = key.split('_').map(|part| part.trim_end_matches('s'));
    if parts.any(|part| NAMED.contains(&part)) && !matches!(scheme, "file" | "env") {
        return HIDDEN.to_owned();
    }
    url(text)
}

/// A URL without user, password and query; any other text as it is.
fn url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let path = match path.find(['?', '#']) {
        Some(at) => format!("{}?{HIDDEN}", &path[..at]),
        None => path.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

/// A header's value: shown where its secret is named and not written out.
fn header(text: &str) -> String {
    let names = ["env:", "file:", "file+hex:", "file+base64:"];
    let named =
        names.iter().any(|name| text.starts_with(name) || text.contains(&format!("{{{name}")));
    if named { text.to_owned() } else { HIDDEN.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_a_secret_can_stand_it_is_not_shown() {
        let shown = |key: &str, value: Json| redacted(key, &value);
        for (key, value, seen) in [
            ("store", json!("postgres://u:hunter2@h/db"), json!("postgres:(secret)")),
            ("store", json!("memory:"), json!("memory:")),
            ("store", json!("sqlite:/x.db"), json!("sqlite:/x.db")),
            ("node", json!("lnd://h?macaroon=hunter2"), json!("lnd:(secret)")),
            ("secret", json!("file:/k"), json!("file:/k")),
            ("secret", json!("hunter2"), json!("(secret)")),
            ("old_secrets", json!(["env:K", "hunter2"]), json!(["env:K", "(secret)"])),
            ("rates", json!("https://r/x?key=hunter2"), json!("https://r/x?(secret)")),
            ("pricer", json!("http://u:hunter2@p:1/x"), json!("http://(secret)@p:1/x")),
            ("upstream", json!(["http://h:1/a"]), json!(["http://h:1/a"])),
            ("traces", json!({"token": "hunter2"}), json!({"token": "(secret)"})),
            (
                "request_headers",
                json!({"A": "hunter2", "B": "Bearer {env:T}", "C": "file:/x"}),
                json!({"A": "(secret)", "B": "Bearer {env:T}", "C": "file:/x"}),
            ),
        ] {
            assert_eq!(shown(key, value), seen, "{key}");
        }
        let service = json!({"rule": [{"pricer": "http://a/?k=hunter2", "name": "x"}]});
        assert!(!redacted("service", &service).to_string().contains("hunter2"));
    }

    #[test]
    fn what_is_sent_back_as_it_was_shown_stays_as_it_is() {
        let old = json!({
            "request_headers": {"A": "hunter2", "B": "b"},
            "pricer": "http://u:hunter2@p/x",
            "rule": [{"name": "r", "pricer": "http://a/?k=hunter2"}, {"name": "s"}],
        });
        let old = old.as_object().unwrap();
        let Json::Object(mut new) = redacted("service", &Json::Object(old.clone())) else {
            panic!()
        };
        let mut same = new.clone();
        restore(&mut same, old);
        assert_eq!(same, *old);
        // Beside what is new.
        new["request_headers"]["B"] = json!("new");
        new["rule"][0]["price"] = json!("1 sat");
        new["rule"].as_array_mut().unwrap().rotate_left(1);
        restore(&mut new, old);
        assert_eq!(new["request_headers"], json!({"A": "hunter2", "B": "new"}));
        let rule = json!({"name": "r", "pricer": "http://a/?k=hunter2", "price": "1 sat"});
        assert_eq!(new["rule"], json!([{"name": "s"}, rule]));
        assert!(!is_hidden(&Json::Object(new)));
        let mut moved = json!({"request_headers": {"C": "(secret)"}});
        restore(moved.as_object_mut().unwrap(), old);
        assert!(is_hidden(&moved), "nothing is there to be kept");
    }
}
