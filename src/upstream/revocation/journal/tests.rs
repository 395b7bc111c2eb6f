//! The journal against crashes, damage and a disk that is full.

use super::slot::SLOT_BYTES;
use super::{Journal, JournalError, salvage};
use crate::revocation::{Members, Record, RecordKey, TenantTag};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NAME: &str = "revocations";

fn record(number: u32) -> Record {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    Record {
        key: RecordKey {
            tenant: TenantTag(1),
            members: Members::NONE,
            id,
        },
        before: number,
        until: Record::FOREVER,
    }
}

fn records(numbers: std::ops::Range<u32>) -> Vec<Record> {
    numbers.map(record).collect()
}

fn open(folder: &Path) -> (Journal, Vec<Record>) {
    Journal::open(folder, NAME).expect("it opens")
}

fn file(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn what_was_appended_is_read_at_the_next_start() {
    let folder = folder();
    let state = folder.path().join("deep/state");
    let (mut journal, found) = open(&state);
    assert!(found.is_empty() && journal.is_empty());
    journal.append(&records(0..3)).expect("appended");
    journal.append(&[]).expect("nothing is no fault");
    journal.append(&records(3..4)).expect("appended");
    assert_eq!((journal.sequence(), journal.len()), (4, 4));
    drop(journal);
    let (journal, found) = open(&state);
    assert_eq!(found, records(0..4));
    assert_eq!((journal.sequence(), journal.repair()), (4, None));
    for private in [file(&state), state.join("revocations.lock")] {
        let mode = fs::metadata(private).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let mode = fs::metadata(&state).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn only_one_may_have_it_open_and_no_folder_may_be_open_to_all() {
    let folder = folder();
    let (journal, _) = open(folder.path());
    let second = Journal::open(folder.path(), NAME);
    assert!(
        matches!(second, Err(JournalError::Locked { .. })),
        "{second:?}"
    );
    // Another journal of the same folder is another lock.
    assert!(Journal::open(folder.path(), "outbox").is_ok());
    drop(journal);
    assert!(Journal::open(folder.path(), NAME).is_ok());
    let all = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), all).expect("ours");
    let exposed = Journal::open(folder.path(), NAME);
    assert!(
        matches!(exposed, Err(JournalError::Exposed { mode: 0o777, .. })),
        "{exposed:?}"
    );
}

/// Checks F-40.
/// Whatever length a crash leaves the last commit at, all commits before it are found, and what can be read of
/// the last one is.
#[test]
fn a_commit_torn_anywhere_costs_nothing_but_itself() {
    let original = folder();
    let (mut journal, _) = open(original.path());
    journal.append(&records(0..2)).expect("appended");
    let acknowledged = SLOT_BYTES * 3;
    journal.append(&records(2..5)).expect("appended");
    drop(journal);
    let bytes = fs::read(file(original.path())).expect("readable");
    // 13 is prime to the slot's width, so cuts fall everywhere in it.
    for length in (acknowledged..bytes.len()).step_by(13) {
        let folder = folder();
        fs::write(file(folder.path()), &bytes[..length]).expect("writable");
        let (mut journal, found) = open(folder.path());
        let whole = u32::try_from(length / SLOT_BYTES - 1).expect("few");
        assert_eq!(found, records(0..whole), "{length}");
        let torn = length % SLOT_BYTES;
        assert_eq!(
            journal.repair().map(|repair| repair.bytes_cut),
            (torn > 0).then_some(torn as u64)
        );
        journal.append(&records(9..10)).expect("it goes on");
        drop(journal);
        let (journal, found) = open(folder.path());
        assert_eq!(found, [records(0..whole), records(9..10)].concat());
        assert_eq!(journal.repair(), None, "mended once");
    }
}

/// The pages of one commit reach a disk in any order; what is readable behind a hole is kept.
#[test]
fn a_hole_in_the_last_commit_is_no_damage() {
    for hole in 2..5 {
        for garbage in [0_u8, 0xa5] {
            let folder = folder();
            let (mut journal, _) = open(folder.path());
            journal.append(&records(0..2)).expect("appended");
            journal.append(&records(2..5)).expect("appended");
            drop(journal);
            let path = file(folder.path());
            let mut bytes = fs::read(&path).expect("readable");
            bytes[(hole + 1) * SLOT_BYTES..][..SLOT_BYTES].fill(garbage);
            fs::write(&path, &bytes).expect("writable");
            let (journal, found) = open(folder.path());
            let expected: Vec<Record> = (0..5)
                .filter(|number| *number != hole as u32)
                .map(record)
                .collect();
            assert_eq!(found, expected);
            let repair = journal.repair().expect("told").clone();
            assert_eq!(repair.records_kept, 4 - hole);
            let aside = fs::read(&repair.aside).expect("kept");
            assert_eq!(aside, bytes[(hole + 1) * SLOT_BYTES..]);
            drop(journal);
            assert_eq!(open(folder.path()).1, expected);
        }
    }
}

/// Checks F-40.
/// Any single byte of an earlier commit, of the snapshot or of the header.
#[test]
fn damage_to_what_was_acknowledged_is_an_error_and_changes_nothing() {
    let folder = folder();
    let path = file(folder.path());
    let (mut journal, _) = open(folder.path());
    journal.append(&records(0..2)).expect("appended");
    journal
        .compact(records(0..2).into_iter())
        .expect("compacted");
    journal.append(&records(2..3)).expect("appended");
    journal.append(&records(3..4)).expect("appended");
    drop(journal);
    let sound = fs::read(&path).expect("readable");
    for at in (0..SLOT_BYTES * 4).step_by(7) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).expect("writable");
        match Journal::open(folder.path(), NAME) {
            Err(JournalError::Foreign { .. }) => assert!(at < SLOT_BYTES, "{at}"),
            Err(JournalError::Damaged {
                offset, bad, good, ..
            }) => {
                assert_eq!((offset, bad, good), ((at - at % SLOT_BYTES) as u64, 1, 3));
                let kept = salvage(&path).expect("it is a journal");
                let lost = u32::try_from(at / SLOT_BYTES - 1).expect("few");
                let expected: Vec<Record> = (0..4)
                    .filter(|number| *number != lost)
                    .map(record)
                    .collect();
                assert_eq!(kept, expected);
            }
            other => panic!("byte {at}: {other:?}"),
        }
        assert_eq!(fs::read(&path).expect("readable"), bytes, "left as it was");
    }
    // A snapshot was whole before it had its name: one that is short has lost something.
    fs::write(&path, &sound[..SLOT_BYTES * 2]).expect("writable");
    let short = Journal::open(folder.path(), NAME);
    assert!(
        matches!(short, Err(JournalError::Damaged { .. })),
        "{short:?}"
    );
    // More than one commit can tear is not a torn commit.
    fs::write(&path, &sound).expect("writable");
    let long = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("ours");
    long.set_len(1 << 24).expect("sparse");
    let long = Journal::open(folder.path(), NAME);
    assert!(
        matches!(long, Err(JournalError::Damaged { .. })),
        "{long:?}"
    );
}

