//! Watches the folders in which key files lie, and nudges whoever reads them.
//!
//! Folders and not files: an atomic replacement gives the path a new file, and Kubernetes swaps a symbolic
//! link beside it. A folder that cannot be watched is not a fault, as everything is polled too.
#![forbid(unsafe_code)]

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

type Readers = Arc<Mutex<HashMap<PathBuf, Vec<Arc<Notify>>>>>;

/// Watches folders on behalf of readers.
pub(super) struct Watch {
    readers: Readers,
    /// Made when the first file needs it: it costs a thread.
    watcher: Mutex<Option<RecommendedWatcher>>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            readers: Arc::default(),
            watcher: Mutex::new(None),
        }
    }

    /// Replaces all that is watched: each reader with its files.
    pub(super) fn replace(&self, files: &[(Vec<PathBuf>, Arc<Notify>)]) {
        let mut wanted: HashMap<PathBuf, Vec<Arc<Notify>>> = HashMap::new();
        for (paths, reader) in files {
            for folder in folders(paths) {
                wanted.entry(folder).or_default().push(reader.clone());
            }
        }
        let mut readers = lock(&self.readers);
        let old: HashSet<PathBuf> = readers.keys().cloned().collect();
        let new: HashSet<PathBuf> = wanted.keys().cloned().collect();
        *readers = wanted;
        drop(readers);
        let mut watcher = lock(&self.watcher);
        if new.is_empty() && watcher.is_none() {
            return;
        }
        if watcher.is_none() {
            *watcher = self.start();
        }
        let Some(watcher) = watcher.as_mut() else {
            return;
        };
        for folder in old.difference(&new) {
            // It may be gone already, and its watch with it.
            let _ = watcher.unwatch(folder);
        }
        for folder in new.difference(&old) {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                let folder = folder.display();
                tracing::warn!(%folder, %error, "not watched; key files there are polled only");
            }
        }
    }

    fn start(&self) -> Option<RecommendedWatcher> {
        let readers = self.readers.clone();
        let started = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading is no change; and after a lost event, anything may have changed.
            let paths = match event {
                Ok(event) if matches!(event.kind, EventKind::Access(_)) && !event.need_rescan() => {
                    return;
                }
                Ok(event) if !event.need_rescan() => event.paths,
                _ => Vec::new(),
            };
            let readers = lock(&readers);
            for (folder, readers) in readers.iter() {
                let concerned =
                    paths.is_empty() || paths.iter().any(|path| path.starts_with(folder));
                if concerned {
                    readers.iter().for_each(|reader| reader.notify_one());
                }
            }
        });
        started
            .inspect_err(|error| tracing::warn!(%error, "key files are polled only"))
            .ok()
    }
}

/// The folders in which a change of these files would show: where the path is, and where it leads to.
fn folders(paths: &[PathBuf]) -> HashSet<PathBuf> {
    let mut folders = HashSet::new();
    for path in paths {
        folders.extend(path.parent().map(Path::to_owned));
        let real = std::fs::canonicalize(path).ok();
        folders.extend(real.and_then(|real| real.parent().map(Path::to_owned)));
    }
    // A bare file name has the empty path as its folder.
    if folders.remove(Path::new("")) {
        folders.insert(PathBuf::from("."));
    }
    folders
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
