//! Restoring from one store: the newest snapshot that verifies.

use std::time::UNIX_EPOCH;

use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Document;
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{
    AgeLimit, Authentic, Place, Policy, Rejected, Verified, authenticate, verify, verify_bare,
};

use super::{Archive, MANIFEST_LIMIT};
use crate::background::computed;
use crate::settings::{Prefer, RestoreRules};
use crate::storage::StorageError;

/// How many older snapshots are looked at when the newest doesn't verify.
const OLDER_TRIES: usize = 5;

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
}

impl Archive {
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
        let newest = self.storage.read_optional(&keys.manifest(), MANIFEST_LIMIT).await?;
        if newest.is_none() && policy.keys.demand() == Demand::Nothing {
            return self.restore_bare(&policy, age).await;
        }
        // Who has keys looks at the history too: whoever can delete the manifest must not be able to stop a restore.
        let is_missing = newest.is_none();
        let accepted = |bytes: &[u8], place, key, skipped: &mut Vec<Skipped>| {
            let young_enough = |manifest: Authentic| age.check(&manifest, now).map(|()| manifest);
            let document = Document::decode(bytes).map_err(Rejected::from);
            let accepted = document.and_then(|document| authenticate(&document, place, &policy)).and_then(young_enough);
            accepted.map_err(|rejected| skipped.push(Skipped { key, reason: rejected.to_string() })).ok()
        };
        let newest = newest.and_then(|(bytes, _)| accepted(&bytes, Place::Newest, keys.manifest(), &mut skipped));
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
            let Some((bytes, _)) = self.storage.read_optional(&key, MANIFEST_LIMIT).await? else { continue };
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
                skipped.push(Skipped { key, reason: Rejected::BareConfigJson.to_string() });
            } else if skipped.is_empty() {
                return Err(self.no_backup(version).await);
            }
        }
        let reasons: Vec<String> = skipped.iter().map(|skip| format!("{} ({})", skip.key, skip.reason)).collect();
        Err(StorageError::NotFound {
            place: self.place().to_owned(),
            key: format!("usable backup for Kong {version}: {}", reasons.join("; ")),
        })
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
            Err(error @ StorageError::Denied { .. }) if !skipped.is_empty() => {
                skipped.push(Skipped { key: ObjectKeys::new(version).snapshots(), reason: error.to_string() });
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }

    // `None` when it doesn't verify; an error when the store fails, since then nothing is known of it.
    async fn try_snapshot(
        &self,
        policy: &Policy,
        manifest: Authentic,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Option<Verified>, StorageError> {
        let key = manifest.snapshot.key.clone();
        let reason = match policy.check_seal(&manifest) {
            Err(rejected) => rejected.to_string(),
            Ok(()) => match self.storage.read_optional(&key, manifest.snapshot.bytes).await? {
                None => "it is missing".to_owned(),
                Some((payload, _)) => {
                    let policy = policy.clone();
                    match computed(move || verify(manifest, payload, &policy)).await {
                        Ok(verified) => return Ok(Some(verified)),
                        Err(rejected) => rejected.to_string(),
                    }
                }
            },
        };
        skipped.push(Skipped { key, reason });
        Ok(None)
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
        let Some((json, _)) = self.storage.read_optional(&key, self.max_config as u64).await? else { return Ok(None) };
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
        Ok(checked.map_err(|rejected| skipped.push(Skipped { key, reason: rejected.to_string() })).ok())
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