#[test]
fn blocks_of_another_journal_do_not_pass() {
    let [one, other] = [folder(), folder()];
    let (mut journal, _) = open(one.path());
    journal.append(&records(0..2)).expect("appended");
    let (mut foreign, _) = open(other.path());
    foreign.append(&records(5..9)).expect("appended");
    drop((journal, foreign));
    let mut bytes = fs::read(file(one.path())).expect("readable");
    let behind = fs::read(file(other.path())).expect("readable");
    bytes.extend_from_slice(&behind[SLOT_BYTES * 3..]);
    fs::write(file(one.path()), bytes).expect("writable");
    let (journal, found) = open(one.path());
    assert_eq!(found, records(0..2));
    assert!(journal.repair().is_some());
}

#[test]
fn a_compaction_keeps_what_lives_and_what_came_meanwhile() {
    let folder = folder();
    let (mut journal, _) = open(folder.path());
    journal.append(&records(0..100)).expect("appended");
    let compaction = journal.begin_compaction().expect("begun");
    journal
        .append(&records(100..103))
        .expect("appended meanwhile");
    let new = compaction
        .write(records(90..100).into_iter())
        .expect("written");
    // Not adopted yet: a crash now finds the old file.
    assert!(folder.path().join("revocations.new").exists());
    journal.adopt(new).expect("adopted");
    assert_eq!((journal.len(), journal.sequence()), (13, 103));
    journal.append(&records(103..104)).expect("it goes on");
    drop(journal);
    fs::write(folder.path().join("revocations.new"), b"half a file").expect("writable");
    let (journal, found) = open(folder.path());
    assert_eq!(found, records(90..104));
    assert_eq!(journal.sequence(), 104, "it never runs back");
    assert!(!folder.path().join("revocations.new").exists(), "tidied");
}

