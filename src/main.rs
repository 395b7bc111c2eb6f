//! The street door: prepare the process, read the command, run it, and say how it went in an exit code.
#![forbid(unsafe_code)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::withhold_panic_messages();
    match cli::parse(std::env::args_os()) {
        Ok(command) => cli::run(command),
        Err(answered) => answered,
    }
}
