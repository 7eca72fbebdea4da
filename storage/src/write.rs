//! Writing objects. What may or may not have happened, and every conflict, is settled by reading.

use bytes::Bytes;
use lifeboat_runtime::progress::step;
use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutPayload};

use super::diagnosis::Failed;
use super::retry::retried;
use super::wire::LISTING_LIMIT;
use super::{Operation, Storage, StorageError, Tag};

/// What a write does about an object that is there already.
#[derive(Clone, Debug)]
pub enum Write {
    /// Whatever is there is replaced.
    Replace,
    /// Nothing may be there.
    Create,
    /// Exactly this one is replaced.
    Update(Tag),
}

impl Storage {
    /// Writes an object. If the object already has exactly these bytes, that is success: an earlier attempt may have
    /// succeeded although its answer was lost. The bytes are shared with the connection, not copied.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when the object is neither what `write` demands nor what was to be written.
    pub async fn write(&self, key: &str, bytes: Bytes, write: Write) -> Result<Tag, StorageError> {
        let written = retried(|| async {
            match self.put(key, bytes.clone(), write.clone()).await {
                Err(failed) if matches!(*failed.error, StorageError::Conflict { .. }) => {
                    self.tag_if_it_has(key, &bytes).await?.ok_or(failed)
                }
                other => other,
            }
        });

        match written.await {
            // No attempt was answered, but one may have succeeded.
            Err(failed) if failed.is_uncertain => match self.tag_if_it_has(key, &bytes).await {
                Ok(Some(tag)) => Ok(tag),
                Ok(None) | Err(_) => Err(failed.into()),
            },
            other => Ok(other?),
        }
    }

    async fn put(&self, key: &str, bytes: Bytes, write: Write) -> Result<Tag, Failed> {
        if self.must_write_plainly(&write) {
            return self.put_plainly(key, bytes, &write).await;
        }
        let put = async {
            match self.is_unclear(&write) {
                true => self.put_after_a_look(key, bytes.clone(), &write, write.clone()).await,
                false => self.put_once(key, bytes.clone(), write.clone()).await,
            }
        };

        match put.await {
            // Folders have no compare-and-swap, and some S3-compatible stores no conditional writes at all. There, one
            // exporter alone must write.
            Err(failed) if failed.is_not_implemented => self.put_plainly(key, bytes, &write).await,
            other => other,
        }
    }

    /// One try, exactly as asked for.
    pub(super) async fn put_once(&self, key: &str, bytes: Bytes, write: Write) -> Result<Tag, Failed> {
        self.check_fence(key)?;
        let mode = match write {
            Write::Replace => PutMode::Overwrite,
            Write::Create => PutMode::Create,
            Write::Update(tag) => match tag.demanded() {
                Some(version) => PutMode::Update(version),
                None => return Err(self.nameless()),
            },
        };

        let _progress = step(format_args!("writing {key} ({} bytes) to {}", bytes.len(), self.place));
        let path = Path::from(key);
        let options = PutOptions { mode, ..PutOptions::default() };
        let put = self.store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options);
        let written = self.attempt(key, Operation::Put, LISTING_LIMIT, put).await?;
        Ok(Tag::written(written, &bytes))
    }
}
