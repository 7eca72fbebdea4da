//! All stores from which nodes are restored. They are asked at once, and it is decided here which snapshot of which
//! store a node is given.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::SnapshotId;
use lifeboat_core::room::Sizes;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Provenance, Verified};
use lifeboat_storage::StorageError;
use tokio::time::{Instant, timeout_at};

use super::{ArchiveReader, Pick, PickError, Picked, Published, RestoreError, Skipped};
use crate::metrics::Metrics;
use crate::settings::{Prefer, RestoreRules, Rulebook, StoreSettings, VersionMatch};

/// How long to wait for the other stores after the first one has answered: one of them may hang in the same outage.
const OTHERS_ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// The stores, and the rules.
#[derive(Clone, Debug)]
pub struct Stores {
    archives: Vec<ArchiveReader>,
    /// Why other stores could not be opened.
    unopened: Vec<StorageError>,
    rules: RestoreRules,
    /// Where these rules change, if they can meanwhile.
    rulebook: Option<Rulebook>,
}

/// The snapshot that a node is given.
#[derive(Debug)]
pub struct Chosen {
    /// The configuration.
    pub verified: Verified,
    /// The version of Kong whose backup it is.
    pub version: KongVersion,
    /// The store, for people.
    pub place: String,
    /// Snapshots that are not used, each with its store.
    pub skipped: Vec<(String, Skipped)>,
    /// Stores that could not be asked.
    pub failed: Vec<RestoreError>,
}

/// Whether nodes of a version have a backup.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Backing {
    /// No store has anything that they would be given, or it is older than the rules allow.
    Absent,
    /// They have.
    Found {
        /// Of which version of Kong it is.
        of: KongVersion,
        /// How large it is; unknown for a bare `config.json`.
        sizes: Option<Sizes>,
    },
}

/// No store has anything to give.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.0))]
pub struct NoneChosen(Vec<RestoreError>);

