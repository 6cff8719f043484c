//! Lists for people: columns as wide as what is in them.

use std::fmt;

use crate::terminal::{DIM, escape, paint};

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    headings: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// Without rows.
    pub(crate) const fn new(headings: [&'static str; N]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    /// One more row. What is hostile in it is escaped here.
    pub(crate) fn row(&mut self, row: [String; N]) {
        self.rows.push(row.map(|cell| escape(&cell)));
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |at: usize| {
            let cells = self.rows.iter().map(|row| row[at].chars().count());
            cells.chain([self.headings[at].chars().count()]).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        let line = |cells: &[&str]| {
            let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        write!(f, "{}", paint(DIM, line(&self.headings)))?;
        for row in &self.rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            write!(f, "\n{}", line(&cells))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(["A", "BB"]);
        table.row(["long".to_owned(), "x\x1b".to_owned()]);
        let plain = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(plain, "A     BB\nlong  x\\u{1b}");
    }
}
