//! What `manifest.json` of a version is: a manifest that our keys accept, one that they don't accept, or nothing.

use bytes::Bytes;
use lifeboat_core::keys::Demand;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::verify::{Authentic, Place, Rejected};
use lifeboat_storage::{StorageError, Tag, Write};

use super::{ArchiveReader, KeptPayload, MANIFEST_LIMIT, authentic};

/// What an exporter finds at `manifest.json`.
#[derive(Debug)]
pub enum CurrentManifest {
    /// Nothing.
    Absent,
    /// A manifest that our keys accept.
    Published(Box<Published>),
    /// Something that our keys don't accept, and which is replaced.
    Unaccepted(Unaccepted),
}

/// A manifest as it lies in the store, with what is needed to replace exactly this one.
#[derive(Clone, Debug)]
pub struct Published {
    /// The manifest.
    pub manifest: Authentic,
    pub(super) tag: Tag,
    /// Its bytes.
    pub(super) document: Bytes,
    /// Which version of `config.json` was written with it, for the exporter that has just published it.
    pub(crate) config_json: Option<Tag>,
    /// Its payload, likewise.
    pub(crate) payload: Option<KeptPayload>,
}

/// A manifest that our keys don't accept, with what is needed to replace exactly this one.
#[derive(Debug)]
pub struct Unaccepted {
    /// Why not.
    pub reason: Rejected,
    pub(super) tag: Tag,
}

impl CurrentManifest {
    /// The snapshot that an accepted manifest names.
    pub fn named(&self) -> Option<SnapshotId> {
        match self {
            Self::Published(published) => Some(published.manifest.id()),
            Self::Absent | Self::Unaccepted(_) => None,
        }
    }

    /// An accepted manifest.
    pub(super) fn manifest(&self) -> Option<&Authentic> {
        match self {
            Self::Published(published) => Some(&published.manifest),
            Self::Absent | Self::Unaccepted(_) => None,
        }
    }

    /// The number after which the next one comes.
    pub(super) fn sequence(&self) -> u64 {
        match self {
            Self::Published(published) => published.manifest.sequence,
            Self::Absent | Self::Unaccepted(_) => 0,
        }
    }

    /// What a new manifest replaces: exactly what was found.
    pub(super) fn replaced(&self) -> Write {
        match self {
            Self::Absent => Write::Create,
            Self::Published(published) => Write::Update(published.tag.clone()),
            Self::Unaccepted(unaccepted) => Write::Update(unaccepted.tag.clone()),
        }
    }
}

impl ArchiveReader {
    /// The newest published manifest for a version of Kong, if there is one.
    ///
    /// # Errors
    /// [`StorageError::Unusable`] when what lies there isn't accepted, [`StorageError::Later`] when it is of a later format.
    pub async fn published(&self, version: KongVersion) -> Result<Option<Published>, StorageError> {
        match self.current_manifest(version).await? {
            CurrentManifest::Absent => Ok(None),
            CurrentManifest::Published(published) => Ok(Some(*published)),
            CurrentManifest::Unaccepted(unaccepted) => {
                let key = ObjectKeys::new(version).manifest();
                Err(self.unusable_object(format!("{key} is not accepted: {}", unaccepted.reason)))
            }
        }
    }

    /// What `manifest.json` is.
    ///
    /// # Errors
    /// Without keys, a manifest that can't be used is an error: to overwrite it could destroy what somebody else has
    /// written. With keys it is no error: then it is known that none of our exporters wrote it, and someone with write
    /// access must not be able to stop our exporters.
    pub async fn current_manifest(&self, version: KongVersion) -> Result<CurrentManifest, StorageError> {
        let key = ObjectKeys::new(version).manifest();
        let Some((bytes, tag)) = self.storage.read_if_it_exists(&key, MANIFEST_LIMIT).await? else {
            return Ok(CurrentManifest::Absent);
        };

        let policy = self.policy(version);
        match authentic(&bytes, Place::Newest, &policy) {
            Ok(manifest) => Ok(CurrentManifest::Published(Box::new(Published {
                manifest,
                tag,
                document: bytes,
                config_json: None,
                payload: None,
            }))),
            // The signature was checked before the format, so a later version of our own Lifeboat wrote this one.
            Err(reason) if reason.is_of_a_later_lifeboat() => Err(StorageError::Later {
                place: self.place().to_owned(),
                reason: format!("{key} can't be used: {reason}"),
            }),
            Err(reason) if policy.keys.demand() != Demand::Nothing => {
                Ok(CurrentManifest::Unaccepted(Unaccepted { reason, tag }))
            }
            // The next number is the one after the highest that is taken, with or without a manifest.
            Err(reason) => Err(self.unusable_object(format!(
                "{key} can't be used: {reason}. It was left as it is; new nodes are restored from the newest whole \
                 snapshot. Delete it, and the next export writes it anew"
            ))),
        }
    }
}
