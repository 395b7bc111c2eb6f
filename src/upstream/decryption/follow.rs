//! Follows the files of decryption keys, one loop an issuer, and keeps the last good keys when what it finds is broken.
#![forbid(unsafe_code)]

use super::{DecryptionFeed, DecryptionFiles};
use crate::keys::Decryption;
use crate::upstream::feed::changed;
use crate::upstream::publish::{Lease, Publisher, Turn};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// The loops that run. They stop when this is dropped.
#[derive(Default)]
pub(in crate::upstream) struct Followers(Mutex<Vec<Following>>);

struct Following {
    paths: Vec<PathBuf>,
    nudge: Arc<Notify>,
    lease: Arc<Lease>,
    task: AbortHandle,
}

impl Followers {
    /// Follows these files instead of all before. Each is looked at once right away: it may have changed since the
    /// configuration was read.
    pub(in crate::upstream) fn replace(
        &self,
        feeds: Vec<DecryptionFeed>,
        publisher: &Arc<Publisher>,
        runtime: &Handle,
        turn: &Turn<'_>,
    ) {
        let begin = |feed: DecryptionFeed| {
            let (nudge, lease) = (Arc::new(Notify::new()), Arc::new(Lease::default()));
            let paths = feed.files.paths.clone();
            let follower = Follower {
                issuer: feed.issuer,
                files: Arc::new(feed.files),
                lease: Arc::clone(&lease),
                nudge: Arc::clone(&nudge),
                publisher: Arc::clone(publisher),
            };
            Following {
                paths,
                nudge,
                lease,
                task: runtime.spawn(follower.run()).abort_handle(),
            }
        };
        let next = feeds.into_iter().map(begin).collect();
        for old in std::mem::replace(&mut *self.running(), next) {
            old.lease.end(turn);
            old.task.abort();
        }
    }

    /// Whom to nudge when which files change.
    pub(in crate::upstream) fn watched(&self) -> Vec<(Vec<PathBuf>, Arc<Notify>)> {
        let running = self.running();
        let watched = running.iter();
        watched
            .map(|following| (following.paths.clone(), Arc::clone(&following.nudge)))
            .collect()
    }

    fn running(&self) -> MutexGuard<'_, Vec<Following>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        for following in self.running().iter() {
            following.task.abort();
        }
    }
}

struct Follower {
    issuer: Arc<str>,
    files: Arc<DecryptionFiles>,
    lease: Arc<Lease>,
    nudge: Arc<Notify>,
    publisher: Arc<Publisher>,
}

impl Follower {
    async fn run(self) {
        let mut complained = None;
        loop {
            if let Some(read) = self.read().await {
                let published = read.and_then(|keys| {
                    self.publisher
                        .publish_decryption(&self.lease, &self.issuer, keys)
                });
                complained = self.report(published, complained);
            }
            changed(&self.nudge).await;
        }
    }

    /// What the files hold now; nothing where reading them panicked, which was reported where it happened.
    async fn read(&self) -> Option<Result<Decryption, String>> {
        let files = Arc::clone(&self.files);
        #[expect(
            clippy::disallowed_methods,
            reason = "this runtime carries no connections, and reading a file is seldom"
        )]
        let read = tokio::task::spawn_blocking(move || files.read()).await.ok();
        read.map(|read| {
            read.map_err(|faults| {
                let faults: Vec<String> = faults.into_iter().map(|(_, why)| why).collect();
                faults.join("; ")
            })
        })
    }

    /// Says what has changed, and what is wrong; each fault once, not at every look.
    fn report(
        &self,
        published: Result<bool, String>,
        complained: Option<String>,
    ) -> Option<String> {
        let issuer = &self.issuer;
        match published {
            Ok(is_news) => {
                if is_news {
                    tracing::info!(issuer = &**issuer, "decryption keys read anew");
                    self.publisher.count_decryption_read(issuer, "ok");
                }
                if is_news || complained.is_some() {
                    self.publisher.note_decryption(issuer, None);
                }
                None
            }
            Err(why) => {
                self.publisher.count_decryption_read(issuer, "invalid");
                if complained.as_ref() != Some(&why) {
                    tracing::warn!(
                        issuer = &**issuer,
                        "the decryption keys stay as they were: {why}"
                    );
                    self.publisher.note_decryption(issuer, Some(why.clone()));
                }
                Some(why)
            }
        }
    }
}
