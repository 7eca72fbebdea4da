//! Which snapshots there are.

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::{ObjectKeys, SnapshotId, version_of_folder};

use super::{Access, Archive, ArchiveError, MANIFEST_LIMIT};

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
    /// The manifest with which it was published; none if it never was, or the manifest can't be read.
    pub manifest: Option<Manifest>,
}

impl Archive {
    /// The versions of Kong of which there are backups.
    pub async fn versions(&self) -> Result<Vec<KongVersion>, ArchiveError> {
        let listed = self
            .retried(|| async {
                self.store
                    .list_with_delimiter(None)
                    .await
                    .map_err(|error| self.failed("its folders", Access::Listing, error))
            })
            .await?;
        let folders = listed.common_prefixes.iter().filter_map(|prefix| prefix.filename());
        let mut versions: Vec<KongVersion> = folders.filter_map(version_of_folder).collect();
        versions.sort();
        Ok(versions)
    }

    /// The newest `limit` snapshots of a version.
    pub async fn history(&self, version: KongVersion, limit: usize) -> Result<History, ArchiveError> {
        let (published, problem) = match self.published(version).await {
            Ok(published) => (published.map(|published| published.manifest.sequence), None),
            // The others may be what somebody looks for who has just found this one damaged.
            Err(error @ ArchiveError::Misconfigured { .. }) => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };
        let ids = self.snapshots(version).await?;
        let older = ids.len().saturating_sub(limit);
        let newest = ids.into_iter().rev().take(limit);
        let manifests = futures::stream::iter(newest.map(|id| self.listed(version, id))).buffered(AT_ONCE);
        Ok(History { version, published, problem, snapshots: manifests.try_collect().await?, older })
    }

    async fn listed(&self, version: KongVersion, id: SnapshotId) -> Result<Listed, ArchiveError> {
        let key = ObjectKeys::new(version).snapshot_manifest(id);
        let found = self.read_optional(&key, MANIFEST_LIMIT).await?;
        let manifest = found.and_then(|(bytes, _)| Manifest::decode(&bytes).ok());
        Ok(Listed { id, manifest })
    }

    /// All snapshots of a version, oldest first.
    pub(super) async fn snapshots(&self, version: KongVersion) -> Result<Vec<SnapshotId>, ArchiveError> {
        self.list(version, None).await
    }

    /// The highest sequence above `after` that is taken, even by what a crash left.
    pub(super) async fn highest_sequence_after(
        &self,
        version: KongVersion,
        after: u64,
    ) -> Result<Option<u64>, ArchiveError> {
        // Names sort by age, so a listing may begin where what is known ends. `~` sorts after every hash.
        let keys = ObjectKeys::new(version);
        let offset = format!("{}/{after:010}-~", keys.snapshots());
        Ok(self.list(version, Some(&offset)).await?.last().map(|id| id.sequence))
    }

    async fn list(&self, version: KongVersion, offset: Option<&str>) -> Result<Vec<SnapshotId>, ArchiveError> {
        let folder = ObjectKeys::new(version).snapshots();
        self.retried(|| async {
            let prefix = self.path(&folder);
            let stream = match offset {
                Some(offset) => self.store.list_with_offset(Some(&prefix), &self.path(offset)),
                None => self.store.list(Some(&prefix)),
            };
            let objects: Vec<_> =
                stream.try_collect().await.map_err(|error| self.failed(&folder, Access::Listing, error))?;
            let names = objects.iter().filter_map(|object| object.location.filename());
            let mut ids: Vec<SnapshotId> = names.filter_map(SnapshotId::from_file_name).collect();
            ids.sort();
            ids.dedup();
            Ok(ids)
        })
        .await
    }
}
