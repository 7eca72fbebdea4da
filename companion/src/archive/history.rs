//! Which snapshots there are.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use lifeboat_core::export::history::Past;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::{HistoryState, ObjectKeys, SnapshotFile, SnapshotId, version_of_folder};
use lifeboat_core::verify::Place;
use lifeboat_runtime::progress::step;
use lifeboat_storage::StorageError;

use super::{ArchiveReader, MANIFEST_LIMIT, Published, authentic};

const AT_ONCE: usize = 8;
/// How many numbers below the published one a listing of the newest begins. One page of 1,000 objects shows all of
/// these snapshots, since each has two or three objects.
const PAGE: u64 = 330;
/// If too few are found, because old snapshots are deleted, the next listing begins so many times as far below.
const FURTHER: u64 = 16;

/// One version's snapshots.
#[derive(Debug)]
pub struct History {
    /// The version of Kong.
    pub version: KongVersion,
    /// Which one is published: its sequence.
    pub published: Option<u64>,
    /// Why it is not known which one is published, if the manifest can't be read.
    pub problem: Option<String>,
    /// The newest, newest first; after them the published one, if it is older.
    pub snapshots: Vec<Listed>,
    /// How many further snapshots there are; none if they were not counted.
    pub older: Option<usize>,
}

/// How much of a history is looked at to find its newest snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it, to count the older snapshots.
    Whole,
    /// As little as is needed: a listing that begins near the published one.
    Newest,
}

/// A snapshot in a listing.
#[derive(Debug)]
pub struct Listed {
    /// Which one.
    pub id: SnapshotId,
    /// What became of it.
    pub state: HistoryState,
    /// The manifest with which it was published or held; none if it never was, or the manifest is not accepted.
    pub manifest: Option<Manifest>,
    /// Why the manifest is not accepted, or can't be read, if there is one.
    pub refused: Option<String>,
}

impl ArchiveReader {
    /// The versions of Kong of which there are backups.
    pub async fn versions(&self) -> Result<Vec<KongVersion>, StorageError> {
        let folders = self.storage.folders().await?;
        let mut versions: Vec<KongVersion> = folders.iter().filter_map(|name| version_of_folder(name)).collect();
        versions.sort();
        Ok(versions)
    }

    /// The newest `limit` snapshots of a version.
    pub async fn history(&self, version: KongVersion, limit: usize, extent: Extent) -> Result<History, StorageError> {
        let (published, problem) = match self.published(version).await {
            Ok(published) => (published, None),
            // The caller may have just found this one damaged, and be looking for the others.
            Err(error) if error.is_refusal() => (None, Some(error.to_string())),
            Err(error) => return Err(error),
        };

        let named = published.as_ref().map(|published| published.manifest.id());
        let (past, is_whole) = match (extent, named) {
            (Extent::Newest, Some(named)) => self.newest(version, limit, named.sequence).await?,
            (Extent::Newest, None) | (Extent::Whole, _) => (self.past(version).await?, true),
        };
        let past = with_named(past, named);
        let is_named = |past: &Past| Some(past.id) == named;
        let newest_first = past.iter().rev().copied().enumerate();
        let shown: Vec<Past> =
            newest_first.filter(|(index, past)| *index < limit || is_named(past)).map(|(_, past)| past).collect();
        let older = is_whole.then(|| past.len() - shown.len());

        let listed = shown.into_iter().map(|past| self.listed(version, past, published.as_ref()));
        let (progress, count, mut done) =
            (step(format_args!("listing the snapshots of Kong {version}")), listed.len() as u64, 0);
        let count_one = |_: &Listed| {
            done += 1;
            progress.reached(done, count);
        };

        let snapshots = futures::stream::iter(listed).buffered(AT_ONCE).inspect_ok(count_one).try_collect().await?;
        Ok(History { version, published: named.map(|id| id.sequence), problem, snapshots, older })
    }

    async fn listed(
        &self,
        version: KongVersion,
        Past { id, state }: Past,
        published: Option<&Published>,
    ) -> Result<Listed, StorageError> {
        // What it says now: why it is published may have changed, and its own manifest may not be there yet.
        if let Some(Published { manifest, .. }) = published.filter(|published| published.manifest.id() == id) {
            return Ok(Listed { id, state, manifest: Some((**manifest).clone()), refused: None });
        }

        if state == HistoryState::Leftover {
            return Ok(Listed { id, state, manifest: None, refused: None });
        }

        let (key, place) = manifest_of(version, Past { id, state });
        let bytes = match self.storage.read_optional(&key, MANIFEST_LIMIT).await {
            Ok(Some((bytes, _))) => bytes,
            Ok(None) => return Ok(Listed { id, state: HistoryState::Leftover, manifest: None, refused: None }),
            // The others may be readable.
            Err(error) if error.is_refusal() => {
                return Ok(Listed { id, state, manifest: None, refused: Some(error.to_string()) });
            }
            Err(error) => return Err(error),
        };

        Ok(match authentic(&bytes, place, &self.policy(version)) {
            Ok(manifest) => Listed { id, state, manifest: Some((*manifest).clone()), refused: None },
            Err(rejected) => Listed { id, state, manifest: None, refused: Some(rejected.to_string()) },
        })
    }

