//! An inspection as text for people and as JSON for machines.

use super::{Form, Inspection, Part};
use crate::encoding::json::{write_pretty, write_string, write_visible};
use std::fmt::{self, Write};

/// Longest unreadable text shown, in characters: enough to recognise it.
const TEXT_CHARACTERS_MAX: usize = 512;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "NOT VERIFIED. Anyone could have written what follows.")?;
        writeln!(f, "\n{}", self.form.describe())?;
        for segment in &self.segments {
            write!(f, "  {}: {} characters", segment.name, segment.characters)?;
            match segment.octets {
                Some(octets) => writeln!(f, ", {octets} octets")?,
                None => writeln!(f, ", not decodable")?,
            }
        }
        write_part(f, "header", self.header.as_ref())?;
        write_part(f, "claims", self.claims.as_ref())?;
        write_list(f, "dates", &self.dates)?;
        let problems = self.problems.iter().map(|problem| {
            format!(
                "byte {} ({}): {}",
                problem.offset, problem.part, problem.rule
            )
        });
        write_list(f, "where it breaks", &problems.collect::<Vec<_>>())?;
        write_list(f, "worth knowing", &self.warnings)?;
        match &self.refusal {
            Some(refusal) => writeln!(f, "\njotd refuses it whatever the key: {refusal}"),
            None => writeln!(
                f,
                "\nits form is sound; only `jotd verify` says whether it may be trusted"
            ),
        }
    }
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Jws => "JWS",
            Self::Jwe => "JWE",
            Self::Unknown => "unknown",
        }
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Jws => "a signed token (JWS, compact serialization)",
            Self::Jwe => "an encrypted token (JWE, compact serialization)",
            Self::Unknown => "not a token in compact serialization",
        }
    }
}

fn write_part(f: &mut fmt::Formatter<'_>, name: &str, part: Option<&Part>) -> fmt::Result {
    let mut text = String::new();
    match part {
        None => return Ok(()),
        Some(Part::Json(json)) => write_pretty(json, &mut text),
        Some(Part::Text(raw)) => {
            let shown: String = raw.chars().take(TEXT_CHARACTERS_MAX).collect();
            write_visible(&shown, &mut text);
        }
        Some(Part::Octets(octets)) => write!(text, "({octets} octets that are no text)")?,
    }
    writeln!(f, "\n{name} {text}")
}

fn write_list<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    lines: &[T],
) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{title}")?;
    for line in lines {
        writeln!(f, "  {line}")?;
    }
    Ok(())
}

impl Inspection {
    /// The inspection as one line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = format!(
            r#"{{"verified":false,"form":"{}","segments":["#,
            self.form.name()
        );
        separated(&mut json, &self.segments, |json, segment| {
            json.push_str(r#"{"name":"#);
            quote(json, segment.name);
            push(
                json,
                format_args!(r#","characters":{},"octets":"#, segment.characters),
            );
            match segment.octets {
                Some(octets) => push(json, format_args!("{octets}}}")),
                None => json.push_str("null}"),
            }
        });
        for (name, part) in [("header", &self.header), ("claims", &self.claims)] {
            push(
                &mut json,
                format_args!(r#"{}"{name}":"#, if name == "header" { "]," } else { "," }),
            );
            match part {
                Some(Part::Json(object)) => json.push_str(object),
                // What is no JSON object is given as the text it is.
                Some(Part::Text(text)) => quote(&mut json, text),
                Some(Part::Octets(_)) | None => json.push_str("null"),
            }
        }
        json.push_str(r#","dates":["#);
        separated(&mut json, &self.dates, |json, date| {
            push(
                json,
                format_args!(
                    r#"{{"claim":"{}","seconds":{},"time":"{}","in_seconds":{}}}"#,
                    date.claim,
                    date.seconds,
                    date.rfc3339(),
                    date.in_seconds
                ),
            );
        });
        json.push_str(r#"],"problems":["#);
        separated(&mut json, &self.problems, |json, problem| {
            push(
                json,
                format_args!(
                    r#"{{"offset":{},"part":"{}","rule":"#,
                    problem.offset, problem.part
                ),
            );
            quote(json, &problem.rule);
            json.push('}');
        });
        json.push_str(r#"],"warnings":["#);
        separated(&mut json, &self.warnings, |json, warning| {
            quote(json, warning)
        });
        json.push_str(r#"],"refusal":"#);
        match &self.refusal {
            Some(refusal) => quote(&mut json, &refusal.to_string()),
            None => json.push_str("null"),
        }
        json.push('}');
        json
    }
}

fn separated<T>(json: &mut String, items: &[T], mut write: impl FnMut(&mut String, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        write(json, item);
    }
}

fn quote(json: &mut String, text: &str) {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    write_string(text, &mut quoted);
    json.push_str(&String::from_utf8_lossy(&quoted));
}

fn push(json: &mut String, text: fmt::Arguments<'_>) {
    json.write_fmt(text)
        .expect("writing to a String cannot fail");
}
