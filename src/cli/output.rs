//! What goes to stdout: whole, or with a failure that says why not.

use super::exit::Failure;
use serde::Serialize;
use std::io::{self, Write};

/// Writes text to stdout.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to stdout.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::output(&error))
}

/// One JSON object a line.
pub(super) fn print_json(objects: &[impl Serialize]) -> Result<(), Failure> {
    let mut lines = String::new();
    for object in objects {
        let json = serde_json::to_string(object)
            .map_err(|error| Failure::fault(format!("no JSON: {error}")))?;
        lines.push_str(&json);
        lines.push('\n');
    }
    print(&lines)
}

/// Rows under headings, in columns as wide as they must be.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right_aligned: &'static [usize],
}

impl Table {
    /// A table of these columns, of which some hold figures and are aligned to the right.
    pub(super) fn new(headings: &[&str], right_aligned: &'static [usize]) -> Self {
        Self {
            rows: vec![headings.iter().map(ToString::to_string).collect()],
            right_aligned,
        }
    }

    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The table as text.
    pub(super) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                if column > 0 {
                    line.push_str("  ");
                }
                if self.right_aligned.contains(&column) {
                    line.push_str(&format!("{cell:>width$}"));
                } else {
                    line.push_str(&format!("{cell:<width$}"));
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_nothing_trails() {
        let mut table = Table::new(&["alg", "per s", "note"], &[1]);
        table.push(vec!["ES256".into(), "7".into(), "a".into()]);
        table.push(vec!["HS256".into(), "100000".into(), String::new()]);
        assert_eq!(
            table.render(),
            "alg     per s  note\nES256       7  a\nHS256  100000\n"
        );
    }
}
