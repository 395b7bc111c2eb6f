//! Faults of a configuration: all of them, each with its place and the way out.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a setting was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// At this byte of the file.
    File(usize),
    /// In this environment variable.
    Variable(String),
    /// Nowhere: it is the default, or it is missing altogether.
    #[default]
    Nowhere,
}

/// Most faults that are told: whoever has made more of them has made one many times.
const FAULTS_MAX: usize = 1_000;

/// Faults as they are found, before lines are counted.
#[derive(Debug, Default)]
pub(super) struct Found(Vec<(Place, String)>);

impl Found {
    pub(super) fn push(&mut self, place: &Place, message: impl Into<String>) {
        self.0.push((place.clone(), message.into()));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Resolves places against the text they point into, in the order a reader meets them.
    pub(super) fn resolve(mut self, file: &Path, text: &str) -> Faults {
        self.0.sort();
        self.0.dedup();
        let mut lines = Lines::new(text);
        let mut faults = Vec::with_capacity(self.0.len().min(FAULTS_MAX));
        let more = self.0.len().saturating_sub(FAULTS_MAX);
        for (place, message) in self.0.into_iter().take(FAULTS_MAX) {
            let (line, column) = match place {
                Place::File(offset) => lines.at(offset),
                Place::Variable(name) => {
                    let origin = Origin::Variable(name);
                    faults.push(Fault { origin, message });
                    continue;
                }
                Place::Nowhere => (1, 1),
            };
            faults.push(Fault {
                origin: Origin::File {
                    path: file.to_owned(),
                    line,
                    column,
                },
                message,
            });
        }
        if more > 0 {
            faults.push(Fault {
                origin: Origin::File {
                    path: file.to_owned(),
                    line: 1,
                    column: 1,
                },
                message: format!("and {more} faults more"),
            });
        }
        Faults(faults)
    }
}

/// Everything that is wrong with a configuration. Prints one line a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub origin: Origin,
    /// What is wrong and the way out. Never holds a secret.
    pub message: String,
}

/// Where a fault stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the file. Lines and columns count from one; columns count characters.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// In this environment variable.
    Variable(String),
}

impl Faults {
    /// A single fault that concerns the file as a whole.
    pub(super) fn whole_file(file: &Path, message: impl Into<String>) -> Self {
        let mut found = Found::default();
        found.push(&Place::Nowhere, message);
        found.resolve(file, "")
    }

    /// The faults, in the order of the file.
    #[must_use]
    pub fn list(&self) -> &[Fault] {
        &self.0
    }
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { path, line, column } => {
                write!(f, "{}:{line}:{column}: {}", path.display(), self.message)
            }
            Origin::Variable(name) => write!(f, "{name}: {}", self.message),
        }
    }
}

/// Counts lines once, for places that come in their order.
struct Lines<'t> {
    text: &'t str,
    /// How far lines have been counted, and how many there were.
    counted: usize,
    line: usize,
    line_start: usize,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            counted: 0,
            line: 1,
            line_start: 0,
        }
    }

    /// Line and column of a place that does not lie before the one asked for last.
    fn at(&mut self, offset: usize) -> (usize, usize) {
        // A fault at the end of the text, or within a character, belongs to the last one that begins before.
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let between = self.text.get(self.counted..offset).unwrap_or_default();
        self.line += between.matches('\n').count();
        if let Some(last) = between.rfind('\n') {
            self.line_start = self.counted + last + 1;
        }
        self.counted = self.counted.max(offset);
        let column = self.text.get(self.line_start..offset).unwrap_or_default();
        (self.line, column.chars().count() + 1)
    }
}

/// A value as a message may show it: short, on one line, quoted.
pub(super) fn shown(value: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    let mut short: String = value.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    format!("\"{}\"", short.escape_debug())
}

/// `; did you mean …?` where one of `known` is close to what was written, else nothing.
pub(super) fn did_you_mean<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    // Anything a person types is short; a long name is not worth a quadratic comparison.
    if written.len() > 64 {
        return String::new();
    }
    let lower = written.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, name)| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let text = "ä = 1\nb = 2\n\nc";
        let mut lines = Lines::new(text);
        assert_eq!(lines.at(0), (1, 1));
        assert_eq!(lines.at(1), (1, 1), "within a character");
        assert_eq!(lines.at("ä".len()), (1, 2));
        assert_eq!(lines.at("ä = 1\nb = 2".len()), (2, 6));
        assert_eq!(
            lines.at("ä = 1\nb = 2".len()),
            (2, 6),
            "the same place again"
        );
        assert_eq!(lines.at(text.len()), (4, 2));
        assert_eq!(lines.at(99), (4, 2));
        assert_eq!(
            Lines::new(text).at(text.len()),
            (4, 2),
            "from the start at once"
        );
        assert_eq!(Lines::new("").at(99), (1, 1));
    }

    #[test]
    fn suggestions_come_only_for_what_is_close() {
        assert_eq!(
            did_you_mean("capcity", ["capacity", "shards"]),
            "; did you mean `capacity`?"
        );
        assert_eq!(
            did_you_mean("es256", ["ES256", "RS256"]),
            "; did you mean `ES256`?"
        );
        assert_eq!(did_you_mean("zzz", ["capacity", "shards"]), "");
    }
}
