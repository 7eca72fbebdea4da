//! Restoring from one store: the newest snapshot that verifies.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Document;
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{
    AgeLimit, Authentic, Place, Policy, Rejected, Verified, authenticate, verify, verify_bare,
};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::progress::step;
use lifeboat_storage::{StorageError, Tag};
use tracing::info;

use super::{ArchiveReader, MANIFEST_LIMIT};
use crate::settings::{Prefer, RestoreRules};

/// How many older snapshots are looked at when the newest doesn't verify.
const OLDER_TRIES: usize = 5;
/// What is refused is asked for once more after this, before something older is taken for it: rights that are just being
/// given, or credentials renewed, refuse for a moment.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What there is to give to a node.
#[derive(Debug)]
pub struct Restored {
    /// The configuration.
    pub verified: Verified,
    /// What was newer and unusable.
    pub skipped: Vec<Skipped>,
    /// For a `config.json` that somebody else has written since: what this store's manifest names, which is older.
    pub instead_of: Option<SnapshotId>,
}

/// A snapshot that isn't used.
#[derive(Debug)]
pub struct Skipped {
    /// Its object's key.
    pub key: String,
    /// Why.
    pub reason: String,
    /// That the store, or this machine, refuses it, so that nothing is known of it.
    refusal: Option<StorageError>,
}

impl Skipped {
    fn because(key: String, reason: impl ToString) -> Self {
        Self { key, reason: reason.to_string(), refusal: None }
    }

    fn refused(key: String, error: StorageError) -> Self {
        Self { key, reason: error.to_string(), refusal: Some(error) }
    }
}

/// What came of asking for an object.
enum Asked {
    Found(Bytes),
    Nothing,
    /// It is refused, also the second time.
    Refused(StorageError),
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
    /// [`StorageError::NotFound`] when there is no backup for this version, or none that verifies.
    pub async fn restore(&self, version: KongVersion) -> Result<Restored, StorageError> {
        self.restore_by(version, RestoreRules::default(), WallTime::from_system(UNIX_EPOCH)).await
    }

