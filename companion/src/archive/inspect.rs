//! Looks at what lies in the store without changing a backup, to find out whether all is well.

use std::time::SystemTime;

use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::room::Sizes;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{AgeLimit, Authentic, Place};
use lifeboat_storage::{Skew, StorageError};

use super::registration::{registration, visitors_keys};
use super::{ArchiveReader, Author, Backing, MANIFEST_LIMIT, Operator, PickError, Published};

/// What `config.json` is beside a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigJson {
    /// What the manifest says.
    AsPublished,
    /// There is none.
    Absent,
    /// Something else, written after the manifest.
    Newer,
    /// Something else: it was written before the manifest or at an unknown time, or is no configuration, or is one of
    /// ours that was written late.
    Older,
}

impl ArchiveReader {
    /// Whether there is a manifest for a version of Kong, whatever is in it. That shows that objects may be read.
    ///
    /// # Errors
    /// [`StorageError::Denied`], also if the store hides whether there is one.
    pub async fn has_manifest(&self, version: KongVersion) -> Result<bool, StorageError> {
        let key = ObjectKeys::new(version).manifest();
        Ok(self.storage.read_if_it_exists(&key, MANIFEST_LIMIT).await?.is_some())
    }

    /// Whether nodes of exactly this version have a backup here that may be this old `now`. What is in it is not looked at.
    ///
    /// # Errors
    /// When the store can't be read, or the manifest isn't accepted. In that case something older may be restored.
    pub async fn backing(&self, version: KongVersion, age: AgeLimit, now: WallTime) -> Result<Backing, StorageError> {
        if let Some(published) = self.published(version).await? {
            return Ok(match age.check(&published.manifest, now) {
                Ok(()) => Backing::Found { of: version, sizes: Some(Sizes::of(&published.manifest)) },
                Err(_) => Backing::Absent,
            });
        }
        if self.policy(version).keys.demand() != Demand::Nothing || age.check_bare().is_err() {
            return Ok(Backing::Absent);
        }
        match self.config_json_tag(version).await {
            Ok(Some(_)) => Ok(Backing::Found { of: version, sizes: None }),
            Ok(None) => Ok(Backing::Absent),
            // Without the right to list, stores answer like this for an object that doesn't exist.
            Err(error) if error.is_refusal() => Ok(Backing::Absent),
            Err(error) => Err(error),
        }
    }

    /// What `config.json` is beside this manifest.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn config_json_beside(&self, published: &Published) -> Result<ConfigJson, StorageError> {
        let (manifest, keys) = (&published.manifest, ObjectKeys::new(published.manifest.kong_version));
        let found = self.storage.read_optional(&keys.config_json(), self.max_config as u64).await?;
        let Some((bytes, _)) = found else { return Ok(ConfigJson::Absent) };
        if Sha256Digest::of(&bytes) == manifest.config.sha256 {
            return Ok(ConfigJson::AsPublished);
        }

        let policy = self.policy(manifest.kong_version);
        if policy.keys.demand() == Demand::Nothing {
            // An exporter of ours that was held up may have written it late.
            match self.is_anothers(manifest.kong_version, bytes, &policy).await {
                Ok(true) => return Ok(ConfigJson::Newer),
                Ok(false) => return Ok(ConfigJson::Older),
                // Without the right to list, nobody can tell.
                Err(StorageError::Denied { .. }) => {}
                Err(error) => return Err(error),
            }
        }

        let written = self.storage.written_at(&keys.config_json()).await?;
        let published = self.storage.written_at(&keys.manifest()).await?;
        Ok(if written > published && published.is_some() { ConfigJson::Newer } else { ConfigJson::Older })
    }

    /// The published snapshot's own manifest, in the history. A restore reads it once another snapshot is published.
    /// None if a crash came before it was written.
    ///
    /// # Errors
    /// It is there and not accepted.
    pub async fn own_manifest(&self, published: &Published) -> Result<Option<Authentic>, PickError> {
        let (version, id) = (published.manifest.kong_version, published.manifest.id());
        let key = ObjectKeys::new(version).snapshot_manifest(id);
        let Some((document, _)) = self.storage.read_optional(&key, MANIFEST_LIMIT).await? else { return Ok(None) };
        self.picked(version, &key, Place::Snapshot(id), document).map(|picked| Some(picked.manifest))
    }

    /// Why the newest failed request failed, for a caller that has given up waiting.
    pub fn newest_failure(&self) -> Option<String> {
        self.storage.newest_failure()
    }

    /// How far the store's clock is from ours, by its newest answer; `now` is what ours shows now. `None` if it has not
    /// answered yet, or has no clock of its own.
    pub fn skew(&self, now: SystemTime) -> Option<Skew> {
        self.storage.skew(now)
    }
}

impl Operator {
    /// Tries to replace an object in the way in which the manifest is replaced, but one that is no backup, and deletes
    /// it if that is allowed.
    ///
    /// # Errors
    /// When the published manifest could not be replaced there.
    pub async fn try_replacing(&self, author: &Author) -> Result<(), StorageError> {
        self.storage.try_replacing(&visitors_keys(author), &registration(author)).await
    }

    /// Writes an object that is no backup, and deletes it again if that is allowed: for a role that should not be able to.
    ///
    /// # Errors
    /// [`StorageError::Denied`] is the result that such a role should have.
    pub async fn try_writing(&self, author: &Author) -> Result<(), StorageError> {
        self.storage.try_writing(&visitors_keys(author), &registration(author)).await
    }

    /// Writes an object that is no backup, compares what can be read back, and deletes it again if that is allowed.
    ///
    /// # Errors
    /// When it can't be written or read, and [`StorageError::ReadBackDiffers`].
    pub async fn try_writing_and_reading(&self, author: &Author) -> Result<(), StorageError> {
        self.storage.try_writing_and_reading(&visitors_keys(author), &registration(author)).await
    }
}
