//! Restoring: the newest snapshot that verifies.

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::{Verified, verify, verify_bare};

use super::{Archive, MANIFEST_LIMIT};
use crate::background::computed;
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
    /// all.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] when there is no backup for this version, or none that verifies.
    pub async fn restore(&self, version: KongVersion) -> Result<Restored, StorageError> {
        let keys = ObjectKeys::new(version);
        let mut skipped = Vec::new();
        let newest = match self.storage.read_optional(&keys.manifest(), MANIFEST_LIMIT).await? {
            None => return self.restore_bare(version).await,
            Some((bytes, _)) => match Manifest::decode(&bytes) {
                Ok(manifest) => Some(manifest),
                Err(error) => {
                    skipped.push(Skipped { key: keys.manifest(), reason: error.to_string() });
                    None
                }
            },
        };
        let newest_sequence = newest.as_ref().map_or(u64::MAX, |manifest| manifest.sequence);
        if let Some(manifest) = newest
            && let Some(verified) = self.try_snapshot(version, manifest, &mut skipped).await?
        {
            return Ok(Restored { verified, skipped });
        }
        let older = self.snapshots(version).await?.into_iter().rev().filter(|id| id.sequence < newest_sequence);
        for id in older.take(OLDER_TRIES) {
            let key = keys.snapshot_manifest(id);
            // Without a manifest of its own it was never published: a crash left it.
            let Some((bytes, _)) = self.storage.read_optional(&key, MANIFEST_LIMIT).await? else { continue };
            match Manifest::decode(&bytes) {
                Ok(manifest) => {
                    if let Some(verified) = self.try_snapshot(version, manifest, &mut skipped).await? {
                        return Ok(Restored { verified, skipped });
                    }
                }
                Err(error) => skipped.push(Skipped { key, reason: error.to_string() }),
            }
        }
        let reasons: Vec<String> = skipped.iter().map(|skip| format!("{} ({})", skip.key, skip.reason)).collect();
        Err(StorageError::NotFound {
            place: self.place().to_owned(),
            key: format!("usable backup for Kong {version}: {}", reasons.join("; ")),
        })
    }

    // `None` when it doesn't verify; an error when the store fails, since then nothing is known of it.
    async fn try_snapshot(
        &self,
        version: KongVersion,
        manifest: Manifest,
        skipped: &mut Vec<Skipped>,
    ) -> Result<Option<Verified>, StorageError> {
        let key = manifest.snapshot.key.clone();
        let reason = match self.storage.read_optional(&key, manifest.snapshot.bytes).await? {
            None => "it is missing".to_owned(),
            Some((payload, _)) => {
                let policy = self.policy(version);
                match computed(move || verify(manifest, payload, &policy)).await {
                    Ok(verified) => return Ok(Some(verified)),
                    Err(rejected) => rejected.to_string(),
                }
            }
        };
        skipped.push(Skipped { key, reason });
        Ok(None)
    }

    async fn restore_bare(&self, version: KongVersion) -> Result<Restored, StorageError> {
        let key = ObjectKeys::new(version).config_json();
        let Some((json, _)) = self.storage.read_optional(&key, self.max_config as u64).await? else {
            let others = self.other_versions().await;
            let key = format!("backup for Kong {version}: neither a manifest nor {key}{others}");
            return Err(StorageError::NotFound { place: self.place().to_owned(), key });
        };
        let policy = self.policy(version);
        let checked = computed(move || verify_bare(json, &policy)).await;
        let verified = checked.map_err(|rejected| StorageError::NotFound {
            place: self.place().to_owned(),
            key: format!("usable backup for Kong {version}: {key}: {rejected}"),
        })?;
        Ok(Restored { verified, skipped: Vec::new() })
    }

    // A wrong version is the likeliest reason for an empty path. Where listing is denied, nothing is said of it.
    async fn other_versions(&self) -> String {
        match self.versions().await {
            Ok(versions) if !versions.is_empty() => {
                let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
                format!(" (there are backups for Kong {})", versions.join(", "))
            }
            Ok(_) | Err(_) => String::new(),
        }
    }
}
