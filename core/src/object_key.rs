//! The names of the objects in the store, format 1. No other module spells a key.

use crate::digest::{ConfigHash, Sha256Digest};
use crate::kong::version::KongVersion;

/// The highest number that a snapshot may have: names have ten digits, so that a listing by name is a listing by age. At
/// one snapshot a second that lasts for 300 years.
pub const HIGHEST_SEQUENCE: u64 = 9_999_999_999;

/// The keys of one Kong version's objects, relative to the store's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectKeys {
    version: KongVersion,
}

/// Which snapshot: its place in the history and the configuration that it holds. Sorts by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// Grows by at least one with each snapshot of a version and never repeats.
    pub sequence: u64,
    /// Kong's name for the configuration.
    pub config_hash: ConfigHash,
}

impl ObjectKeys {
    /// The keys for `version`.
    pub const fn new(version: KongVersion) -> Self {
        Self { version }
    }

    /// The newest published configuration, plain declarative JSON, where Kong's own importer looks for it.
    pub fn config_json(&self) -> String {
        format!("{}/config.json", self.version)
    }

    /// The manifest of the newest published snapshot.
    pub fn manifest(&self) -> String {
        format!("{}/lifeboat/manifest.json", self.version)
    }

    /// The folder of the immutable snapshots.
    pub fn snapshots(&self) -> String {
        format!("{}/lifeboat/snapshots", self.version)
    }

    /// How much time has surely passed, and how much of the history was deleted lately.
    pub fn thinning(&self) -> String {
        format!("{}/lifeboat/thinning.json", self.version)
    }

    /// Where the election is held, if it isn't here.
    pub fn election_mark(&self) -> String {
        format!("{}/lifeboat/election.json", self.version)
    }

    /// The folder of the backup nodes' registrations. Operators expire it by a lifecycle rule, as with Kong's own.
    pub fn election(&self) -> String {
        format!("{}/election", self.version)
    }

    /// A backup node's registration; `node_id` is a UUID.
    pub fn registration(&self, node_id: &str) -> String {
        format!("{}/{node_id}.json", self.election())
    }

    /// The lease: who leads.
    pub fn leader(&self) -> String {
        format!("{}/leader.json", self.election())
    }

    /// Whether this is the key of a backup node's registration: it is named after a UUID.
    pub fn is_registration(&self, key: &str) -> bool {
        let name = key.strip_prefix(&self.election()).and_then(|rest| rest.strip_prefix('/'));
        let id = name.and_then(|name| name.strip_suffix(".json"));
        id.is_some_and(|id| id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-'))
    }

    /// What `lifeboat doctor` writes where it may not delete: always the same object.
    pub fn doctor(&self) -> String {
        format!("{}/doctor.json", self.election())
    }

    /// What `lifeboat doctor` writes where it may delete, and what is left of a store's probe where it may not and the
    /// store let several writers create one object; `id` is a UUID.
    pub fn passing(&self, id: &str) -> String {
        format!("{}/probe-{id}.json", self.election())
    }

    /// A snapshot's payload: gzip of the configuration's JSON.
    pub fn snapshot(&self, id: SnapshotId) -> String {
        self.file(id, HistoryState::Leftover)
    }

    /// The manifest with which a snapshot was published.
    pub fn snapshot_manifest(&self, id: SnapshotId) -> String {
        self.file(id, HistoryState::Published)
    }

    /// The manifest of a snapshot that was held. `state` says why.
    pub fn held_manifest(&self, id: SnapshotId, state: HistoryState) -> String {
        self.file(id, state)
    }

    /// The folder of the images of node caches.
    pub fn cache_images(&self) -> String {
        format!("{}/lifeboat/cache", self.version)
    }

    /// An image of the cache of a node that runs a snapshot's configuration.
    pub fn cache_image(&self, id: SnapshotId) -> String {
        format!("{}/{}.mdb.gz", self.cache_images(), id.stem())
    }

    /// A control plane's own schemas, named after their bytes as they are stored: the same ones lie there once.
    pub fn schemas(&self, digest: Sha256Digest) -> String {
        format!("{}/lifeboat/schemas-{digest}.json.gz", self.version)
    }

    fn file(&self, id: SnapshotId, state: HistoryState) -> String {
        format!("{}/{}", self.snapshots(), SnapshotFile { id, state }.name())
    }
}

/// What the name of a file beside the snapshots says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Which snapshot it belongs to.
    pub id: SnapshotId,
    /// What became of that one, as far as this file tells: of one without another file only the payload is there.
    pub state: HistoryState,
}

/// The endings of the files that a snapshot has. A held one has no `.manifest.json`: no reader takes it for one that was
/// published, and one listing tells which ones are held.
const ENDINGS: [(HistoryState, &str); 5] = [
    (HistoryState::Leftover, ".json.gz"),
    (HistoryState::Published, ".manifest.json"),
    (HistoryState::HeldAsShrunk, ".held-shrunk.json"),
    (HistoryState::HeldAsRefused, ".held-refused.json"),
    (HistoryState::HeldAsUnrunnable, ".held-unrunnable.json"),
];

