//! The published payload: checks whether the store still has exactly what the manifest names, and puts it back if not.
//! Only what the manifest names is put back. `core` decides when.

use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::export::publisher::PayloadState;
use lifeboat_core::manifest::StoredObject;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::payload::Payload;
use lifeboat_core::sensitive::Sensitive;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::Authentic;
use lifeboat_runtime::background::computed;
use lifeboat_storage::{StorageError, Tag, Write};
use tokio::time::timeout;

use super::release::received_again;
use super::{Archive, ArchiveReader, Author, CurrentManifest, Published, Terms};

/// How long to wait for another store, which may hang in the same incident.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// A published payload as it is stored, known to be what its manifest names.
#[derive(Clone, Debug)]
pub struct KeptPayload {
    pub(super) sha256: Sha256Digest,
    pub(super) bytes: Sensitive<Bytes>,
    /// The store's name for the version that has these bytes.
    pub(super) tag: Tag,
}

/// The result of a check of the payload.
#[derive(Debug)]
pub struct PayloadLook {
    /// What lies there.
    pub state: PayloadState,
    /// The store's error, if the payload can't be read.
    pub reason: Option<String>,
    /// Its bytes, if they were read and are what the manifest names.
    pub kept: Option<KeptPayload>,
}

/// How closely a payload is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Its size.
    Size,
    /// All of its bytes.
    Bytes,
}

/// What came of putting a payload back.
#[derive(Debug)]
pub enum PutBack {
    /// The bytes that the manifest names are there again.
    Same {
        /// The bytes.
        kept: KeptPayload,
        /// Where they came from, for people.
        from: String,
    },
    /// A `config.json` has the configuration, but compressing it gives other bytes, so it is published as another
    /// snapshot.
    Anew {
        /// What is published now.
        published: Box<Published>,
        /// Where it came from, for people.
        from: String,
    },
    /// It was found nowhere, or it can't be written.
    Nowhere {
        /// The places that were searched, and what was wrong there.
        reasons: Vec<String>,
    },
}

impl KeptPayload {
    fn new(bytes: Bytes, tag: Tag) -> Self {
        Self { sha256: Sha256Digest::of(&bytes), bytes: bytes.into(), tag }
    }

    /// Whether this is what a manifest names.
    pub fn is_of(&self, manifest: &Authentic) -> bool {
        self.sha256 == manifest.snapshot.sha256
    }
}

impl PayloadLook {
    const WHOLE: Self = Self { state: PayloadState::Whole, reason: None, kept: None };

    fn is(state: PayloadState) -> Self {
        Self { state, ..Self::WHOLE }
    }

    fn unreadable(error: &StorageError) -> Self {
        Self { reason: Some(error.to_string()), ..Self::is(PayloadState::Unreadable) }
    }
}

impl ArchiveReader {
    /// Checks whether the payload is there, by its size, and by its tag if it was read before (`kept`).
    ///
    /// # Errors
    /// The store fails, so that nothing is known.
    pub async fn look_at_payload(
        &self,
        published: &Published,
        kept: Option<&KeptPayload>,
    ) -> Result<PayloadLook, StorageError> {
        let object = &published.manifest.snapshot;
        let head = match self.storage.head(&object.key).await {
            Ok(head) => head,
            Err(error) if error.is_refusal() => return Ok(PayloadLook::unreadable(&error)),
            Err(error) => return Err(error),
        };

        match head {
            None => Ok(PayloadLook::is(PayloadState::Missing)),
            Some((size, _)) if size != object.bytes => Ok(PayloadLook::is(PayloadState::Altered)),
            // The tag says that it was written anew since it was last read. It is read again, because a store may also
            // give a reader another name for the same version.
            Some((_, tag)) if kept.is_some_and(|kept| kept.tag.is_other_content(&tag)) => {
                let mut look = self.read_payload(published).await?;
                if let Some(kept) = &mut look.kept {
                    kept.tag = tag;
                }
                Ok(look)
            }
            Some(_) => Ok(PayloadLook::WHOLE),
        }
    }