/// The test is its own child: with this variable it writes, and says how far it is acknowledged.
const WRITER: &str = "JOTD_TEST_JOURNAL_WRITER";
const COMPACTS: &str = "JOTD_TEST_JOURNAL_COMPACTS";

/// Checks F-40.
/// `kill -9` at any instant of appends and compactions: what was acknowledged is there, in order, and what is
/// there beyond it is only what was being written.
#[test]
fn a_killed_writer_loses_nothing_that_it_acknowledged() {
    if let Some(folder) = std::env::var_os(WRITER) {
        return write_for_ever(Path::new(&folder));
    }
    let folder = folder();
    let mut acknowledged = 0_u32;
    for round in 0..12_u64 {
        let mut writer = child(folder.path(), "exec \"$0\" \"$@\"");
        let output = BufReader::new(writer.stdout.take().expect("piped"));
        // Different instants a round, from the first write on to well into compactions.
        let enough = acknowledged + 1 + 37 * u32::try_from(round).expect("few");
        let mut killed = false;
        for line in output.lines().map_while(Result::ok) {
            let Some(said) = line.strip_prefix("acknowledged ") else {
                continue;
            };
            acknowledged = said.parse().expect("a number");
            if acknowledged >= enough && !killed {
                // Some time into what follows, so that the kill falls anywhere in it.
                std::thread::sleep(std::time::Duration::from_micros(173 * round));
                writer.kill().expect("a child of ours");
                killed = true;
            }
        }
        writer.wait().expect("a child of ours");
        assert!(killed, "the writer ended by itself after {acknowledged}");
        let (_, found) = open(folder.path());
        let mut numbers: Vec<u32> = found.iter().map(|record| record.before).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let count = u32::try_from(numbers.len()).expect("few");
        assert!(count >= acknowledged, "{count} of {acknowledged}");
        assert!(count <= acknowledged + BATCH, "{count} of {acknowledged}");
        assert_eq!(numbers, (0..count).collect::<Vec<_>>());
        acknowledged = count;
    }
}

/// A disk that takes no more refuses a commit whole: the journal goes on from what it had, and shows no trace.
#[test]
fn a_full_disk_refuses_an_append_whole() {
    let folder = folder();
    // A limit on file size ends a write half-way, as a full disk does: here after 64 KiB, amid a slot.
    let child = child(
        folder.path(),
        "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\"",
    );
    let output = child.wait_with_output().expect("it ran");
    let said = String::from_utf8_lossy(&output.stdout);
    let refused: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("refused"))
        .collect();
    assert_eq!(refused.len(), 3, "{said}");
    let mut acknowledged = said
        .lines()
        .filter_map(|line| line.strip_prefix("acknowledged "));
    let last = acknowledged.next_back();
    let acknowledged: u32 = last.expect("some").parse().expect("a number");
    let (journal, found) = open(folder.path());
    assert_eq!(journal.repair(), None, "nothing half-written");
    assert_eq!(found, records(0..acknowledged));
}

const BATCH: u32 = 5;

/// Appends until it is killed, or until the disk has refused three times.
fn write_for_ever(folder: &Path) {
    let (mut journal, found) = open(folder);
    let mut out = std::io::stdout().lock();
    let mut live = found;
    live.sort_unstable_by_key(|record| record.before);
    live.dedup();
    let compacts = std::env::var_os(COMPACTS).is_some_and(|word| word == "yes");
    let mut refused = 0;
    loop {
        let first = u32::try_from(live.len()).expect("few");
        let batch = records(first..first + BATCH);
        if let Err(error) = journal.append(&batch) {
            writeln!(out, "refused {error}").expect("the parent reads");
            refused += 1;
            if refused == 3 {
                return;
            }
            continue;
        }
        live.extend(batch);
        writeln!(out, "acknowledged {}", live.len()).expect("the parent reads");
        if live.len() % 100 == 0 && compacts {
            journal.compact(live.iter().copied()).expect("compacted");
        }
    }
}

/// This test's binary with [`a_killed_writer_loses_nothing_that_it_acknowledged`] alone, as the writer.
fn child(folder: &Path, script: &str) -> std::process::Child {
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", "--nocapture"])
        .arg("upstream::revocation::journal::tests::a_killed_writer_loses_nothing_that_it_acknowledged")
        .env(WRITER, folder)
        .env(COMPACTS, if script.contains("ulimit") { "no" } else { "yes" })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it runs")
}
