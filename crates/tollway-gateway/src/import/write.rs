//! Lines of TOML.

use std::fmt::Write as _;

/// What was written so far.
#[derive(Debug, Default)]
pub(super) struct Toml(String);

impl Toml {
    /// `key = "value"`.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.raw(key, &quoted(value));
    }

    /// `key = ["a", "b"]`, when there are any.
    pub(super) fn texts(&mut self, key: &str, values: &[String]) {
        if !values.is_empty() {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            self.raw(key, &format!("[{}]", values.join(", ")));
        }
    }

    /// `key = { a = "b" }`, when there are any.
    pub(super) fn pairs(&mut self, key: &str, pairs: &[(String, String)]) {
        if !pairs.is_empty() {
            let pair =
                |(name, value): &(String, String)| format!("{} = {}", quoted(name), quoted(value));
            let pairs: Vec<String> = pairs.iter().map(pair).collect();
            self.raw(key, &format!("{{ {} }}", pairs.join(", ")));
        }
    }

    /// `key = value`.
    pub(super) fn raw(&mut self, key: &str, value: &str) {
        writeln!(self.0, "{key} = {value}").expect("a text grows");
    }

    /// `[[name]]`, after an empty line.
    pub(super) fn begin(&mut self, name: &str) {
        writeln!(self.0, "\n[[{name}]]").expect("a text grows");
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
