//! How far a long run has come, for whoever watches. Drawn only where nobody's data is disturbed by it.

use super::tally::Tally;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

/// A progress bar over the bytes of standard input.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar on stderr; hidden unless stderr is a terminal and the verdicts go elsewhere.
    pub(super) fn over_stdin() -> Self {
        let length = regular_file_bytes(&io::stdin());
        let bar = match length {
            Some(bytes) => ProgressBar::new(bytes).with_style(style(
                "{bar:32} {percent:>3} %  {bytes}/{total_bytes}  {msg}  {eta} to go",
            )),
            None => {
                ProgressBar::new_spinner().with_style(style("{spinner} {bytes}  {msg}  {elapsed}"))
            }
        };
        let visible = io::stderr().is_terminal() && !io::stdout().is_terminal();
        bar.set_draw_target(if visible {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        Self(bar)
    }

    pub(super) fn advance(&self, bytes: u64, tally: &Tally) {
        self.0.inc(bytes);
        if !self.0.is_hidden() {
            self.0.set_message(format!("{} tokens", tally.total()));
        }
    }

    /// Clears the bar and leaves the sum.
    pub(super) fn finish(&self, tally: &Tally) {
        let watched = !self.0.is_hidden();
        self.0.finish_and_clear();
        if watched {
            eprintln!("{tally}");
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates above are well formed")
}

/// The size of a redirected file; a pipe or a terminal has none that could be known.
fn regular_file_bytes(input: &impl AsFd) -> Option<u64> {
    let stat = rustix::fs::fstat(input).ok()?;
    let is_file = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file();
    if is_file {
        u64::try_from(stat.st_size).ok()
    } else {
        None
    }
}
