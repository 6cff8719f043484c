//! Rows of text in columns, for people. What others have written must be escaped before it comes here.

use std::fmt;

/// Prints `rows` with every column as wide as its widest entry; the columns in `right` are numbers.
pub(crate) fn write<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    rows: &[[String; N]],
    right: &[usize],
) -> fmt::Result {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let mut line = String::new();
        for (column, entry) in row.iter().enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            let width = widths[column];
            line.push_str(&match right.contains(&column) {
                true => format!("{entry:>width$}"),
                false => format!("{entry:<width$}"),
            });
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt;

    #[test]
    fn columns_stand_under_one_another() {
        struct Rows;
        impl fmt::Display for Rows {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let rows = [["id", "1"], ["longer", "22"]].map(|row| row.map(str::to_owned));
                super::write(f, &rows, &[1])
            }
        }
        assert_eq!(Rows.to_string(), "id       1\nlonger  22\n");
    }
}
