//! Reading objects, comparing them, and telling what is absent from what is hidden.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use lifeboat_runtime::progress::transfer;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use super::denial::hidden;
use super::diagnosis::Failed;
use super::retry::retried;
use super::wire::LISTING_LIMIT;
use super::{Operation, Storage, StorageError, Tag};

/// The most memory that is set aside before the bytes have come, because an answer may announce any size.
const SET_ASIDE: u64 = 64 << 20;

/// What there is under a key, as far as the store tells.
enum Looked<T> {
    Found(T),
    Absent,
    /// Neither reading nor listing is allowed: it may be there or not.
    Hidden(StorageError),
}

impl Storage {
    /// Reads an object of at most `limit` bytes; `None` if there is none. A longer object comes cut off, which the
    /// caller will notice.
    ///
    /// Without the right to list, S3 and GCS answer 403 for a missing object. If that can't be told from an object that
    /// may not be read, it counts as missing, and that is logged once: a restoring node needs no right to list.
    pub async fn read_optional(&self, key: &str, limit: u64) -> Result<Option<(Bytes, Tag)>, StorageError> {
        match self.look_for(key, limit).await? {
            Looked::Found(found) => Ok(Some(found)),
            Looked::Absent => Ok(None),
            Looked::Hidden(denial) => {
                if !self.has_said_that_absence_is_a_guess.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "{denial}. It is taken as missing: either there is no such object, which the store says only to \
                         those who may list, or reading it is not allowed. This is said once"
                    );
                }
                Ok(None)
            }
        }
    }

    /// As [`read_optional`](Self::read_optional), for callers that would overwrite what they take as missing: `None` only if the
    /// store says that there is nothing.
    ///
    /// # Errors
    /// [`StorageError::Denied`] where the store hides whether there is such an object.
    pub async fn read_if_it_exists(&self, key: &str, limit: u64) -> Result<Option<(Bytes, Tag)>, StorageError> {
        match self.look_for(key, limit).await? {
            Looked::Found(found) => Ok(Some(found)),
            Looked::Absent => Ok(None),
            Looked::Hidden(denial) => Err(denial),
        }
    }

    /// Reads an object of at most `limit` bytes; what is longer comes cut off.
    pub async fn read(&self, key: &str, limit: u64) -> Result<(Bytes, Tag), StorageError> {
        Ok(retried(|| self.read_once(key, limit)).await?)
    }

    /// Whether an object has exactly these bytes; reads it piece by piece.
    pub async fn has_bytes(&self, key: &str, expected: &[u8]) -> Result<bool, StorageError> {
        let tag = retried(|| self.tag_if_it_has(key, expected)).await?;
        Ok(tag.is_some())
    }

    /// Which version of an object there is; `None` if there is none.
    pub async fn tag(&self, key: &str) -> Result<Option<Tag>, StorageError> {
        Ok(retried(|| self.tag_of(key)).await?)
    }

    /// An object's size in bytes and which version of it there is; `None` only if the store says that there is none.
    ///
    /// # Errors
    /// [`StorageError::Denied`] where the store hides whether there is such an object.
    pub async fn head(&self, key: &str) -> Result<Option<(u64, Tag)>, StorageError> {
        let head = retried(|| self.try_head(key)).await;
        match self.found(key, head).await? {
            Looked::Found(meta) => Ok(Some((meta.size, Tag::listed(&meta)))),
            Looked::Absent => Ok(None),
            Looked::Hidden(denial) => Err(denial),
        }
    }

    /// When an object was last written, by the store's clock; `None` if there is none.
    pub async fn written_at(&self, key: &str) -> Result<Option<SystemTime>, StorageError> {
        Ok(retried(|| self.head_once(key)).await?.map(|meta| meta.last_modified.into()))
    }

    /// Reads an object back and compares it with what was written.
    pub async fn read_back(&self, key: &str, written: &[u8]) -> Result<(), StorageError> {
        if self.has_bytes(key, written).await? {
            return Ok(());
        }
        Err(StorageError::ReadBackDiffers { place: self.place.clone(), key: key.to_owned() })
    }

    /// The object's tag, if the object has exactly these bytes.
    pub(super) async fn tag_if_it_has(&self, key: &str, expected: &[u8]) -> Result<Option<Tag>, Failed> {
        let progress = transfer(format_args!("reading back {key} from {}", self.place));
        let compared = self.attempt(key, Operation::Get, u64::MAX, async {
            let result = self.store.get(&Path::from(key)).await?;
            let tag = Tag::of(&result.meta, expected);
            let mut rest = expected;
            let mut stream = result.into_stream();
            while let Some(piece) = stream.try_next().await? {
                match rest.strip_prefix(&piece[..]) {
                    Some(after) => rest = after,
                    None => return Ok(None),
                }
                progress.reached((expected.len() - rest.len()) as u64, expected.len() as u64);
            }
            Ok(rest.is_empty().then_some(tag))
        });

        match compared.await {
            Err(failed) if failed.is_not_found() => Ok(None),
            other => other,
        }
    }

    /// One try to find out what is known of an object.
    pub(super) async fn head_once(&self, key: &str) -> Result<Option<ObjectMeta>, Failed> {
        match self.try_head(key).await {
            Ok(meta) => Ok(Some(meta)),
            // S3 and GCS answer so for what is missing to those who may not list.
            Err(failed) if failed.is_not_found() || failed.may_mean_absent => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// One try.
    pub(super) async fn read_once(&self, key: &str, limit: u64) -> Result<(Bytes, Tag), Failed> {
        let progress = transfer(format_args!("reading {key} from {}", self.place));
        let reading = self.attempt(key, Operation::Get, u64::MAX, async {
            let result = self.store.get(&Path::from(key)).await?;
            let (meta, size) = (result.meta.clone(), result.meta.size);
            let limit = limit.saturating_add(1);
            let mut bytes = BytesMut::with_capacity(size.min(limit).min(SET_ASIDE) as usize);
            let mut stream = result.into_stream();
            while let Some(piece) = stream.try_next().await? {
                let room = limit.saturating_sub(bytes.len() as u64) as usize;
                bytes.extend_from_slice(&piece[..piece.len().min(room)]);
                progress.reached(bytes.len() as u64, size);
                if bytes.len() as u64 >= limit {
                    break;
                }
            }
            let tag = Tag::of(&meta, &bytes);
            Ok((bytes.freeze(), tag))
        });

        reading.await
    }

    async fn try_head(&self, key: &str) -> Result<ObjectMeta, Failed> {
        let path = Path::from(key);
        let head = self.store.head(&path);
        self.attempt(key, Operation::Head, LISTING_LIMIT, head).await
    }

    async fn look_for(&self, key: &str, limit: u64) -> Result<Looked<(Bytes, Tag)>, StorageError> {
        self.found(key, retried(|| self.read_once(key, limit)).await).await
    }

    // What an answer says of an object: a denial may mean that it is absent, which a listing tells.
    async fn found<T>(&self, key: &str, read: Result<T, Failed>) -> Result<Looked<T>, StorageError> {
        let failed = match read {
            Ok(found) => return Ok(Looked::Found(found)),
            Err(failed) if failed.is_not_found() => return Ok(Looked::Absent),
            Err(failed) if failed.may_mean_absent => failed,
            Err(failed) => return Err(failed.into()),
        };
        match retried(|| self.is_listed(key)).await {
            Ok(true) => Err(failed.into()),
            Ok(false) => Ok(Looked::Absent),
            Err(other) if matches!(*other.error, StorageError::Denied { .. }) => {
                Ok(Looked::Hidden(hidden(failed.into())))
            }
            Err(other) => Err(other.into()),
        }
    }

    // Listings are of folders: this one begins just before the key, and ends at the first that isn't before it.
    async fn is_listed(&self, key: &str) -> Result<bool, Failed> {
        let folder = key.rsplit_once('/').map(|(folder, _)| Path::from(folder));
        let path = Path::from(key);
        let mut just_before = key.to_owned();
        just_before.pop();
        self.attempt(key, Operation::List, LISTING_LIMIT, async {
            let mut listed = self.store.list_with_offset(folder.as_ref(), &Path::from(just_before));
            while let Some(object) = listed.try_next().await? {
                if object.location >= path {
                    return Ok(object.location == path);
                }
            }
            Ok(false)
        })
        .await
    }
}
