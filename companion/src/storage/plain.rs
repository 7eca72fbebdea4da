//! Writing where a store's conditional writes are of no use: what a condition would have said is looked up first, and
//! what was written is read back. Between the look and the write another may write: one exporter alone must write there.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Access, Storage, StorageError, Tag, Write};

impl Storage {
    /// Whether this write must do without its condition.
    pub(super) fn must_write_plainly(&self, write: &Write) -> bool {
        let Some(conditions) = self.conditions() else { return false };
        match write {
            Write::Replace => false,
            Write::Create => !conditions.create.is_worth_asking(),
            Write::Update(_) => !conditions.swap.is_worth_asking(),
        }
    }

    pub(super) async fn put_plainly(&self, key: &str, bytes: Bytes, write: Write) -> Result<Tag, StorageError> {
        let present = self.tag_of(key).await?;
        let is_as_demanded = match &write {
            Write::Replace => true,
            Write::Create => present.is_none(),
            Write::Update(tag) => present.as_ref() == Some(tag),
        };
        if !is_as_demanded {
            return Err(StorageError::Conflict { place: self.place.clone(), key: key.to_owned() });
        }
        let put = self.store.put(&Path::from(key), PutPayload::from_bytes(bytes.clone())).await;
        put.map_err(|error| self.failed(key, Access::Writing, error))?;
        self.read_back(key, &bytes).await?;
        // As it will be read, which not every store tells when it is written.
        let written = self.tag_of(key).await?;
        written.ok_or_else(|| StorageError::ReadBackDiffers { place: self.place.clone(), key: key.to_owned() })
    }

    async fn tag_of(&self, key: &str) -> Result<Option<Tag>, StorageError> {
        let looked = self.store.head(&Path::from(key)).await;
        match looked.map_err(|error| self.failed(key, Access::Reading, error)) {
            Ok(meta) => Ok(Some(Tag::of(&meta))),
            // S3 answers so for what is missing where listing isn't allowed.
            Err(StorageError::NotFound { .. } | StorageError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
