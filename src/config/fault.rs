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
        let faults = self
            .0
            .into_iter()
            .map(|(place, message)| Fault {
                origin: match place {
                    Place::File(offset) => {
                        let (line, column) = line_and_column(text, offset);
                        Origin::File {
                            path: file.to_owned(),
                            line,
                            column,
                        }
                    }
                    Place::Variable(name) => Origin::Variable(name),
                    Place::Nowhere => Origin::File {
                        path: file.to_owned(),
                        line: 1,
                        column: 1,
                    },
                },
                message,
            })
            .collect();
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

fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    // A fault at the end of the text, or within a character, belongs to the last one that begins before.
    let offset = text.floor_char_boundary(offset.min(text.len()));
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |start| start.chars().count())
        + 1;
    (line, column)
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
        let text = "ä = 1\nb = 2";
        assert_eq!(line_and_column(text, 0), (1, 1));
        assert_eq!(line_and_column(text, "ä".len()), (1, 2));
        assert_eq!(line_and_column(text, 1), (1, 1), "within a character");
        assert_eq!(line_and_column(text, text.len()), (2, 6));
        assert_eq!(line_and_column("", 99), (1, 1));
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
