//! Restoring from one store: the newest snapshot that verifies.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Authentic, Place, Policy, Rejected, Verified, VerifiedImage, verify, verify_bare};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::progress::step;
use lifeboat_storage::{StorageError, Tag};
use tracing::info;

use super::{ArchiveReader, MANIFEST_LIMIT, authentic};
use crate::settings::{Prefer, RestoreRules};

/// How many older snapshots are looked at when the newest doesn't verify.
const OLDER_TRIES: usize = 5;
/// The pause before a refused object is asked for once more. Only then is something older used instead: while rights
/// are being granted or credentials renewed, a store refuses for a moment.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// The snapshot that a node can be given.
#[derive(Debug)]
pub struct Restored {
    /// The configuration.
    pub verified: Verified,
    /// What was newer and unusable.
    pub skipped: Vec<Skipped>,
    /// If this is a `config.json` that somebody else has written since: the older snapshot that this store's manifest
    /// names.
    pub instead_of: Option<SnapshotId>,
}

/// A snapshot that isn't used.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// Its object's key.
    pub key: String,
    /// Why.
    pub reason: String,
    /// The error, if the store or this machine refuses access, so that nothing is known about the snapshot.
    refusal: Option<StorageError>,
}

/// Why a store has nothing to give.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestoreError {
    /// It can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It has no backup of this version.
    #[error("{place}: {}", .what)]
    NoBackup {
        /// The store.
        place: String,
        /// Of which version, and of which others it has one.
        what: NoBackup,
    },
    /// It has backups of this version, but none of them can be used.
    #[error("{place}: {}", no_usable_backup(*.version, .rejected))]
    NoUsableBackup {
        /// The store.
        place: String,
        /// The version.
        version: KongVersion,
        /// All that were looked at, and why they are not used.
        rejected: Vec<Skipped>,
    },
}

/// That there is no backup of a version of Kong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoBackup {
    /// The version.
    pub version: KongVersion,
    /// The versions of which there is a backup, because a wrong version is the likeliest mistake. Empty if they can't
    /// be listed.
    pub others: Vec<KongVersion>,
}

/// What came of asking for an object.
enum Asked {
    Found(Bytes),
    Nothing,
    /// It is refused, even the second time.
    Refused(StorageError),
}

/// A restore under way.
struct Search<'a> {
    archive: &'a ArchiveReader,
    policy: Policy,
    rules: RestoreRules,
    now: WallTime,
    skipped: Vec<Skipped>,
}

impl RestoreError {
    /// Its class: one word, as [`StorageError::class`].
    pub fn class(&self) -> &'static str {
        match self {
            Self::Storage(error) => error.class(),
            Self::NoBackup { .. } | Self::NoUsableBackup { .. } => "not_found",
        }
    }

    /// The store, for people.
    pub fn place(&self) -> &str {
        match self {
            Self::Storage(error) => error.place(),
            Self::NoBackup { place, .. } | Self::NoUsableBackup { place, .. } => place,
        }
    }

    /// What is missing, without the store's name; none if the store can't be read.
    pub fn missing(&self) -> Option<String> {
        match self {
            Self::Storage(_) => None,
            Self::NoBackup { what, .. } => Some(what.to_string()),
            Self::NoUsableBackup { version, rejected, .. } => Some(no_usable_backup(*version, rejected)),
        }
    }
}

/// Why the image of a node's cache that lies with a snapshot is not restored.
#[derive(Debug, thiserror::Error)]
pub enum NoImage {
    /// The snapshot is refused.
    #[error("snapshot {sequence} in {place}: {rejected}")]
    Rejected {
        /// The store.
        place: String,
        /// The snapshot's number.
        sequence: u64,
        /// Why.
        rejected: Rejected,
    },
    /// None was taken.
    #[error(
        "snapshot {sequence} of Kong {version} in {place} has no image of a node's cache, and Kong {version} caches in nothing \
         else. Restore the node through the relay (lifeboat run --import on) or with a declarative file (lifeboat exec), or \
         let an exporter beside a data plane keep images (LIFEBOAT_CACHE_IMAGE=on)"
    )]
    NotTaken {
        /// The store.
        place: String,
        /// The snapshot's number.
        sequence: u64,
        /// Its version of Kong.
        version: KongVersion,
    },
    /// It can't be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

