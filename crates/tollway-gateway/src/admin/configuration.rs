//! The configuration as a whole: what is in force, whether a text would be good, and reading the file
//! again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use toml_edit::{DocumentMut, Item};

use super::Office;
use super::answer::{Refused, Wrong};
use super::day;
use crate::config::Config;
use crate::file::{Reloaded, Standing, from_json, redacted, to_json};

/// What is in force.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Shown {
    /// Where the file is.
    path: String,
    /// How many configurations have been in force since the start, this one included.
    generation: u64,
    /// Since when this one is.
    since: String,
    /// Whether the file says what is in force.
    in_force: bool,
    /// The keys of it that say something else than the process was started with, and take effect at the
    /// next start only.
    at_next_start: Vec<&'static str>,
    /// What is wrong with the file, when that is why it is not in force.
    mistakes: Vec<Wrong>,
    /// What is in force, key by key; what may be secret is `(secret)`.
    config: Value,
    /// The same as TOML.
    toml: String,
}

/// Whether a configuration is good.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Checked {
    /// Whether it has no mistake.
    good: bool,
    /// How many services it has.
    services: usize,
    /// Everything that is wrong with it.
    mistakes: Vec<Wrong>,
}

/// What came of reading the file again.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Again {
    /// Whether it said something else than what was in force.
    changed: bool,
    /// How many configurations have been in force since the start.
    generation: u64,
    /// How many services there are.
    services: usize,
    /// The keys that say something else than the process was started with, and take effect at the next
    /// start only.
    at_next_start: Vec<&'static str>,
}

/// `GET /v1/config`.
pub(super) async fn show(State(office): State<Arc<Office>>) -> Result<Json<Shown>, Refused> {
    let shown = office.blocking(|office| {
        let (standing, text) = (office.file.standing(), office.file.read()?);
        let document: DocumentMut = standing.text.parse().unwrap_or_default();
        let config = redacted("", &to_json(document.as_item()));
        let in_force = text == standing.text;
        let mistakes = match in_force {
            true => Vec::new(),
            false => Config::read(&text).err().as_ref().map(Wrong::all).unwrap_or_default(),
        };
        Ok::<_, Refused>(Shown {
            path: office.file.path().display().to_string(),
            generation: standing.generation,
            since: day::time(standing.since),
            in_force,
            at_next_start: standing.at_next_start,
            mistakes,
            toml: toml(&config),
            config,
        })
    });
    Ok(Json(shown.await?))
}

/// As a file would have it.
fn toml(config: &Value) -> String {
    let mut document = DocumentMut::new();
    for (key, value) in config.as_object().into_iter().flatten() {
        let tables = value.as_array().filter(|items| items.iter().all(Value::is_object));
        let item = match tables {
            Some(tables) if key == "service" => {
                let table = |table: &Value| {
                    let table =
                        from_json(table).map(Item::Value).and_then(|it| it.into_table().ok());
                    table.unwrap_or_default()
                };
                Item::ArrayOfTables(tables.iter().map(table).collect())
            }
            _ => from_json(value).map_or(Item::None, Item::Value),
        };
        document.insert(key, item);
    }
    document.to_string()
}

/// `POST /v1/config/check`, with a TOML text, or with nothing for the file as it is.
pub(super) async fn check(
    State(office): State<Arc<Office>>,
    text: String,
) -> Result<Json<Checked>, Refused> {
    let checked = office.blocking(move |office| {
        let text = if text.is_empty() { office.file.read()? } else { text };
        Ok::<_, Refused>(match Config::read(&text) {
            Ok(config) => {
                Checked { good: true, services: config.services.len(), mistakes: Vec::new() }
            }
            Err(mistakes) => Checked { good: false, services: 0, mistakes: Wrong::all(&mistakes) },
        })
    });
    Ok(Json(checked.await?))
}

/// `POST /v1/reload`.
pub(super) async fn reload(State(office): State<Arc<Office>>) -> Result<Json<Again>, Refused> {
    let again = office.blocking(|office| {
        let reloaded = office.file.reload()?;
        let Standing { generation, at_next_start, .. } = office.file.standing();
        let services = office.gateway.snapshot().services().count();
        let changed = reloaded != Reloaded::Same;
        Ok::<_, Refused>(Again { changed, generation, services, at_next_start })
    });
    Ok(Json(again.await?))
}
