//! What concerns the process as a whole: panics, logs, and what may be repeated of the command line.

use jotd::config::{Log, LogFormat, LogLevel};
use jotd::metrics::LOG_LINES_LOST;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Replaces the panic message by the place it came from. A message such as "byte index 3 is not a char
/// boundary of `eyJ…`" would carry token material into a log.
pub(crate) fn withhold_panic_messages() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        if tracing::dispatcher::has_been_set() {
            tracing::error!(%place, thread, "panic; its message is withheld, it may hold token material");
        } else {
            let _ = writeln!(
                std::io::stderr(),
                "jotd: internal fault at {place} in thread {thread}; the message is withheld, \
                 because it may hold token material. Please report the place."
            );
        }
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            // A panic in here would be the end of the process.
            let _ = writeln!(std::io::stderr(), "{backtrace}");
        }
    }));
}

/// Starts logging to stderr, as the configuration says. The level is ours alone: at `trace` the HTTP library
/// would print headers, and with them tokens.
pub(super) fn start_logging(log: Log) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter(log.level)))
        .with_writer(|| Stderr)
        // It would say so on the same standard error, and panic there.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    // A second start can only be a second call in one process, and the first logger serves it as well.
    let _ = match log.format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}

/// Standard error. Whoever reads it may go, or have no room: the daemon goes on, and counts.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let written = std::io::stderr().write_all(line);
        if written.is_err() {
            LOG_LINES_LOST.inc();
        }
        written.map(|()| line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

/// What is logged at a level. Audit lines are always: whoever turns the log down still wants to know who revoked.
fn filter(of_log: LogLevel) -> String {
    let level = match of_log {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let of_others = if of_log == LogLevel::Error {
        "error"
    } else {
        "warn"
    };
    format!("{of_others},jotd={level},jotd::audit=info")
}

/// The text with every argument that looks like a token taken out: argument parsers quote what they do
/// not understand, and a token in a terminal's scrollback or a CI log is a token lost.
pub(super) fn redact(text: String, arguments: &[OsString]) -> String {
    arguments
        .iter()
        .filter_map(|argument| argument.to_str())
        .filter(|argument| looks_like_token(argument))
        .fold(text, |text, token| text.replace(token, "[token]"))
}

fn looks_like_token(argument: &str) -> bool {
    // `eyJ` is base64url for `{"`, with which every JOSE header begins.
    // Two dots outside of a path or a URL, which have a slash that no token has, are a token's too.
    argument.len() >= 16
        && (argument.contains("eyJ")
            || argument.matches('.').count() >= 2 && !argument.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misplaced_token_is_not_repeated() {
        let token = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln";
        let arguments = [OsString::from("jotd"), OsString::from(token)];
        let text = redact(format!("unexpected argument '{token}' found"), &arguments);
        assert_eq!(text, "unexpected argument '[token]' found");
    }

    #[test]
    fn an_ordinary_mistake_is_repeated_so_that_it_can_be_mended() {
        let arguments = [
            OsString::from("--isuer"),
            OsString::from("https://a.b.example"),
        ];
        let text = redact("unexpected argument '--isuer' found".to_owned(), &arguments);
        assert_eq!(text, "unexpected argument '--isuer' found");
    }
}
