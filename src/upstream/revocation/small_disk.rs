//! A disk of one megabyte, for tests of what happens when it is full. It needs root.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(super) struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where nothing can be mounted, unless `JOTD_FAULTS` asks for all there is.
    #[expect(clippy::disallowed_methods, reason = "a test's own switch")]
    pub(super) fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "jotd"])
            .arg(folder.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        assert!(
            std::env::var("JOTD_FAULTS").is_err(),
            "JOTD_FAULTS needs root and `mount`"
        );
        eprintln!("not run: nothing can be mounted here");
        None
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves no byte free.
    pub(super) fn fill(&self) {
        let mut file = std::fs::File::create(self.ballast()).expect("a file");
        for size in [4_096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub(super) fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("a file");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is about to be killed may still have a file there.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}
