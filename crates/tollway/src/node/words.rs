//! A seed's words for people: numbered, four in a row.

use std::fmt;

/// Prints the words, with a line break at the end.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, words: &[impl AsRef<str>]) -> fmt::Result {
    for (row, words) in words.chunks(4).enumerate() {
        for (column, word) in words.iter().enumerate() {
            write!(f, "{:>4}. {:<10}", row * 4 + column + 1, word.as_ref())?;
        }
        writeln!(f)?;
    }
    Ok(())
}