fn no_usable_backup(version: KongVersion, rejected: &[Skipped]) -> String {
    let reasons: Vec<String> = rejected.iter().map(|skip| format!("{} ({})", skip.key, skip.reason)).collect();
    format!("there is no usable backup for Kong {version}: {}", reasons.join("; "))
}

impl fmt::Display for NoBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, others } = self;
        let config_json = ObjectKeys::new(*version).config_json();
        write!(f, "there is no backup for Kong {version}: neither a manifest nor {config_json}")?;
        if !others.is_empty() {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            write!(f, " (there are backups for Kong {})", others.join(", "))?;
        }
        Ok(())
    }
}

impl Skipped {
    fn because(key: String, reason: impl ToString) -> Self {
        Self { key, reason: reason.to_string(), refusal: None }
    }

    fn refused(key: String, error: StorageError) -> Self {
        Self { key, reason: error.to_string(), refusal: Some(error) }
    }
}

impl From<Option<(Bytes, Tag)>> for Asked {
    fn from(read: Option<(Bytes, Tag)>) -> Self {
        read.map_or(Self::Nothing, |(bytes, _)| Self::Found(bytes))
    }
}

impl ArchiveReader {
    /// The newest snapshot for a version of Kong that verifies; a bare `config.json` only where there is no manifest at
    /// all and no keys are set.
    ///
    /// # Errors
    /// When there is no backup for this version, or none that verifies, or the store can't be read.
    pub async fn restore(&self, version: KongVersion) -> Result<Restored, RestoreError> {
        self.restore_by(version, RestoreRules::default(), WallTime::from_system(UNIX_EPOCH)).await
    }

    /// The same by these rules: how old a snapshot may be `now`, and whether a newer `config.json` of another exporter
    /// is preferred.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub async fn restore_by(
        &self,
        version: KongVersion,
        rules: RestoreRules,
        now: WallTime,
    ) -> Result<Restored, RestoreError> {
        let key = ObjectKeys::new(version).manifest();
        let newest = self.read_twice(&key, MANIFEST_LIMIT).await?;
        let is_missing = matches!(newest, Asked::Nothing);
        let mut search = Search { archive: self, policy: self.policy(version), rules, now, skipped: Vec::new() };
        if is_missing && search.trusts_anybody() {
            return search.bare().await;
        }

        // With keys, the history is searched, too: deleting the manifest must not be enough to prevent a restore.
        let found = search.found(newest, &key);
        let newest = found.and_then(|bytes| search.accepted(&bytes, Place::Newest, key));
        if let Some(manifest) = &newest
            && let Some(verified) = search.newer_of_anothers(manifest).await?
        {
            return Ok(search.restored(verified, Some(manifest.id())));
        }

        let newest_sequence = newest.as_ref().map_or(u64::MAX, |manifest| manifest.sequence);
        if let Some(manifest) = newest
            && let Some(verified) = search.verified(manifest).await?
        {
            return Ok(search.restored(verified, None));
        }
        match search.in_the_history(newest_sequence).await? {
            Some(verified) => Ok(search.restored(verified, None)),
            None => search.without_a_snapshot(is_missing).await,
        }
    }

    /// The image of a node's cache that lies with this snapshot, if the snapshot may be restored `now` by these rules.
    ///
    /// # Errors
    /// When it may not be, when there is no image, or the store can't be read.
    pub async fn restore_image(
        &self,
        manifest: &Authentic,
        rules: RestoreRules,
        now: WallTime,
    ) -> Result<VerifiedImage, NoImage> {
        let (place, sequence, version) = (self.place().to_owned(), manifest.sequence, manifest.kong_version);
        if let Err(rejected) = rules.age.check(manifest, now) {
            return Err(NoImage::Rejected { place, sequence, rejected });
        }
        self.cache_image(manifest).await?.ok_or(NoImage::NotTaken { place, sequence, version })
    }

    // Two refusals count as a refusal. Any other failure is an error, because the store may work again at any moment.
    async fn read_twice(&self, key: &str, limit: u64) -> Result<Asked, StorageError> {
        let first = match self.storage.read_optional(key, limit).await {
            Err(error) if error.is_refusal() => error,
            read => return Ok(Asked::from(read?)),
        };
        info!("{first}: it is asked for once more in {} s", AGAIN_AFTER.as_secs());

        let _progress = step(format_args!("waiting before {key} is asked for once more"));
        tokio::time::sleep(AGAIN_AFTER).await;
        match self.storage.read_optional(key, limit).await {
            Err(error) if error.is_refusal() => Ok(Asked::Refused(error)),
            read => Ok(Asked::from(read?)),
        }
    }

    pub(super) async fn no_backup(&self, version: KongVersion) -> NoBackup {
        // If listing is denied, no other versions are named. (A folder exists as soon as a backup node has registered.)
        let mut others = self.versions().await.unwrap_or_default();
        others.retain(|other| *other != version);
        NoBackup { version, others }
    }
}