    /// Whether this store has what is published in the first one, including the payload.
    ///
    /// # Errors
    /// The store fails, so that nothing is known.
    pub async fn has_published(&self, published: &Published, depth: Depth) -> Result<bool, StorageError> {
        match self.current_manifest(published.manifest.kong_version).await? {
            CurrentManifest::Published(there) if there.is_same_document(published) => {
                self.has_payload(&there, depth).await
            }
            CurrentManifest::Published(_) | CurrentManifest::Absent | CurrentManifest::Unaccepted(_) => Ok(false),
        }
    }

    pub(super) async fn has_payload(&self, published: &Published, depth: Depth) -> Result<bool, StorageError> {
        let look = match depth {
            Depth::Size => self.look_at_payload(published, None).await?,
            Depth::Bytes => self.read_payload(published).await?,
        };
        Ok(look.state == PayloadState::Whole)
    }

    /// Reads the payload whole and compares it with its manifest.
    ///
    /// # Errors
    /// As [`look_at_payload`](Self::look_at_payload).
    pub async fn read_payload(&self, published: &Published) -> Result<PayloadLook, StorageError> {
        let object = &published.manifest.snapshot;
        match self.storage.read(&object.key, object.bytes).await {
            Ok((bytes, tag)) => Ok(match of(object, bytes, tag).await {
                Some(kept) => PayloadLook { kept: Some(kept), ..PayloadLook::WHOLE },
                None => PayloadLook::is(PayloadState::Altered),
            }),
            Err(StorageError::NotFound { .. }) => Ok(PayloadLook::is(PayloadState::Missing)),
            Err(error) if error.is_refusal() => Ok(PayloadLook::unreadable(&error)),
            Err(error) => Err(error),
        }
    }

    // The content of config.json, if it is what the manifest describes.
    async fn config_json_of(&self, published: &Published, reasons: &mut Vec<String>) -> Option<(Bytes, String)> {
        let manifest = &published.manifest;
        if manifest.snapshot.sealed.is_some() {
            return None;
        }
        let key = ObjectKeys::new(manifest.kong_version).config_json();
        let place = format!("{key} in {}", self.place());
        match timeout(READ_WITHIN, self.storage.read_if_it_exists(&key, manifest.config.bytes)).await {
            Ok(Ok(None)) => reasons.push(format!("there is no {place}")),
            Ok(Ok(Some((json, _)))) if Sha256Digest::of(&json) == manifest.config.sha256 => return Some((json, place)),
            Ok(Ok(Some(_))) => reasons.push(format!("{place} is another configuration")),
            Ok(Err(error)) => reasons.push(error.to_string()),
            Err(_) => reasons.push(format!("{place} can't be read within {READ_WITHIN:?}")),
        }
        None
    }
}

impl Archive {
    /// Puts back what the published manifest names: the same bytes, from memory (`kept`) or from another store; or the
    /// same configuration, proven by the manifest, from a `config.json`. If compressing that gives other bytes, they
    /// are published as a snapshot of the same state and pin, under this epoch.
    ///
    /// # Errors
    /// The store fails; [`StorageError::NotLeading`] or [`StorageError::Conflict`] when it is for somebody else to do.
    pub async fn put_back_payload(
        &self,
        author: &Author,
        published: &Published,
        kept: Option<&KeptPayload>,
        others: &[ArchiveReader],
        epoch: u64,
        now: WallTime,
    ) -> Result<PutBack, StorageError> {
        let (object, mut reasons) = (&published.manifest.snapshot, Vec::new());
        let found = match kept.filter(|kept| kept.is_of(&published.manifest)) {
            Some(kept) => Some((kept.bytes.clone().into_inner(), "this process's memory".to_owned())),
            None => self.same_bytes_elsewhere(object, others, &mut reasons).await,
        };

        if let Some((bytes, from)) = found {
            return match self.write_back(object, bytes).await {
                Ok(kept) => Ok(PutBack::Same { kept, from }),
                Err(error) => refused(error, reasons),
            };
        }

        for archive in std::iter::once(&self.reader).chain(others) {
            let Some((json, from)) = archive.config_json_of(published, &mut reasons).await else { continue };
            return match self.write_from_config_json(author, published, json, epoch, now).await {
                Ok((Some(kept), _)) => Ok(PutBack::Same { kept, from }),
                Ok((None, published)) => Ok(PutBack::Anew { published: Box::new(published), from }),
                Err(error) => refused(error, reasons),
            };
        }

        Ok(PutBack::Nowhere { reasons })
    }

