//! The file as it is written: keys, values and their lines, and nothing of what they mean. Each table
//! is taken apart key by key; what is left over is a key nobody knows. (A derived reader would stop
//! at the first mistake; this one goes on and finds the others.)

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistake::{Mistake, Mistakes, Problem};

/// A value and the line it stands on.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// One table of the file, from which keys are taken one by one.
pub(super) struct Keys<'i> {
    /// Where it begins.
    pub(super) line: usize,
    table: DeTable<'i>,
}

/// The text, and what was found wrong with it so far.
pub(super) struct Reader<'i> {
    text: &'i str,
    mistakes: Vec<Mistake>,
}

impl Keys<'_> {
    /// Whether the key is there and not yet taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The key's value, not yet taken, if it is a text.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        self.table.get(key)?.get_ref().as_str()
    }

    /// The line of a key that is not yet taken, or that of the table.
    pub(super) fn line_of(&self, key: &str, reader: &Reader<'_>) -> usize {
        let found = self.table.get_key_value(key);
        found.map_or(self.line, |(name, _)| reader.line(&name.span()))
    }
}

impl<'i> Reader<'i> {
    /// Splits the text into its top-level keys.
    pub(super) fn new(text: &'i str) -> (Self, Keys<'i>) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self { text, mistakes: Vec::new() };
        for error in errors {
            let line = reader.line(&error.span().unwrap_or_default());
            reader.mistake(line, Problem::Syntax(error.message().to_owned()));
        }
        (reader, Keys { line: 1, table: document.into_inner() })
    }

    /// Notes a mistake and goes on.
    pub(super) fn mistake(&mut self, line: usize, problem: Problem) {
        self.mistakes.push(Mistake { line, problem });
    }

    /// Notes a value that cannot be used.
    pub(super) fn bad(&mut self, key: &'static str, at: &At<String>, problem: impl Into<String>) {
        let (value, problem) = (at.value.clone(), problem.into());
        self.mistake(at.line, Problem::Value { key, value, problem });
    }

    /// Takes a key that would do nothing here, and notes that.
    pub(super) fn refuse(&mut self, keys: &mut Keys<'_>, key: &'static str, because: &'static str) {
        if let Some((line, _)) = self.take(keys, key) {
            self.mistake(line, Problem::Idle { key, because });
        }
    }

    /// A text, if the key is there.
    pub(super) fn text(&mut self, keys: &mut Keys<'_>, key: &'static str) -> Option<At<String>> {
        let (line, value) = self.take(keys, key)?;
        self.as_text(key.to_owned(), line, &value)
    }

    /// A yes or no, if the key is there.
    pub(super) fn flag(&mut self, keys: &mut Keys<'_>, key: &'static str) -> Option<bool> {
        let (line, value) = self.take(keys, key)?;
        if value.as_bool().is_none() {
            self.wrong_kind(key.to_owned(), line, &value, "true or false");
        }
        value.as_bool()
    }

    /// A whole number within `range`, if the key is there.
    pub(super) fn number(
        &mut self,
        keys: &mut Keys<'_>,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let (line, value) = self.take(keys, key)?;
        let DeValue::Integer(written) = &value else {
            self.wrong_kind(key.to_owned(), line, &value, "a number without quotes");
            return None;
        };
        let number = u64::from_str_radix(&written.as_str().replace('_', ""), written.radix());
        match number {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let at = At { line, value: written.as_str().to_owned() };
                let (least, most) = (range.start(), range.end());
                self.bad(key, &at, format!("write a whole number from {least} to {most}"));
                None
            }
        }
    }

    /// One text or a list of texts; empty when the key is not there.
    pub(super) fn texts(&mut self, keys: &mut Keys<'_>, key: &'static str) -> Vec<At<String>> {
        match self.take(keys, key) {
            None => Vec::new(),
            Some((_, DeValue::Array(items))) => items
                .iter()
                .enumerate()
                .filter_map(|(index, item)| {
                    let line = self.line(&item.span());
                    self.as_text(format!("{key}[{index}]"), line, item.get_ref())
                })
                .collect(),
            Some((line, value)) => self.as_text(key.to_owned(), line, &value).into_iter().collect(),
        }
    }

    /// A table of texts, `{ name = "value" }`; empty when the key is not there.
    pub(super) fn text_table(
        &mut self,
        keys: &mut Keys<'_>,
        key: &'static str,
    ) -> Vec<(At<String>, At<String>)> {
        let Some((line, value)) = self.take(keys, key) else { return Vec::new() };
        let DeValue::Table(table) = value else {
            self.wrong_kind(key.to_owned(), line, &value, "a table, `{ name = \"value\" }`");
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, value) in &table {
            let at = At { line: self.line(&name.span()), value: name.get_ref().to_string() };
            let full = format!("{key}.{}", at.value);
            if let Some(value) = self.as_text(full, at.line, value.get_ref()) {
                pairs.push((at, value));
            }
        }
        pairs
    }

    /// The table under `[key]`, if it is there.
    pub(super) fn table<'k>(
        &mut self,
        keys: &mut Keys<'k>,
        key: &'static str,
        wanted: &'static str,
    ) -> Option<Keys<'k>> {
        match self.take(keys, key)? {
            (line, DeValue::Table(table)) => Some(Keys { line, table }),
            (line, value) => {
                self.wrong_kind(key.to_owned(), line, &value, wanted);
                None
            }
        }
    }

    /// The tables under `[[key]]`, in order.
    pub(super) fn tables<'k>(
        &mut self,
        keys: &mut Keys<'k>,
        key: &'static str,
        wanted: &'static str,
    ) -> Vec<Keys<'k>> {
        let Some((line, value)) = self.take(keys, key) else { return Vec::new() };
        let DeValue::Array(items) = value else {
            self.wrong_kind(key.to_owned(), line, &value, wanted);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            let line = self.line(&item.span());
            match item.into_inner() {
                DeValue::Table(table) => tables.push(Keys { line, table }),
                other => self.wrong_kind(key.to_owned(), line, &other, "tables"),
            }
        }
        tables
    }

    /// Ends a table: what nobody has taken, nobody knows.
    pub(super) fn end(
        &mut self,
        keys: Keys<'_>,
        place: &'static str,
        known: &'static [&'static str],
    ) {
        for key in keys.table.keys() {
            let line = self.line(&key.span());
            let key = key.get_ref().to_string();
            debug_assert!(!known.contains(&key.as_str()), "a known key was not read: {key}");
            let nearest = nearest(&key, known);
            self.mistake(line, Problem::UnknownKey { key, place, nearest, known });
        }
    }

    /// All mistakes, if there are any.
    pub(super) fn finish(mut self) -> Result<(), Mistakes> {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }

    fn take<'k>(&self, keys: &mut Keys<'k>, key: &str) -> Option<(usize, DeValue<'k>)> {
        let (name, value): (_, Spanned<DeValue<'k>>) = keys.table.remove_entry(key)?;
        Some((self.line(&name.span()), value.into_inner()))
    }

    fn as_text(&mut self, key: String, line: usize, value: &DeValue<'_>) -> Option<At<String>> {
        match value.as_str() {
            Some(text) => Some(At { line, value: text.to_owned() }),
            None => {
                self.wrong_kind(key, line, value, "a text in quotes");
                None
            }
        }
    }

    fn wrong_kind(&mut self, key: String, line: usize, value: &DeValue<'_>, wanted: &'static str) {
        let found = match value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number without quotes",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.mistake(line, Problem::Kind { key, found, wanted });
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }
}

/// The known key that a misspelt one most likely stands for: at most a third of it is different.
fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let flat = key.to_ascii_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (distance(&flat, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut two_before: Vec<usize> = Vec::new();
    let mut before: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = before[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = changed.min(before[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(two_before[j - 2] + 1);
            }
            row.push(least);
        }
        two_before = std::mem::replace(&mut before, row);
    }
    before[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        let known = &["listen", "node", "price", "upstream", "valid_for"];
        for (typed, meant) in [
            ("prise", Some("price")),
            ("valid-for", Some("valid_for")),
            ("Upstream", Some("upstream")),
            ("nodes", Some("node")),
            ("ndoe", Some("node")),
            ("colour", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }
}
