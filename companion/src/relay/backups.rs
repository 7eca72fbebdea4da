//! Whether there is a backup for the connected nodes. The stores are asked seldom, for each version of Kong among the
//! nodes, and only to inform people: nothing that is done with a node waits for the answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lifeboat_core::backoff::spread;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::Moment;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use tracing::{debug, info, warn};

use super::MOST_VERSIONS;
use super::nodes::Nodes;
use crate::archive::{Backing, Stores};
use crate::observation::RelayRecorder;

/// How often it is looked which versions are among the nodes, which costs no request.
const TICK: Duration = Duration::from_secs(2);
/// The pause, from and to, while there is a backup: it will most likely stay there.
const WHILE_THERE: (Duration, Duration) = (Duration::from_secs(3_000), Duration::from_secs(3_600));
/// The pause while there is none: somebody is about to mend that.
const WHILE_NOT: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(30));

/// What is known of the backups. Clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Backups(Arc<Mutex<BTreeMap<KongVersion, Known>>>);

#[derive(Clone, Copy, Debug)]
struct Known {
    /// None until a store has answered.
    backing: Option<Backing>,
    due: Moment,
}

/// Looks for the backups of a relay's nodes.
#[derive(Debug)]
pub(super) struct BackupWatch {
    pub(super) backups: Backups,
    pub(super) nodes: Nodes,
    pub(super) sources: Stores,
    pub(super) clock: Clock,
    pub(super) recorder: RelayRecorder,
}

impl Backups {
    /// Whether there is one for nodes of this version, if that is known.
    pub(super) fn of(&self, version: KongVersion) -> Option<Backing> {
        self.lock().get(&version)?.backing
    }

    /// For each version of Kong among the connected nodes: how many have no backup, as far as that is known.
    pub(super) fn without(&self, nodes: &Nodes) -> BTreeMap<KongVersion, u64> {
        let each = nodes.versions().into_iter().filter_map(|(version, count)| {
            let without = match self.of(version)? {
                Backing::Absent => count,
                Backing::Found { .. } => 0,
            };
            Some((version, without))
        });
        each.collect()
    }

    fn is_due(&self, version: KongVersion, now: Moment) -> bool {
        self.lock().get(&version).is_none_or(|known| known.due <= now)
    }

    /// Notes what was found, and returns what was known before.
    fn found(&self, version: KongVersion, backing: Option<Backing>, now: Moment) -> Option<Backing> {
        let mut table = self.lock();
        let before = table.get(&version).and_then(|known| known.backing);
        // A store that doesn't answer says nothing new.
        let backing = backing.or(before);
        let (from, to) = if matches!(backing, Some(Backing::Found { .. })) { WHILE_THERE } else { WHILE_NOT };
        table.insert(version, Known { backing, due: now + spread(from, to, rand::random()) });
        before
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<KongVersion, Known>> {
        self.0.locked()
    }
}

impl BackupWatch {
    /// Never ends; whoever drops it stops it.
    pub(super) async fn run(self) {
        loop {
            let among: Vec<KongVersion> = self.nodes.versions().into_keys().take(MOST_VERSIONS).collect();
            self.backups.lock().retain(|version, _| among.contains(version));
            for version in among {
                if self.backups.is_due(version, self.clock.now()) {
                    self.look(version).await;
                }
            }
            self.recorder.without_backup(self.backups.without(&self.nodes));
            tokio::time::sleep(TICK).await;
        }
    }

    async fn look(&self, version: KongVersion) {
        let found = self.sources.backing(version, self.clock.wall()).await;
        let found = found.inspect_err(|error| debug!("whether Kong {version} has a backup is not known: {error}")).ok();
        let before = self.backups.found(version, found, self.clock.now());
        match (before, found) {
            (Some(Backing::Found { .. }) | None, Some(Backing::Absent)) => warn!(
                "there is no backup for nodes of Kong {version}, some of which are connected: new ones stay empty in an outage. \
                 Let an exporter keep it (LIFEBOAT_KONG_VERSIONS names several), and see that the storage and its prefix are \
                 the same on both sides, and that LIFEBOAT_MAX_AGE, if set, allows its age"
            ),
            (Some(Backing::Absent), Some(Backing::Found { of, .. })) => {
                info!("there is a backup for nodes of Kong {version} now: that of {of}");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::NodeIdentity;
    use super::*;
    use crate::archive::Archive;
    use crate::archive::tests::{FIRST, in_memory, publish, version};
    use crate::settings::{RestoreRules, VersionMatch};

    fn identity(version: KongVersion) -> NodeIdentity {
        NodeIdentity {
            id: version.to_string(),
            hostname: "kong".to_owned(),
            version: Some(version),
            target: String::new(),
            address: ([10, 0, 0, 1], 40_000).into(),
            via: None,
        }
    }

    fn watching(archive: &Archive, version: VersionMatch) -> (Backups, Nodes, Clock) {
        let (backups, nodes, clock) = (Backups::default(), Nodes::default(), Clock::start());
        let sources = Stores::of(archive.reader(), RestoreRules { version, ..RestoreRules::default() });
        let recorder = RelayRecorder::default();
        let watch = BackupWatch { backups: backups.clone(), nodes: nodes.clone(), sources, clock, recorder };
        tokio::spawn(watch.run());
        (backups, nodes, clock)
    }

    async fn known(backups: &Backups, version: KongVersion) -> Backing {
        loop {
            if let Some(backing) = backups.of(version) {
                return backing;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_without_a_backup_is_known_within_seconds_and_until_there_is_one() {
        let archive = in_memory();
        let (backups, nodes, clock) = watching(&archive, VersionMatch::Minor);
        assert!(backups.of(version()).is_none(), "nobody has asked");
        let _row = nodes.join(&identity(version()), clock.wall());
        assert_eq!(known(&backups, version()).await, Backing::Absent);
        publish(&archive, FIRST).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(matches!(backups.of(version()), Some(Backing::Found { of, sizes: Some(_) }) if of == version()));
    }

    #[tokio::test(start_paused = true)]
    async fn another_patch_version_is_a_backup_where_it_would_be_restored() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let (sibling, stranger) = (KongVersion::new(3, 9, 7), KongVersion::new(3, 8, 1));
        for (rule, expected) in [(VersionMatch::Minor, true), (VersionMatch::Exact, false)] {
            let (backups, nodes, clock) = watching(&archive, rule);
            let _rows = [sibling, stranger].map(|version| nodes.join(&identity(version), clock.wall()));
            let found = known(&backups, sibling).await;
            assert_eq!(matches!(found, Backing::Found { of, .. } if of == version()), expected, "{rule:?}: {found:?}");
            assert_eq!(known(&backups, stranger).await, Backing::Absent);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_forgotten_with_the_last_node() {
        let archive = in_memory();
        let (backups, nodes, clock) = watching(&archive, VersionMatch::Minor);
        let row = nodes.join(&identity(version()), clock.wall());
        known(&backups, version()).await;
        drop(row);
        tokio::time::sleep(2 * TICK).await;
        assert!(backups.of(version()).is_none());
    }
}