fn said(errors: &[RestoreError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl NoneChosen {
    /// The class of the first store's error: one word.
    pub fn class(&self) -> &'static str {
        self.0.first().map_or("not_found", RestoreError::class)
    }
}

impl Stores {
    /// Opens all stores that the settings name. No folder is made; one may come later.
    ///
    /// # Errors
    /// As [`ArchiveReader::open_awaited`].
    pub fn open_awaited(settings: &StoreSettings) -> Result<Self, StorageError> {
        let stores = std::iter::once(settings.clone()).chain(settings.others());
        let archives = stores.map(|store| ArchiveReader::open_awaited(&store)).collect::<Result<_, _>>()?;
        Ok(Self { archives, unopened: Vec::new(), rules: settings.restore, rulebook: None })
    }

    /// Opens the stores of the settings that are there, for a command that only reads: no folder is made. If a store
    /// can't be opened, that is reported only when something is read, so that the control plane is asked first.
    pub fn open_existing(settings: &StoreSettings) -> Self {
        let (mut archives, mut unopened) = (Vec::new(), Vec::new());
        for store in std::iter::once(settings.clone()).chain(settings.others()) {
            match ArchiveReader::open_existing(&store) {
                Ok(archive) => archives.push(archive),
                Err(error) => unopened.push(error),
            }
        }
        Self { archives, unopened, rules: settings.restore, rulebook: None }
    }

    /// One store.
    pub fn of(archive: ArchiveReader, rules: RestoreRules) -> Self {
        Self { archives: vec![archive], unopened: Vec::new(), rules, rulebook: None }
    }

    /// The same, whose rules change there.
    pub fn ruled_by(self, rulebook: Rulebook) -> Self {
        Self { rulebook: Some(rulebook), ..self }
    }

    /// The same, whose requests are counted there.
    pub fn measured_by(self, metrics: &Metrics) -> Self {
        let archives = self.archives.into_iter().map(|archive| archive.measured_by(metrics)).collect();
        Self { archives, ..self }
    }

    /// The store with this name.
    pub fn at(&self, place: &str) -> Option<&ArchiveReader> {
        self.archives.iter().find(|archive| archive.place() == place)
    }

    /// The rules that are in force now.
    pub fn rules(&self) -> RestoreRules {
        self.rules.as_of(self.rulebook.as_ref())
    }

    /// The stores' names for people.
    pub fn places(&self) -> String {
        let unopened = self.unopened.iter().map(StorageError::place);
        self.archives.iter().map(ArchiveReader::place).chain(unopened).collect::<Vec<_>>().join(", ")
    }

    /// The newest snapshot of all stores that verifies: one of exactly this version, or else, if the rules allow that,
    /// the one of the same major.minor that was published last.
    ///
    /// # Errors
    /// When no store has one, or none could be asked.
    pub async fn restore(&self, version: KongVersion, now: WallTime) -> Result<Chosen, NoneChosen> {
        let mut failed: Vec<_> = self.unopened.iter().cloned().map(RestoreError::from).collect();
        if let Some(chosen) = self.restore_exactly(version, now, &mut failed).await {
            return Ok(Chosen { failed, ..chosen });
        }
        for other in self.kin(version).await {
            let mut of_other = Vec::new();
            if let Some(chosen) = self.restore_exactly(other, now, &mut of_other).await {
                failed.extend(of_other);
                return Ok(Chosen { failed, ..chosen });
            }
        }
        Err(NoneChosen(failed))
    }

    /// The versions of Kong of which any store has something.
    ///
    /// # Errors
    /// When none can tell.
    pub async fn versions(&self) -> Result<Vec<KongVersion>, StorageError> {
        let (mut versions, mut failed) = (Vec::new(), Vec::new());
        for listed in all_in_time(self.archives.iter().map(ArchiveReader::versions)).await {
            match listed {
                Ok(listed) => versions.extend(listed),
                Err(error) => failed.push(error),
            }
        }
        versions.sort_unstable();
        versions.dedup();
        match self.unopened.iter().cloned().chain(failed).next() {
            Some(error) if versions.is_empty() => Err(error),
            _ => Ok(versions),
        }
    }

    /// Whether the newest that is published in any store has this payload.
    pub async fn is_newest(&self, version: KongVersion, payload: Sha256Digest) -> bool {
        // Another exporter may have written a config.json since, which no manifest names.
        if self.rules.prefer == Prefer::Newest {
            return false;
        }
        let newest = self.by_newest(version).await;
        newest.first().is_some_and(|(_, published)| published.manifest.snapshot.sha256 == payload)
    }

    /// The stores that have something published for this version, the newest first.
    pub async fn by_newest(&self, version: KongVersion) -> Vec<(&ArchiveReader, Published)> {
        let asked = self.archives.iter().map(|archive| async move {
            let published = archive.published(version).await.ok().flatten()?;
            Some((archive, published))
        });
        let mut found: Vec<_> = all_in_time(asked).await.into_iter().flatten().collect();
        found.sort_by_key(|(_, published)| Reverse((published.manifest.epoch, published.manifest.sequence)));
        found
    }

    /// What each store has published for this version, or why that is not known. A store that takes long is left out.
    pub async fn published_in_each(
        &self,
        version: KongVersion,
    ) -> Vec<(String, Result<Option<Published>, StorageError>)> {
        let asked = self.archives.iter().map(|archive| async move {
            let published = archive.published(version).await;
            (archive.place().to_owned(), published)
        });
        all_in_time(asked).await
    }

    /// The manifest from which nodes of this version would be restored: the newest of their own version or, if there is none
    /// and the rules allow that, of another of the same minor version. None: no store has one.
    ///
    /// # Errors
    /// When a store does not tell, and no other has one.
    pub async fn newest_published(&self, version: KongVersion) -> Result<Option<Published>, StorageError> {
        let mut failed = self.unopened.first().cloned();
        let mut found = Vec::new();
        for (_, published) in self.published_in_each(version).await {
            match published {
                Ok(published) => found.extend(published),
                Err(error) => failed = Some(error),
            }
        }

        let rank = |published: &Published| (published.manifest.epoch, published.manifest.sequence);
        if let Some(newest) = found.into_iter().max_by_key(rank) {
            return Ok(Some(newest));
        }
        if let Some(error) = failed {
            return Err(error);
        }
        for other in self.kin(version).await {
            if let Some((_, published)) = self.by_newest(other).await.into_iter().next() {
                return Ok(Some(published));
            }
        }
        Ok(None)
    }

    /// Whether nodes of this version have a backup that they may be given `now`: of their own version or, if the rules allow
    /// that, of another of the same minor version. Manifests alone are read.
    ///
    /// # Errors
    /// When a store does not tell, and no other has one.
    pub async fn backing(&self, version: KongVersion, now: WallTime) -> Result<Backing, StorageError> {
        let of_its_own = self.backing_exactly(version, now).await?;
        if of_its_own != Backing::Absent || self.rules.version == VersionMatch::Exact {
            return Ok(of_its_own);
        }

        // Without the right to list, a restore would not find another version either.
        if let Err(error) = self.versions().await
            && !error.is_refusal()
        {
            return Err(error);
        }

        for other in self.kin(version).await {
            let found = self.backing_exactly(other, now).await?;
            if found != Backing::Absent {
                return Ok(found);
            }
        }
        Ok(Backing::Absent)
    }

    async fn backing_exactly(&self, version: KongVersion, now: WallTime) -> Result<Backing, StorageError> {
        let age = self.rules().age;
        let asked = self.archives.iter().map(|archive| archive.backing(version, age, now));
        let (mut found, mut failed) = (Vec::new(), self.unopened.first().cloned());
        for backing in all_in_time(asked).await {
            match backing {
                Ok(backing) => found.push(backing),
                Err(error) => failed = Some(error),
            }
        }
        match (found.into_iter().find(|backing| *backing != Backing::Absent), failed) {
            (Some(backing), _) => Ok(backing),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(Backing::Absent),
        }
    }

    /// What the first store has published, or why that is not known.
    ///
    /// # Errors
    /// As [`ArchiveReader::pick`].
    pub async fn picked(&self, version: KongVersion) -> Result<Picked, PickError> {
        match (self.archives.first(), self.unopened.first()) {
            (Some(archive), _) => archive.pick(version, Pick::Published).await,
            (None, Some(error)) => Err(error.clone().into()),
            (None, None) => unreachable!("there is a first store, whether it could be opened or not"),
        }
    }

    async fn restore_exactly(
        &self,
        version: KongVersion,
        now: WallTime,
        failed: &mut Vec<RestoreError>,
    ) -> Option<Chosen> {
        let asked = self.archives.iter().map(|archive| async move {
            let restored = archive.restore_by(version, self.rules(), now).await;
            (archive.place().to_owned(), restored)
        });

        let (mut found, mut skipped) = (Vec::new(), Vec::new());
        for (place, restored) in all_in_time(asked).await {
            match restored {
                Ok(restored) => {
                    skipped.extend(restored.skipped.into_iter().map(|skip| (place.clone(), skip)));
                    found.push((place, restored.instead_of, restored.verified));
                }
                Err(error) => failed.push(error),
            }
        }

        let newest_last =
            |(_, instead_of, verified): &(String, Option<SnapshotId>, Verified)| rank(verified, *instead_of);
        let (place, _, verified) = found.into_iter().max_by_key(newest_last)?;
        Some(Chosen { verified, version, place, skipped, failed: Vec::new() })
    }

    /// The other versions of the same major.minor of which something is published, beginning with the one published
    /// last; none if the rules allow nodes no other version's snapshots.
    pub(crate) async fn kin(&self, version: KongVersion) -> Vec<KongVersion> {
        if self.rules.version == VersionMatch::Exact {
            return Vec::new();
        }
        let is_kin = |other: &KongVersion| *other != version && other.major_minor() == version.major_minor();
        let asked = self.archives.iter().map(|archive| async move {
            let versions = archive.versions().await.unwrap_or_default().into_iter().filter(is_kin);
            let published = versions.map(|other| async move {
                let published = archive.published(other).await.ok().flatten();
                (published.map(|published| published.manifest.times.exported), other)
            });
            join_all(published).await
        });

        let mut kin: Vec<_> = all_in_time(asked).await.into_iter().flatten().collect();
        // A bare config.json says nothing of its time, and comes last.
        kin.sort_by_key(|(at, other)| Reverse((*at, *other)));

        let mut seen = BTreeSet::new();
        kin.into_iter().map(|(_, other)| other).filter(|other| seen.insert(*other)).collect()
    }
}

// How new a snapshot is, by the exporters' own count. A bare config.json has no count. But if it is known to be newer
// than a snapshot that has one, it is preferred to that snapshot.
fn rank(verified: &Verified, instead_of: Option<SnapshotId>) -> (bool, u64, u64) {
    match verified.provenance() {
        Provenance::Manifest(manifest) => (false, manifest.epoch, manifest.sequence),
        Provenance::BareConfigJson => (instead_of.is_some(), 0, 0),
    }
}

// All answers that come soon after the first one. Each store has its own time-outs, so there is always a first answer.
async fn all_in_time<T>(asked: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut asking: FuturesUnordered<_> = asked.collect();
    let mut answers: Vec<T> = asking.next().await.into_iter().collect();
    let until = Instant::now() + OTHERS_ANSWER_WITHIN;
    while let Ok(Some(answer)) = timeout_at(until, asking.next()).await {
        answers.push(answer);
    }
    answers
}
