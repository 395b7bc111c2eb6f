//! `loadtest` drives jotd from outside: tokens it minted and whose verdicts it knows, over every
//! transport, at a closed or an open loop, with the transport's own ceiling measured in the same run.
//! `docs/loadtest.md` says how to read what it finds.
//!
//! It refuses to measure what it cannot check: every verdict is held against the one the token must get,
//! and a single wrong one makes the exit code 1.
#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "a stopwatch reads time, and decides about no token"
)]

mod answer;
mod corpus;
mod cpu;
mod drive;
mod echo;
mod failure;
mod keys;
mod mill;
mod mint;
mod mix;
mod options;
mod pace;
mod preset;
mod random;
mod record;
mod report;
mod run;
mod server;

use clap::Parser;
use cpu::CpuList;
use failure::Failure;
use keys::Trust;
use options::{Command, Options, Output, Place, Prepare};
use report::{Environment, Outcome};
use run::{Cpus, Stage, Target};
use std::fs;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    match perform(Options::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("loadtest: {failure}");
            ExitCode::from(match failure {
                Failure::Usage(_) => 2,
                Failure::Fault(_) => 1,
            })
        }
    }
}

/// Does what was asked. False when a verdict was wrong.
fn perform(command: Command) -> Result<bool, Failure> {
    match command {
        Command::Run(options) => {
            let outcomes = vec![run_one(&options)?];
            conclude(&outcomes, &options.place, &options.output)
        }
        Command::Smoke(preset) => conclude(&preset::smoke(&preset)?, &preset.place, &preset.output),
        Command::Minute(preset) => {
            conclude(&preset::minute(&preset)?, &preset.place, &preset.output)
        }
        Command::Figures(preset) => {
            conclude(&preset::figures(&preset)?, &preset.place, &preset.output)
        }
        Command::Echo(options) => echo::serve(&options)
            .map(|()| true)
            .map_err(|error| Failure::Fault(format!("the echo: {error}"))),
        Command::Prepare(options) => prepare(&options).map(|()| true),
        Command::Confine(options) => {
            let error = server::confine(&options.cpus, &options.program);
            Err(Failure::Fault(format!("starting a server: {error}")))
        }
    }
}

fn run_one(options: &options::Run) -> Result<Outcome, Failure> {
    options.load.check().map_err(Failure::Usage)?;
    let cpus = Cpus::of(&options.place)?;
    let target = match &options.target {
        None => Target::Spawned,
        Some(endpoint) => Target::Given {
            endpoint: endpoint.clone(),
            process: options.server_pid,
        },
    };
    if let Some(pid) = options.server_pid
        && !cpu::process_exists(pid)
    {
        return Err(Failure::Usage(format!(
            "--server-pid: there is no process {pid}"
        )));
    }
    let stage = Stage::set(&options.load, &[], &cpus, options.keys.as_deref())?;
    let title = format!(
        "{} {}, {}",
        options.load.transport.name(),
        options.load.algs.label(),
        if options.load.rate.is_some() {
            "open loop"
        } else {
            "closed loop"
        }
    );
    let outcome = stage.perform(&title, &options.load, &target, &cpus, &options.place)?;
    eprint!("{}", report::summary(&outcome));
    Ok(outcome)
}

/// Hands out what was found. False when a verdict was wrong.
fn conclude(outcomes: &[Outcome], place: &Place, output: &Output) -> Result<bool, Failure> {
    if output.json {
        let mut stdout = std::io::stdout().lock();
        for outcome in outcomes {
            writeln!(stdout, "{}", report::line(outcome))
                .map_err(|error| Failure::Fault(format!("writing to stdout: {error}")))?;
        }
    }
    if let Some(path) = &output.html {
        let cpus = Cpus::of(place)?;
        let environment = Environment::here(&cpus.server, &cpus.client, run::now_unix());
        fs::write(path, report::page(outcomes, &environment))
            .map_err(|error| Failure::Fault(format!("{}: {error}", path.display())))?;
    }
    Ok(outcomes.iter().all(Outcome::is_right))
}

fn prepare(options: &Prepare) -> Result<(), Failure> {
    let failed =
        |error: std::io::Error| Failure::Usage(format!("{}: {error}", options.directory.display()));
    fs::create_dir_all(&options.directory).map_err(failed)?;
    // The configuration may be read from anywhere, so the paths in it start at the root.
    let directory = fs::canonicalize(&options.directory).map_err(failed)?;
    let trust = Trust::generate(options.algs.algorithms())?;
    let socket = directory.join("jotd.sock");
    let layout = server::Layout {
        socket: &socket,
        http: "127.0.0.1:8484",
        cpus: &CpuList::default(),
    };
    let path = server::write_configuration(&directory, &trust, &layout)?;
    eprintln!(
        "keys and configuration are in {dir}; start the server and drive it:\n  \
         jotd serve --config {}\n  \
         loadtest run --algs {} --keys {dir} --target {}",
        path.display(),
        options.algs,
        socket.display(),
        dir = directory.display(),
    );
    Ok(())
}
