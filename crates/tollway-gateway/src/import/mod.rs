//! Reads the configuration of Aperture and writes ours. What could not be carried over is said, key by
//! key: what has no counterpart here, what means something else here, and what Aperture itself has
//! ignored all the time because it is misspelt.

mod aperture;
mod service;
mod write;

use std::fmt;

use serde_json::{Map, Value};

use crate::config::Config;

/// A configuration that was carried over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Ours, as TOML. Where the notes leave something open it may not be complete.
    pub toml: String,
    /// What to look at, in the order of the file.
    pub notes: Vec<Note>,
}

/// One thing that was not carried over as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Which key, for example `services[0].headers`.
    pub key: String,
    /// What about it.
    pub text: String,
}

/// A file cannot be read as Aperture's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// It is not YAML.
    #[error("it is not YAML: {0}")]
    Yaml(String),
    /// It is YAML, and not keys with values.
    #[error("it has no keys; a configuration of Aperture begins for example with `listenaddr:`")]
    NoKeys,
}

/// Carries a configuration of Aperture over.
///
/// ```
/// let yaml = "listenaddr: localhost:8081\nservices:\n  - {name: a, address: '127.0.0.1:9000', \
///             protocol: http, pathregexp: '^/v1.*$', price: 5}\n";
/// let imported = tollway_gateway::import::aperture(yaml)?;
/// assert!(imported.toml.contains("price = \"5 sat\""));
/// # Ok::<(), tollway_gateway::import::ImportError>(())
/// ```
///
/// # Errors
/// It cannot be read at all. Everything else is a note.
pub fn aperture(yaml: &str) -> Result<Imported, ImportError> {
    let value: Value =
        serde_saphyr::from_str(yaml).map_err(|why| ImportError::Yaml(why.to_string()))?;
    let Value::Object(keys) = value else { return Err(ImportError::NoKeys) };
    let mut notes = Notes::default();
    let toml = aperture::write(Keys::new(String::new(), keys), &mut notes);
    // What Aperture takes and we refuse is found by reading what was written.
    if let Err(mistakes) = Config::read(&toml) {
        for mistake in mistakes.iter() {
            notes.add(format!("(line {} of what was written)", mistake.line), &mistake.problem);
        }
    }
    Ok(Imported { toml, notes: notes.0 })
}

/// The notes so far.
#[derive(Debug, Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn add(&mut self, key: String, text: impl fmt::Display) {
        self.0.push(Note { key, text: text.to_string() });
    }
}

/// One table of the file, from which keys are taken one by one.
#[derive(Debug)]
struct Keys {
    /// Where it is, for example `services[0].`.
    place: String,
    table: Map<String, Value>,
}

impl Keys {
    fn new(place: String, table: Map<String, Value>) -> Self {
        Self { place, table }
    }

    /// The whole name of a key.
    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.place)
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.table.remove(key).filter(|value| !value.is_null())
    }

    /// A text, or a number or a yes as Aperture's YAML reader would take it for one.
    fn text(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(yes) => Some(yes.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    fn flag(&mut self, key: &str) -> bool {
        self.take(key).and_then(|value| value.as_bool()).unwrap_or(false)
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(Value::Array(items)) = self.take(key) else { return Vec::new() };
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }

    fn pairs(&mut self, key: &str) -> Vec<(String, String)> {
        let Some(Value::Object(table)) = self.take(key) else { return Vec::new() };
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        table.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    fn table(&mut self, key: &str) -> Self {
        let table = match self.take(key) {
            Some(Value::Object(table)) => table,
            _ => Map::new(),
        };
        Self { place: format!("{}.", self.name(key)), table }
    }

    fn tables(&mut self, key: &str) -> Vec<Self> {
        let Some(Value::Array(items)) = self.take(key) else { return Vec::new() };
        let name = self.name(key);
        let table = |(index, item)| match item {
            Value::Object(table) => Some(Self::new(format!("{name}[{index}]."), table)),
            _ => None,
        };
        items.into_iter().enumerate().filter_map(table).collect()
    }

    /// Ends a table. What is left has no counterpart here when Aperture knows it, and otherwise
    /// Aperture has not read it either.
    fn end(self, known: &[&str], notes: &mut Notes) {
        for key in self.table.keys() {
            let name = self.name(key);
            if known.contains(&key.as_str()) {
                notes.add(name, "has no counterpart here and was left out");
                continue;
            }
            match misspelt(&name) {
                Some(real) => notes.add(
                    name,
                    format!("Aperture does not know this key and ignores it; it reads `{real}`"),
                ),
                None => notes.add(name, "Aperture does not know this key and ignores it"),
            }
        }
    }
}

/// Keys that Aperture's own examples and its flags have, and its configuration file has not.
fn misspelt(name: &str) -> Option<&'static str> {
    Some(match name {
        "sqlite.dbfile" => "sqlite.databasefilename",
        "postgres.maxconnections" => "postgres.maxopenconnections",
        "postgres.requireSSL" => "postgres.requiressl",
        "admin.corsorigin" => "admin.corsorigins",
        _ => return None,
    })
}