impl Search<'_> {
    // Without keys, everything in the store is trusted, even a bare config.json.
    fn trusts_anybody(&self) -> bool {
        self.policy.keys.demand() == Demand::Nothing
    }

    fn restored(self, verified: Verified, instead_of: Option<SnapshotId>) -> Restored {
        Restored { verified, skipped: self.skipped, instead_of }
    }

    fn skip<T>(&mut self, skipped: Skipped) -> Option<T> {
        self.skipped.push(skipped);
        None
    }

    fn found(&mut self, asked: Asked, key: &str) -> Option<Bytes> {
        match asked {
            Asked::Found(bytes) => Some(bytes),
            Asked::Nothing => None,
            Asked::Refused(error) => self.skip(Skipped::refused(key.to_owned(), error)),
        }
    }

    fn accepted(&mut self, bytes: &[u8], place: Place, key: String) -> Option<Authentic> {
        let young_enough = |manifest: Authentic| self.rules.age.check(&manifest, self.now).map(|()| manifest);
        match authentic(bytes, place, &self.policy).and_then(young_enough) {
            Ok(manifest) => Some(manifest),
            Err(rejected) => self.skip(Skipped::because(key, rejected)),
        }
    }

    async fn in_the_history(&mut self, below: u64) -> Result<Option<Verified>, StorageError> {
        let keys = ObjectKeys::new(self.policy.version);
        for id in self.older(below).await? {
            let key = keys.snapshot_manifest(id);
            // A snapshot without its own manifest was never published: a crash left it.
            let asked = self.archive.read_twice(&key, MANIFEST_LIMIT).await?;
            let Some(bytes) = self.found(asked, &key) else { continue };
            if let Some(manifest) = self.accepted(&bytes, Place::Snapshot(id), key)
                && let Some(verified) = self.verified(manifest).await?
            {
                return Ok(Some(verified));
            }
        }
        Ok(None)
    }

    // The snapshots to fall back to, newest first. If listing is denied, what was skipped so far must still be
    // reported.
    async fn older(&mut self, below: u64) -> Result<Vec<SnapshotId>, StorageError> {
        match self.archive.snapshots(self.policy.version).await {
            Ok(ids) => Ok(ids.into_iter().rev().filter(|id| id.sequence < below).take(OLDER_TRIES).collect()),
            Err(error) if error.is_refusal() && !self.skipped.is_empty() => {
                self.skipped.push(Skipped::refused(ObjectKeys::new(self.policy.version).snapshots(), error));
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    // `None` if it doesn't verify, is missing or is refused. An error if the store fails, because then nothing is
    // known.
    async fn verified(&mut self, manifest: Authentic) -> Result<Option<Verified>, StorageError> {
        let key = manifest.snapshot.key.clone();
        if let Err(rejected) = self.policy.check_seal(&manifest) {
            return Ok(self.skip(Skipped::because(key, rejected)));
        }

        let payload = match self.archive.read_twice(&key, manifest.snapshot.bytes).await? {
            Asked::Found(payload) => payload,
            Asked::Nothing => return Ok(self.skip(Skipped::because(key, "it is missing"))),
            Asked::Refused(error) => return Ok(self.skip(Skipped::refused(key, error))),
        };

        let policy = self.policy.clone();
        match computed(move || verify(manifest, payload, &policy)).await {
            Ok(verified) => Ok(Some(verified)),
            Err(rejected) => Ok(self.skip(Skipped::because(key, rejected))),
        }
    }

    // The config.json that another exporter has written since the manifest, if the rules ask for it and it can be used.
    async fn newer_of_anothers(&mut self, manifest: &Authentic) -> Result<Option<Verified>, StorageError> {
        if self.rules.prefer != Prefer::Newest || !self.trusts_anybody() {
            return Ok(None);
        }
        let (archive, version) = (self.archive, self.policy.version);
        let key = ObjectKeys::new(version).config_json();
        // If config.json is refused, the manifest's own snapshot is used.
        let asked = archive.read_twice(&key, archive.max_config as u64).await?;
        let Some(json) = self.found(asked, &key) else { return Ok(None) };
        if Sha256Digest::of(&json) == manifest.config.sha256 {
            return Ok(None);
        }

        match archive.is_anothers(version, json.clone(), &self.policy).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // It is newer. Without the right to list, nobody can tell whether it is one of ours that was written late.
            Err(StorageError::Denied { .. }) => {}
            Err(error) => return Err(error),
        }

        match self.verified_bare(json).await {
            Ok(verified) => Ok(Some(verified)),
            Err(rejected) => Ok(self.skip(Skipped::because(key, rejected))),
        }
    }

    async fn verified_bare(&self, json: Bytes) -> Result<Verified, Rejected> {
        let (age, policy) = (self.rules.age, self.policy.clone());
        computed(move || age.check_bare().and_then(|()| verify_bare(json, &policy))).await
    }

    async fn bare(&self) -> Result<Restored, RestoreError> {
        let (archive, version) = (self.archive, self.policy.version);
        let (place, key) = (archive.place().to_owned(), ObjectKeys::new(version).config_json());
        let Some((json, _)) = archive.storage.read_optional(&key, archive.max_config as u64).await? else {
            return Err(RestoreError::NoBackup { place, what: archive.no_backup(version).await });
        };

        match self.verified_bare(json).await {
            Ok(verified) => Ok(Restored { verified, skipped: Vec::new(), instead_of: None }),
            Err(rejected) => {
                let rejected = vec![Skipped::because(key, rejected)];
                Err(RestoreError::NoUsableBackup { place, version, rejected })
            }
        }
    }

    // No snapshot can be used. If the store refuses access to newer ones, a bare config.json is better than nothing.
    async fn without_a_snapshot(mut self, manifest_is_missing: bool) -> Result<Restored, RestoreError> {
        let (archive, version) = (self.archive, self.policy.version);
        let place = archive.place().to_owned();
        if manifest_is_missing {
            let key = ObjectKeys::new(version).config_json();
            if archive.storage.read_optional(&key, 0).await?.is_some() {
                self.skipped.push(Skipped::because(key, Rejected::BareConfigJson));
            } else if self.skipped.is_empty() {
                return Err(RestoreError::NoBackup { place, what: archive.no_backup(version).await });
            }
        } else if self.skipped.iter().any(|skip| skip.refusal.is_some()) {
            if let Ok(bare) = self.bare().await {
                return Ok(Restored { skipped: self.skipped, ..bare });
            }
            // If all were refused, the store's own error says it best.
            let refusals: Option<Vec<_>> = self.skipped.iter().map(|skip| skip.refusal.clone()).collect();
            if let Some(refusal) = refusals.and_then(|refusals| refusals.into_iter().next()) {
                return Err(refusal.into());
            }
        }

        Err(RestoreError::NoUsableBackup { place, version, rejected: self.skipped })
    }
}
