//! Each file in `tests/config/` is a configuration with faults, and the `.expected` beside it is all that
//! `jotd check-config` says of it. Lines that begin with `# env:` set variables. `UPDATE_GENERATED=1`
//! rewrites the expectations; read the difference before you commit it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Checks V-11, V-13, V-43.
#[test]
fn every_fault_is_named_with_its_place_and_the_way_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 12, "the cases are there");
    let cpus = format!("{:?}", jotd::os::allowed_cpus());
    let mut wrong = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        let environment = text
            .lines()
            .filter_map(|line| line.strip_prefix("# env: ")?.split_once('='))
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        // The path in messages is as given, so that expectations do not depend on where this runs.
        let name = file.file_name().expect("a file has a name");
        let said = match jotd::config::parse(&text, Path::new(name), environment) {
            Ok(_) => "no faults\n".to_owned(),
            // Which CPUs there are is the machine's business.
            Err(faults) => format!("{faults}\n").replace(&cpus, "[…]"),
        };
        let expectation = file.with_extension("expected");
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(&expectation, &said).expect("writable");
        }
        let expected = std::fs::read_to_string(&expectation).unwrap_or_default();
        if said != expected {
            wrong.push(format!(
                "{}\nsaid:\n{said}\nexpected:\n{expected}",
                file.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
