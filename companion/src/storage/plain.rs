//! Writing where a store's conditional writes are of no use: what a condition would have said is looked up first, and
//! what was written is read back. Between the look and the write another may write: one exporter alone must write there.

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::diagnosis::Failed;
use super::wire::LISTING_LIMIT;
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

    /// One try.
    pub(super) async fn put_plainly(&self, key: &str, bytes: Bytes, write: &Write) -> Result<Tag, Failed> {
        let present = self.tag_of(key).await?;
        let is_as_demanded = match write {
            Write::Replace => true,
            Write::Create => present.is_none(),
            Write::Update(tag) => present.as_ref() == Some(tag),
        };
        if !is_as_demanded {
            return Err(StorageError::Conflict { place: self.place.clone(), key: key.to_owned() }.into());
        }
        self.put_once(key, bytes.clone(), Write::Replace).await?;
        // The tag as it will be read, which not every store tells when it is written.
        let written = self.tag_if_it_has(key, &bytes).await?;
        let differs = || StorageError::ReadBackDiffers { place: self.place.clone(), key: key.to_owned() };
        written.ok_or_else(|| differs().into())
    }

    pub(super) async fn tag_of(&self, key: &str) -> Result<Option<Tag>, Failed> {
        let path = Path::from(key);
        match self.attempt(key, Access::Reading, LISTING_LIMIT, self.store.head(&path)).await {
            Ok(meta) => Ok(Some(Tag::of(&meta))),
            // S3 and GCS answer so for what is missing to those who may not list.
            Err(failed) if failed.is_not_found() || failed.may_mean_absent => Ok(None),
            Err(failed) => Err(failed),
        }
    }
}
