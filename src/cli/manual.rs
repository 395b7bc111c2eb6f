//! Man pages, completions and `docs/cli.md`: all made from the same definitions that parse arguments, so
//! that none of them can say anything else.

use super::exit::{Failure, Outcome};
use super::{CommandLine, output};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::fmt::Write;
use std::path::PathBuf;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  jotd completions bash > /etc/bash_completion.d/jotd")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or write all pages into a directory
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:\n  jotd man --out /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Directory for one page a command; existing pages are replaced
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print all of it as Markdown: this is docs/cli.md
    #[arg(long, conflicts_with = "out")]
    markdown: bool,
}

/// Runs `jotd completions`.
pub(super) fn completions(args: &CompletionsArgs) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "jotd", &mut script);
    output::print_bytes(&script)?;
    Ok(Outcome::Done)
}

/// Runs `jotd man`.
pub(super) fn man(args: &ManArgs) -> Result<Outcome, Failure> {
    if args.markdown {
        output::print(&reference())?;
        return Ok(Outcome::Done);
    }
    let mut root = CommandLine::command();
    root.build();
    let Some(directory) = &args.out else {
        output::print_bytes(&page(root)?)?;
        return Ok(Outcome::Done);
    };
    std::fs::create_dir_all(directory).map_err(|error| Failure::file(directory, error))?;
    let mut commands = Vec::new();
    collect(&root, "jotd".to_owned(), &mut commands);
    for (title, command) in commands {
        let path = directory.join(format!("{}.1", title.replace(' ', "-")));
        // Leaked once a page in a process that is about to end: clap wants names that live for ever.
        let name: &'static str = title.replace(' ', "-").leak();
        let page = page(command.name(name))?;
        std::fs::write(&path, page).map_err(|error| Failure::file(&path, error))?;
    }
    Ok(Outcome::Done)
}

fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::output(&error))?;
    Ok(page)
}

/// A command and all below it that are meant to be seen, with their full names.
fn collect(command: &Command, title: String, commands: &mut Vec<(String, Command)>) {
    commands.push((title.clone(), command.clone()));
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        collect(below, format!("{title} {}", below.get_name()), commands);
    }
}

/// The text of `docs/cli.md`.
fn reference() -> String {
    let mut root = CommandLine::command().term_width(96);
    root.build();
    let mut commands = Vec::new();
    collect(&root, "jotd".to_owned(), &mut commands);
    let mut text = String::from(
        "# The command line\n\n\
         <!-- Made from the definitions in src/cli by `UPDATE_GENERATED=1 cargo test --bin jotd`. -->\n\n\
         Data goes to standard output, words for people to standard error. `--json`, where it is offered,\n\
         prints one JSON object a line. Exit codes: 0 done and valid, 1 a token was invalid or a check failed,\n\
         2 usage or configuration error. Nothing here ever prints a token, a signature or a secret that it was\n\
         given.\n",
    );
    for (title, mut command) in commands {
        let help = command.render_long_help().to_string();
        let level = "#".repeat(title.split(' ').count() + 1);
        write!(
            text,
            "\n{level} `{title}`\n\n```text\n{}\n```\n",
            trimmed(&help)
        )
        .expect("writing to a String cannot fail");
    }
    text
}

fn trimmed(help: &str) -> String {
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_contradict_themselves_nowhere() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_reference_is_what_the_definitions_say() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
        let expected = reference();
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&path, &expected).expect("docs can be written");
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == expected,
            "docs/cli.md is out of date: run UPDATE_GENERATED=1 cargo test --bin jotd"
        );
    }

    #[test]
    fn every_command_shows_how_it_is_used() {
        let mut root = CommandLine::command();
        root.build();
        let mut commands = Vec::new();
        collect(&root, "jotd".to_owned(), &mut commands);
        assert!(commands.len() > 5);
        for (title, command) in commands {
            assert!(command.get_about().is_some(), "{title} says what it is for");
            let shown = command.get_after_long_help().or(command.get_after_help());
            let shown = shown.map(ToString::to_string).unwrap_or_default();
            assert!(shown.contains("jotd "), "{title} has an example");
        }
    }
}