    /// At least the newest `limit` snapshots of a version, oldest first, and whether these are all. Found from the
    /// published one's number.
    async fn newest(
        &self,
        version: KongVersion,
        limit: usize,
        published: u64,
    ) -> Result<(Vec<Past>, bool), StorageError> {
        let page = PAGE.max(limit as u64);
        for reach in [page, page.saturating_mul(FURTHER)] {
            let after = published.saturating_sub(reach);
            if after == 0 {
                break;
            }
            let past = self.list(version, Some(after)).await?;
            if past.len() >= limit {
                return Ok((past, false));
            }
        }
        Ok((self.past(version).await?, true))
    }

    /// All snapshots of a version, oldest first, and what became of them as far as their names tell.
    pub async fn past(&self, version: KongVersion) -> Result<Vec<Past>, StorageError> {
        self.list(version, None).await
    }

    /// The snapshots of a version from this number on, oldest first.
    pub(super) async fn past_from(&self, version: KongVersion, sequence: u64) -> Result<Vec<Past>, StorageError> {
        self.list(version, Some(sequence.saturating_sub(1))).await
    }

    /// The snapshots of a version that were published, oldest first.
    pub(super) async fn snapshots(&self, version: KongVersion) -> Result<Vec<SnapshotId>, StorageError> {
        let past = self.past(version).await?;
        Ok(past.into_iter().filter(|past| past.state == HistoryState::Published).map(|past| past.id).collect())
    }

    /// The highest sequence above `after` and not above `highest` that is taken, even by what a crash left.
    pub(super) async fn highest_sequence_between(
        &self,
        version: KongVersion,
        after: u64,
        highest: u64,
    ) -> Result<Option<u64>, StorageError> {
        let taken = self.list(version, Some(after)).await?;
        Ok(taken.iter().rev().map(|past| past.id.sequence).find(|sequence| (after + 1..=highest).contains(sequence)))
    }

    /// All snapshots, oldest first, or those whose number is above `after`.
    async fn list(&self, version: KongVersion, after: Option<u64>) -> Result<Vec<Past>, StorageError> {
        let folder = ObjectKeys::new(version).snapshots();
        // Names sort by age, so a listing may begin after the last known number. `~` sorts after every hash.
        let offset = after.map(|after| format!("{folder}/{after:010}-~"));
        let keys = self.storage.list(&folder, offset.as_deref()).await?;

        let names = keys.iter().filter_map(|key| key.rsplit('/').next());
        let mut states: BTreeMap<SnapshotId, HistoryState> = BTreeMap::new();
        for SnapshotFile { id, state } in names.filter_map(SnapshotFile::from_name) {
            let known = states.entry(id).or_insert(state);
            // A manifest tells more than the payload beside it.
            if *known == HistoryState::Leftover {
                *known = state;
            }
        }
        Ok(states.into_iter().map(|(id, state)| Past { id, state }).collect())
    }
}

/// The key of the manifest with which a snapshot was published or held, and as what it is authenticated.
pub(super) fn manifest_of(version: KongVersion, Past { id, state }: Past) -> (String, Place) {
    let keys = ObjectKeys::new(version);
    match state {
        HistoryState::Published | HistoryState::Leftover => (keys.snapshot_manifest(id), Place::Snapshot(id)),
        HistoryState::HeldAsShrunk | HistoryState::HeldAsRefused | HistoryState::HeldAsUnrunnable => {
            (keys.held_manifest(id, state), Place::Held(id))
        }
    }
}

// The snapshot that `manifest.json` names is published, even while its own manifest, which is written next, is missing.
// Besides, a listing may lag behind what was published just now.
pub(super) fn with_named(mut past: Vec<Past>, named: Option<SnapshotId>) -> Vec<Past> {
    if let Some(id) = named {
        match past.binary_search_by_key(&id, |past| past.id) {
            Ok(index) => past[index].state = HistoryState::Published,
            Err(index) => past.insert(index, Past { id, state: HistoryState::Published }),
        }
    }
    past
}

#[cfg(test)]
mod tests;
