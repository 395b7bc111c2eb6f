//! Checks feeds: who else may say what is revoked, about whom, and how it gets here.
#![forbid(unsafe_code)]

use super::check::{Checker, texts};
use super::choice::{AnyOr, FeedWord};
use super::fault::shown;
use super::section::At;
use super::setting::Name;
use super::{RevocationFeed, RevocationPoll, check_template, raw};
use crate::upstream::{self, Trust, UriFault};
use crate::verify::{Feed, FeedKind};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

impl Checker<'_> {
    /// Checks every feed.
    pub(super) fn feeds(&mut self, document: &raw::Document) -> Vec<RevocationFeed> {
        let mut names = HashMap::new();
        let mut feeds = Vec::new();
        for At { value: feed, .. } in &document.revocation.feed {
            if let Some(name) = &feed.name {
                self.unique(&mut names, "the feed name", &name.value.0, &name.place);
                if name.value.0.contains(['/', ':']) {
                    let message = "is part of an address; letters, digits and . _ @ - will do";
                    self.found.push(&name.place, message);
                }
            }
            feeds.extend(self.feed(feed, document));
        }
        feeds
    }

    fn feed(
        &mut self,
        raw: &raw::RevocationFeed,
        document: &raw::Document,
    ) -> Option<RevocationFeed> {
        let token_file = raw.token_file.as_ref().map(|file| {
            let path = self.readable(file);
            self.refuse_exposed(&path, &file.place);
            path
        });
        let trust = Trust {
            ca_file: raw.ca_file.as_ref().map(|file| self.readable(file)),
            allow_private_address: raw.allow_private_address.value,
            allow_insecure_loopback: raw.allow_insecure_loopback.value,
            proxy: None,
        };
        let issuer = raw.issuer.as_ref();
        if let Some(issuer) = issuer {
            self.known_sender(issuer, document);
        }
        let concerns = raw.concerns.as_ref().map(|list| &list.value.0);
        for name in concerns.into_iter().flatten() {
            self.known_sender(name, document);
        }
        let kind = match raw.kind.as_ref()?.value {
            FeedWord::Logout => FeedKind::Logout,
            FeedWord::Events => FeedKind::Events,
        };
        let poll = raw.poll_uri.as_ref().and_then(|uri| {
            if kind == FeedKind::Logout {
                let message = "logout tokens are delivered, never fetched; leave it out";
                self.found.push(&uri.place, message);
            }
            let checked = upstream::check_uri(
                &uri.value.0,
                trust.allow_insecure_loopback,
                trust.allow_private_address,
            );
            let fault = match checked {
                Ok(uri) => {
                    return Some(RevocationPoll {
                        uri,
                        every: Duration::from_secs(raw.poll_seconds.value.u64()),
                        trust: trust.clone(),
                    });
                }
                Err(fault) => fault,
            };
            // What may be a password is not repeated.
            let shown = match fault {
                UriFault::Credentials => "the URL".to_owned(),
                _ => shown(&uri.value.0),
            };
            self.found.push(&uri.place, format!("{shown} {fault}"));
            None
        });
        let issuer: Arc<str> = (&*issuer?.value.0).into();
        let concerns = concerns.map_or_else(
            || vec![Arc::clone(&issuer)],
            |names| names.iter().map(|name| (&*name.value.0).into()).collect(),
        );
        Some(RevocationFeed {
            feed: Arc::new(Feed {
                name: (&*raw.name.as_ref()?.value.0).into(),
                kind,
                issuer,
                audiences: texts(&raw.audiences.as_ref()?.value),
                concerns,
            }),
            token_file,
            poll,
        })
    }

    /// An issuer that is configured, and whose `iss` is known: its statements must have it.
    fn known_sender(&mut self, name: &At<Name>, document: &raw::Document) {
        let named = |issuer: &&At<raw::Issuer>| {
            let known = issuer.value.name.as_ref();
            known.is_some_and(|known| known.value.0 == name.value.0)
        };
        let Some(issuer) = document.issuer.iter().find(named) else {
            let known = document.issuer.iter().filter_map(|issuer| {
                let known = issuer.value.name.as_ref()?;
                Some(&*known.value.0)
            });
            return self.refuse_unknown("issuer", name, known.collect());
        };
        let iss = issuer.value.issuer.as_ref().map(|iss| &iss.value);
        if matches!(iss, Some(AnyOr::Any)) {
            let message =
                "this issuer has issuer = \"any\", and statements are held against one `iss`";
            self.found.push(&name.place, message);
        }
        if check_template::is_template(&issuer.value) {
            let message = "this issuer is a template, and statements are held against one `iss`";
            self.found.push(&name.place, message);
        }
    }
}
