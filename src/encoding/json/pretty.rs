//! JSON for human eyes: indented, and safe to print on a terminal.

use super::text::plain_end;

/// Appends a checked JSON text with one member or element a line, two spaces a level.
///
/// Characters that a terminal acts upon instead of showing (C1 controls, DEL, bidirectional overrides) are
/// escaped, because the text may be an attacker's.
pub fn write_pretty(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut depth = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'"' => {
                at = string_end(bytes, at);
                write_visible(text.get(start..at).unwrap_or_default(), out);
            }
            b'{' | b'[' => {
                out.push(char::from(byte));
                let next = skip_whitespace(bytes, at);
                match bytes.get(next) {
                    Some(&close @ (b'}' | b']')) => {
                        out.push(char::from(close));
                        at = next + 1;
                    }
                    _ => {
                        depth += 1;
                        new_line(depth, out);
                    }
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                new_line(depth, out);
                out.push(char::from(byte));
            }
            b',' => {
                out.push(',');
                new_line(depth, out);
            }
            b':' => out.push_str(": "),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            // Numbers and literals are ASCII.
            _ => out.push(char::from(byte)),
        }
    }
}

/// Appends text with characters that a terminal acts upon escaped as JSON would.
pub fn write_visible(text: &str, out: &mut String) {
    use std::fmt::Write;
    for character in text.chars() {
        if is_invisible(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("writing to a String cannot fail");
            }
        } else {
            out.push(character);
        }
    }
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn new_line(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

fn skip_whitespace(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(at) {
        at += 1;
    }
    at
}

fn string_end(bytes: &[u8], mut at: usize) -> usize {
    loop {
        at = plain_end(bytes, at);
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(_) => return at + 1,
            None => return bytes.len(),
        }
    }
}
