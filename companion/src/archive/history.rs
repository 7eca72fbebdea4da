//! Which snapshots there are.

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Document, Manifest};
use lifeboat_core::object_key::{ObjectKeys, SnapshotId, version_of_folder};
use lifeboat_core::verify::{Place, Rejected, authenticate};

use super::{Archive, MANIFEST_LIMIT};
use crate::storage::StorageError;

const AT_ONCE: usize = 8;

/// One version's snapshots.
#[derive(Debug)]
pub struct History {
    /// The version of Kong.
    pub version: KongVersion,
    /// Which one is published: its sequence.
    pub published: Option<u64>,
    /// Why that is not known, if the manifest that says so can't be read.
    pub problem: Option<String>,
    /// The newest, newest first.
    pub snapshots: Vec<Listed>,
    /// How many there are besides.
    pub older: usize,
}

/// A snapshot in a listing.
#[derive(Debug)]
pub struct Listed {
    /// Which one.
    pub id: SnapshotId,
    /// The manifest with which it was published; none if it never was, or the manifest is not accepted.
    pub manifest: Option<Manifest>,
    /// Why the manifest is not accepted, if there is one.
    pub refused: Option<String>,
}

impl Archive {
    /// The versions of Kong of which there are backups.
    pub async fn versions(&self) -> Result<Vec<KongVersion>, StorageError> {
        let folders = self.storage.folders().await?;
        let mut versions: Vec<KongVersion> = folders.iter().filter_map(|name| version_of_folder(name)).collect();
        versions.sort();
        Ok(versions)
    }

    /// The newest `limit` snapshots of a version.
    pub async fn history(&self, version: KongVersion, limit: usize) -> Result<History, StorageError> {
        let (published, problem) = match self.published(version).await {
            Ok(published) => (published.map(|published| published.manifest.sequence), None),
            // The others may be what somebody looks for who has just found this one damaged.
            Err(error @ StorageError::Misconfigured { .. }) => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let ids = self.snapshots(version).await?;
        let older = ids.len().saturating_sub(limit);
        let newest = ids.into_iter().rev().take(limit);
        let manifests = futures::stream::iter(newest.map(|id| self.listed(version, id))).buffered(AT_ONCE);
        Ok(History { version, published, problem, snapshots: manifests.try_collect().await?, older })
    }

    async fn listed(&self, version: KongVersion, id: SnapshotId) -> Result<Listed, StorageError> {
        let key = ObjectKeys::new(version).snapshot_manifest(id);
        let Some((bytes, _)) = self.storage.read_optional(&key, MANIFEST_LIMIT).await? else {
            return Ok(Listed { id, manifest: None, refused: None });
        };
        let document = Document::decode(&bytes).map_err(Rejected::from);
        let policy = self.policy(version);
        Ok(match document.and_then(|document| authenticate(&document, Place::Snapshot(id), &policy)) {
            Ok(manifest) => Listed { id, manifest: Some((*manifest).clone()), refused: None },
            Err(rejected) => Listed { id, manifest: None, refused: Some(rejected.to_string()) },
        })
    }

    /// All snapshots of a version, oldest first.
    pub(super) async fn snapshots(&self, version: KongVersion) -> Result<Vec<SnapshotId>, StorageError> {
        self.list(version, None).await
    }

    /// The highest sequence above `after` and not above `highest` that is taken, even by what a crash left.
    pub(super) async fn highest_sequence_between(
        &self,
        version: KongVersion,
        after: u64,
        highest: u64,
    ) -> Result<Option<u64>, StorageError> {
        // Names sort by age, so a listing may begin where what is known ends. `~` sorts after every hash.
        let keys = ObjectKeys::new(version);
        let offset = format!("{}/{after:010}-~", keys.snapshots());
        let taken = self.list(version, Some(&offset)).await?;
        Ok(taken.iter().rev().map(|id| id.sequence).find(|sequence| (after + 1..=highest).contains(sequence)))
    }

    async fn list(&self, version: KongVersion, after: Option<&str>) -> Result<Vec<SnapshotId>, StorageError> {
        let keys = self.storage.list(&ObjectKeys::new(version).snapshots(), after).await?;
        let names = keys.iter().filter_map(|key| key.rsplit('/').next());
        let mut ids: Vec<SnapshotId> = names.filter_map(SnapshotId::from_file_name).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }
}