impl SnapshotFile {
    /// What a file's name says; nothing, if it is no snapshot's: what a crash or somebody else left in the folder.
    pub fn from_name(name: &str) -> Option<Self> {
        let (state, stem) = ENDINGS.iter().find_map(|(state, ending)| Some((*state, name.strip_suffix(ending)?)))?;
        let (sequence, config_hash) = stem.split_once('-')?;
        let id = SnapshotId { sequence: sequence.parse().ok()?, config_hash: config_hash.parse().ok()? };
        (id.sequence <= HIGHEST_SEQUENCE && id.stem() == stem).then_some(Self { id, state })
    }

    fn name(&self) -> String {
        let ending = ENDINGS.iter().find(|(state, _)| *state == self.state).map_or("", |(_, ending)| ending);
        format!("{}{ending}", self.id.stem())
    }
}

impl SnapshotId {
    fn stem(&self) -> String {
        format!("{:010}-{}", self.sequence, self.config_hash)
    }
}

/// The version whose objects lie in a folder of this name directly under the prefix.
pub fn version_of_folder(name: &str) -> Option<KongVersion> {
    name.parse().ok().filter(|version: &KongVersion| version.to_string() == name)
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryState {
    /// It has the manifest with which it was published.
    Published,
    /// It was held: the guard objected.
    HeldAsShrunk,
    /// It was held: no node adopted it.
    HeldAsRefused,
    /// It was held: no node can run it.
    HeldAsUnrunnable,
    /// A payload alone: somebody died between two writes, or is about to do the second.
    Leftover,
}

impl HistoryState {
    /// Whether it waits for an operator's `release`.
    pub fn is_held(self) -> bool {
        matches!(self, Self::HeldAsShrunk | Self::HeldAsRefused | Self::HeldAsUnrunnable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SnapshotId {
        SnapshotId { sequence: 7, config_hash: "3ff47162e7a7ce1344f336316b66484e".parse().unwrap() }
    }

    #[test]
    fn the_keys_are_those_of_format_1() {
        let keys = ObjectKeys::new(KongVersion::new(3, 9, 1));
        assert_eq!(keys.config_json(), "3.9.1/config.json");
        assert_eq!(keys.manifest(), "3.9.1/lifeboat/manifest.json");
        assert_eq!(keys.registration("7f6c"), "3.9.1/election/7f6c.json");
        assert_eq!((keys.doctor(), keys.passing("7f6c")), {
            ("3.9.1/election/doctor.json".to_owned(), "3.9.1/election/probe-7f6c.json".to_owned())
        });
        let stem = "3.9.1/lifeboat/snapshots/0000000007-3ff47162e7a7ce1344f336316b66484e";
        assert_eq!(keys.snapshot(id()), format!("{stem}.json.gz"));
        assert_eq!(keys.snapshot_manifest(id()), format!("{stem}.manifest.json"));
        assert_eq!(keys.held_manifest(id(), HistoryState::HeldAsShrunk), format!("{stem}.held-shrunk.json"));
        assert_eq!(keys.held_manifest(id(), HistoryState::HeldAsRefused), format!("{stem}.held-refused.json"));
        assert_eq!(keys.held_manifest(id(), HistoryState::HeldAsUnrunnable), format!("{stem}.held-unrunnable.json"));
        let image = "3.9.1/lifeboat/cache/0000000007-3ff47162e7a7ce1344f336316b66484e.mdb.gz";
        assert_eq!(keys.cache_image(id()), image);
    }

    #[test]
    fn a_snapshot_is_known_by_its_file_name_and_nothing_else_is() {
        let keys = ObjectKeys::new(KongVersion::new(3, 9, 1));
        for (state, _) in ENDINGS {
            let key = keys.file(id(), state);
            let file = SnapshotFile { id: id(), state };
            assert_eq!(SnapshotFile::from_name(key.rsplit('/').next().unwrap()), Some(file), "{key}");
        }
        for other in [
            "",
            "manifest.json",
            "7.json.gz",
            "7-3ff47162e7a7ce1344f336316b66484e.json.gz",
            "+000000007-3ff47162e7a7ce1344f336316b66484e.json.gz",
            "10000000000-3ff47162e7a7ce1344f336316b66484e.json.gz",
            "18446744073709551615-3ff47162e7a7ce1344f336316b66484e.json.gz",
            "x-3ff47162e7a7ce1344f336316b66484e.json.gz",
            "0000000007-3ff4.json.gz#1",
        ] {
            assert_eq!(SnapshotFile::from_name(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_folder_named_as_a_version_is_one() {
        assert_eq!(version_of_folder("3.9.1"), Some(KongVersion::new(3, 9, 1)));
        assert_eq!(version_of_folder("3.9.0.1-enterprise-edition"), None);
        assert_eq!(version_of_folder("election"), None);
    }
}
