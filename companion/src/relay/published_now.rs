//! What is published now, for callers that ask whether nodes run it. It is read from the stores at most every few
//! seconds, however often it is asked for. Nothing that is done with nodes depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::Moment;
use lifeboat_runtime::clock::Clock;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::MOST_VERSIONS;
use super::rpc::shown_by_sync;
use crate::archive::Stores;

/// For how long an answer holds.
const FRESH: Duration = Duration::from_secs(5);
/// How long a store may take to answer: the probe that asks gives up after 3 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// What nodes of a version would be restored from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PublishedNow {
    /// This, as the pings of nodes name it: one name for nodes with incremental sync, another for all others.
    Named { hash: ConfigHash, by_sync: ConfigHash },
    /// No manifest names anything, but there may be a bare `config.json`.
    Unnamed,
    /// No store has answered. With the reason.
    NotKnown(String),
}

/// The answers of the stores. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct PublishedLookup {
    sources: Stores,
    clock: Clock,
    known: Arc<Mutex<BTreeMap<KongVersion, (PublishedNow, Moment)>>>,
}

impl PublishedLookup {
    pub(super) fn new(sources: Stores, clock: Clock) -> Self {
        Self { sources, clock, known: Arc::default() }
    }

    /// What is published for nodes of this version.
    pub(super) async fn of(&self, version: KongVersion) -> PublishedNow {
        // Whoever asks meanwhile waits for the same answer.
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        known.retain(|_, (_, at)| now - *at < FRESH);
        if let Some((published, _)) = known.get(&version) {
            return published.clone();
        }

        let published = match timeout(ANSWER_WITHIN, self.look(version)).await {
            Ok(published) => published,
            Err(_) => PublishedNow::NotKnown(format!("no store answers within {} s", ANSWER_WITHIN.as_secs())),
        };
        if known.len() < MOST_VERSIONS {
            known.insert(version, (published.clone(), self.clock.now()));
        }
        published
    }

    async fn look(&self, version: KongVersion) -> PublishedNow {
        match self.sources.newest_published(version).await {
            Ok(Some(published)) => PublishedNow::Named {
                hash: published.manifest.config_hash,
                by_sync: shown_by_sync(published.manifest.sequence),
            },
            Ok(None) => PublishedNow::Unnamed,
            Err(error) => PublishedNow::NotKnown(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::tests::{CHANGED, FIRST, in_memory, publish, received, version};
    use crate::settings::{RestoreRules, VersionMatch};

    fn lookup(archive: &crate::archive::Archive, version: VersionMatch) -> PublishedLookup {
        let rules = RestoreRules { version, ..RestoreRules::default() };
        PublishedLookup::new(Stores::of(archive.reader(), rules), Clock::start())
    }

    fn named(message: &[u8], sequence: u64) -> PublishedNow {
        PublishedNow::Named { hash: received(message).config_hash, by_sync: shown_by_sync(sequence) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_published_is_known_within_seconds_and_asked_for_seldom() {
        let archive = in_memory();
        let lookup = lookup(&archive, VersionMatch::Exact);
        assert_eq!(lookup.of(version()).await, PublishedNow::Unnamed);
        publish(&archive, FIRST).await;
        assert_eq!(lookup.of(version()).await, PublishedNow::Unnamed, "the answer still holds");
        tokio::time::sleep(FRESH).await;
        assert_eq!(lookup.of(version()).await, named(FIRST, 1));
        publish(&archive, CHANGED).await;
        tokio::time::sleep(FRESH).await;
        assert_eq!(lookup.of(version()).await, named(CHANGED, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn the_backup_of_another_patch_version_counts_where_it_would_be_restored() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let other = KongVersion::new(3, 9, 7);
        assert_eq!(lookup(&archive, VersionMatch::Minor).of(other).await, named(FIRST, 1));
        assert_eq!(lookup(&archive, VersionMatch::Exact).of(other).await, PublishedNow::Unnamed);
    }
}