    async fn same_bytes_elsewhere(
        &self,
        object: &StoredObject,
        others: &[ArchiveReader],
        reasons: &mut Vec<String>,
    ) -> Option<(Bytes, String)> {
        for other in others {
            let place = other.place().to_owned();
            match timeout(READ_WITHIN, other.storage.read(&object.key, object.bytes)).await {
                Ok(Ok((bytes, tag))) => match of(object, bytes, tag).await {
                    Some(kept) => return Some((kept.bytes.into_inner(), place)),
                    None => reasons.push(format!("{place}: {} is something else", object.key)),
                },
                Ok(Err(error)) => reasons.push(error.to_string()),
                Err(_) => reasons.push(format!("{place}: {} can't be read within {READ_WITHIN:?}", object.key)),
            }
        }
        None
    }

    async fn write_from_config_json(
        &self,
        author: &Author,
        published: &Published,
        json: Bytes,
        epoch: u64,
        now: WallTime,
    ) -> Result<(Option<KeptPayload>, Published), StorageError> {
        let (manifest, plain) = (&published.manifest, json.clone());
        let bytes = computed(move || Payload::compress(&plain).into_bytes()).await;
        if Sha256Digest::of(&bytes) == manifest.snapshot.sha256 {
            let kept = self.write_back(&manifest.snapshot, bytes).await?;
            return Ok((Some(kept), published.clone()));
        }
        Ok((None, self.publish_anew(author, published, json, epoch, now).await?))
    }

    async fn publish_anew(
        &self,
        author: &Author,
        published: &Published,
        json: Bytes,
        epoch: u64,
        now: WallTime,
    ) -> Result<Published, StorageError> {
        let manifest = &published.manifest;
        let received =
            received_again(manifest, json.to_vec()).map_err(|reason| self.misconfigured(reason.to_string()))?;
        // Nobody has seen it at the control plane since.
        let last_seen = Some(manifest.times.last_seen);
        let terms = Terms { epoch, state: manifest.state, pin: manifest.pin, last_seen };
        let over = CurrentManifest::Published(Box::new(published.clone()));
        self.publish(author, &received, &over, &terms, now).await
    }

    // Replaces whatever lies there, because it is not what the manifest names.
    async fn write_back(&self, object: &StoredObject, bytes: Bytes) -> Result<KeptPayload, StorageError> {
        let tag = self.storage.write(&object.key, bytes.clone(), Write::Replace).await?;
        self.storage.read_back(&object.key, &bytes).await?;
        Ok(KeptPayload { sha256: object.sha256, bytes: bytes.into(), tag })
    }
}

async fn of(object: &StoredObject, bytes: Bytes, tag: Tag) -> Option<KeptPayload> {
    let kept = computed(move || KeptPayload::new(bytes, tag)).await;
    (kept.sha256 == object.sha256).then_some(kept)
}

// That a payload can't be written there today must not prevent newer configurations from being published.
fn refused(error: StorageError, mut reasons: Vec<String>) -> Result<PutBack, StorageError> {
    match error {
        StorageError::NotLeading { .. } | StorageError::Conflict { .. } | StorageError::Unavailable { .. } => {
            Err(error)
        }
        error => {
            reasons.push(error.to_string());
            Ok(PutBack::Nowhere { reasons })
        }
    }
}

#[cfg(test)]
mod tests;