    /// The same by other rules: of those that are young enough `now`, and whose.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub async fn restore_by(
        &self,
        version: KongVersion,
        rules: RestoreRules,
        now: WallTime,
    ) -> Result<Restored, StorageError> {
        let age = rules.age;
        let (keys, policy) = (ObjectKeys::new(version), self.policy(version));
        let mut skipped = Vec::new();
        let mut is_refused = false;
        let newest = match self.read_twice(&keys.manifest(), MANIFEST_LIMIT).await? {
            Asked::Found(bytes) => Some(bytes),
            Asked::Nothing => None,
            Asked::Refused(error) => {
                skipped.push(Skipped::refused(keys.manifest(), error));
                is_refused = true;
                None
            }
        };

        if newest.is_none() && !is_refused && policy.keys.demand() == Demand::Nothing {
            return self.restore_bare(&policy, age).await;
        }

        // Who has keys looks at the history too: whoever can delete the manifest must not be able to stop a restore.
        let is_missing = newest.is_none() && !is_refused;

        let accepted = |bytes: &[u8], place, key, skipped: &mut Vec<Skipped>| {
            let young_enough = |manifest: Authentic| age.check(&manifest, now).map(|()| manifest);
            let document = Document::decode(bytes).map_err(Rejected::from);
            let accepted = document.and_then(|document| authenticate(&document, place, &policy)).and_then(young_enough);
            accepted.map_err(|rejected| skipped.push(Skipped::because(key, rejected))).ok()
        };

        let newest = newest.and_then(|bytes| accepted(&bytes, Place::Newest, keys.manifest(), &mut skipped));
        if let Some(manifest) = &newest
            && rules.prefer == Prefer::Newest
            && policy.keys.demand() == Demand::Nothing
            && let Some(verified) = self.newer_of_anothers(manifest, &policy, age, &mut skipped).await?
        {
            return Ok(Restored { verified, skipped, instead_of: Some(manifest.id()) });
        }

        let newest_sequence = newest.as_ref().map_or(u64::MAX, |manifest| manifest.sequence);
        if let Some(manifest) = newest
            && let Some(verified) = self.try_snapshot(&policy, manifest, &mut skipped).await?
        {
            return Ok(Restored { verified, skipped, instead_of: None });
        }

        for id in self.older(version, newest_sequence, &mut skipped).await? {
            let key = keys.snapshot_manifest(id);
            // Without a manifest of its own it was never published: a crash left it.
            let bytes = match self.read_twice(&key, MANIFEST_LIMIT).await? {
                Asked::Found(bytes) => bytes,
                Asked::Nothing => continue,
                Asked::Refused(error) => {
                    skipped.push(Skipped::refused(key, error));
                    continue;
                }
            };
            let manifest = accepted(&bytes, Place::Snapshot(id), key, &mut skipped);
            if let Some(manifest) = manifest
                && let Some(verified) = self.try_snapshot(&policy, manifest, &mut skipped).await?
            {
                return Ok(Restored { verified, skipped, instead_of: None });
            }
        }

        if is_missing {
            let key = keys.config_json();
            if self.storage.read_optional(&key, 0).await?.is_some() {
                skipped.push(Skipped::because(key, Rejected::BareConfigJson));
            } else if skipped.is_empty() {
                return Err(self.no_backup(version).await);
            }
        }

        if !is_missing && skipped.iter().any(|skip| skip.refusal.is_some()) {
            // Nothing tells whether it is older than what is refused; where nothing else can be had, it is something.
            if let Ok(bare) = self.restore_bare(&policy, age).await {
                return Ok(Restored { skipped, ..bare });
            }
            // In the store's own words, if that is all that is known.
            if let Some(refusals) = skipped.iter().map(|skip| skip.refusal.clone()).collect::<Option<Vec<_>>>() {
                return Err(refusals.into_iter().next().expect("there is one"));
            }
        }

        Err(self.nothing_usable(version, &skipped))
    }

    fn nothing_usable(&self, version: KongVersion, skipped: &[Skipped]) -> StorageError {
        let reasons: Vec<String> = skipped.iter().map(|skip| format!("{} ({})", skip.key, skip.reason)).collect();
        StorageError::NotFound {
            place: self.place().to_owned(),
            key: format!("usable backup for Kong {version}: {}", reasons.join("; ")),
        }
    }

    // What is refused twice is refused. What fails otherwise is an error: it may come back at any moment.
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

    // The snapshots to fall back to, newest first. Where listing is denied, what is known so far must still be said.
    async fn older(
        &self,
        version: KongVersion,
        below: u64,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<SnapshotId>, StorageError> {
        match self.snapshots(version).await {
            Ok(ids) => Ok(ids.into_iter().rev().filter(|id| id.sequence < below).take(OLDER_TRIES).collect()),
            Err(error) if error.is_refusal() && !skipped.is_empty() => {
                skipped.push(Skipped::refused(ObjectKeys::new(version).snapshots(), error));
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    // `None` when it doesn't verify or is refused; an error when the store fails, since then nothing is known of it.
    async fn try_snapshot(
        &self,
        policy: &Policy,
        manifest: Authentic,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Option<Verified>, StorageError> {
        let key = manifest.snapshot.key.clone();
        if let Err(rejected) = policy.check_seal(&manifest) {
            skipped.push(Skipped::because(key, rejected));
            return Ok(None);
        }

        let payload = match self.read_twice(&key, manifest.snapshot.bytes).await? {
            Asked::Found(payload) => payload,
            Asked::Nothing => {
                skipped.push(Skipped::because(key, "it is missing"));
                return Ok(None);
            }
            Asked::Refused(error) => {
                skipped.push(Skipped::refused(key, error));
                return Ok(None);
            }
        };

        let policy = policy.clone();
        let verified = computed(move || verify(manifest, payload, &policy)).await;
        Ok(verified.map_err(|rejected| skipped.push(Skipped::because(key, rejected))).ok())
    }

    // What another exporter has written at config.json since the manifest, if there is one and it can be used.
    async fn newer_of_anothers(
        &self,
        manifest: &Authentic,
        policy: &Policy,
        age: AgeLimit,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Option<Verified>, StorageError> {
        let key = ObjectKeys::new(policy.version).config_json();
        let json = match self.read_twice(&key, self.max_config as u64).await? {
            Asked::Found(json) => json,
            Asked::Nothing => return Ok(None),
            // The manifest's own snapshot is as good, for all that is known.
            Asked::Refused(error) => {
                skipped.push(Skipped::refused(key, error));
                return Ok(None);
            }
        };

        if Sha256Digest::of(&json) == manifest.config.sha256 {
            return Ok(None);
        }
        match self.is_anothers(policy.version, json.clone(), policy).await {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // It is newer, and only who may list can tell whether it is one of ours, written late.
            Err(StorageError::Denied { .. }) => {}
            Err(error) => return Err(error),
        }

        let policy = policy.clone();
        let checked = computed(move || age.check_bare().and_then(|()| verify_bare(json, &policy))).await;
        Ok(checked.map_err(|rejected| skipped.push(Skipped::because(key, rejected))).ok())
    }

    async fn restore_bare(&self, policy: &Policy, age: AgeLimit) -> Result<Restored, StorageError> {
        let version = policy.version;
        let key = ObjectKeys::new(version).config_json();
        let Some((json, _)) = self.storage.read_optional(&key, self.max_config as u64).await? else {
            return Err(self.no_backup(version).await);
        };
        let policy = policy.clone();
        let checked = computed(move || age.check_bare().and_then(|()| verify_bare(json, &policy))).await;
        let verified = checked.map_err(|rejected| StorageError::NotFound {
            place: self.place().to_owned(),
            key: format!("usable backup for Kong {version}: {key}: {rejected}"),
        })?;
        Ok(Restored { verified, skipped: Vec::new(), instead_of: None })
    }

    pub(super) async fn no_backup(&self, version: KongVersion) -> StorageError {
        let (config_json, others) = (ObjectKeys::new(version).config_json(), self.other_versions(version).await);
        let key = format!("backup for Kong {version}: neither a manifest nor {config_json}{others}");
        StorageError::NotFound { place: self.place().to_owned(), key }
    }

    // A wrong version is the likeliest reason for an empty path. Where listing is denied, nothing is said of it.
    async fn other_versions(&self, asked: KongVersion) -> String {
        let versions = self.versions().await.unwrap_or_default();
        // Its folder is there as soon as a backup node has registered.
        let others: Vec<String> =
            versions.iter().filter(|version| **version != asked).map(ToString::to_string).collect();
        if others.is_empty() { String::new() } else { format!(" (there are backups for Kong {})", others.join(", ")) }
    }
}
