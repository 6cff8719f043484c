//! Lists for people: columns side by side, with nothing in them that could move a terminal's cursor.

use std::fmt;

use l402::Msat;
use serde_json::Value;

use crate::terminal::{DIM, escape, paint};

/// Lines of cells under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// No lines yet.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// One line, with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| escape(&cell)).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return f.write_str("none");
        }
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            cells.chain([self.head[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &[String]| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head: Vec<String> = self.head.iter().map(|name| (*name).to_owned()).collect();
        let mut lines: Vec<String> = self.rows.iter().map(|row| line(row)).collect();
        // What needs no heading has none.
        if head.iter().any(|name| !name.is_empty()) {
            lines.insert(0, paint(DIM, line(&head)));
        }
        f.write_str(&lines.join("\n"))
    }
}

/// A field of an answer as it is shown: a text as it is, nothing as `-`.
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) => {
            let items: Vec<String> = items.iter().map(|item| text(item, "")).collect();
            items.join(", ")
        }
        Some(other) => other.to_string(),
    }
}

/// A field that is an amount in millisatoshi.
pub(crate) fn amount(value: &Value, pointer: &str) -> String {
    let msat = value.pointer(pointer).and_then(Value::as_u64);
    msat.map_or_else(|| "-".to_owned(), |msat| Msat::from_msat(msat).to_string())
}

/// A field that is true or false.
pub(crate) fn yes(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["a", "name"]);
        assert_eq!(table.to_string(), "none");
        table.row(["long\x1b", "x"].map(str::to_owned));
        table.row(["b", "y"].map(str::to_owned));
        let plain = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(plain, "a           name\nlong\\u{1b}  x\nb           y");
        let mut bare = Table::new(&["", ""]);
        bare.row(["a", "b"].map(str::to_owned));
        assert_eq!(bare.to_string(), "a  b");
    }

    #[test]
    fn a_field_is_shown_as_a_person_would_write_it() {
        let value = json!({"a": null, "b": "x", "c": [1, "y"], "d": true});
        let shown = ["/a", "/b", "/c", "/d", "/e"].map(|field| text(&value, field));
        assert_eq!(shown, ["-", "x", "1, y", "true", "-"]);
    }
}
