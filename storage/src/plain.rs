//! Writing where a store's conditional writes are of no use, or nobody knows: what a condition would have said is looked up
//! first, and what was written is read back. Between the look and the write another may write: one exporter alone should write there,
//! and an operator's command looks again once [`Storage::settled_after`] has passed.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::cloud::Cloud;
use super::diagnosis::Failed;
use super::{Ability, Operation, Storage, StorageError, Tag, Write};

/// From the look to the answer of the write, for an object of at most [`SMALL`] bytes. Whoever is slower has failed, so
/// that it is known how long a write may come after its look.
const SMALL_WITHIN: Duration = Duration::from_secs(10);
/// From the look to the departure of the write. Whoever was held up in between, or stood still, looks again.
const DEPARTS_WITHIN: Duration = Duration::from_secs(5);
/// A folder is on this host, or as fast as one that is.
const IN_A_FOLDER: Duration = Duration::from_secs(1);
/// A manifest is some kilobytes, and none has more.
const SMALL: usize = 1 << 20;
/// What an answer needs to be noticed.
const MARGIN: Duration = Duration::from_secs(1);

impl Storage {
    /// After how long a write of a small object stays, if it is still there then: who had looked before it was written has
    /// written or given up. Nothing where the store itself compares.
    pub fn settled_after(&self) -> Duration {
        match self.conditions() {
            Some(conditions) if conditions.swap_is_compared() => Duration::ZERO,
            _ if Cloud::of(&self.place) == Cloud::Local => IN_A_FOLDER + MARGIN,
            _ => SMALL_WITHIN + MARGIN,
        }
    }

    /// Whether this write must do without its condition.
    pub(super) fn must_write_plainly(&self, write: &Write) -> bool {
        let Some(conditions) = self.conditions() else { return false };
        match write {
            Write::Replace => false,
            Write::Create => !conditions.create.is_worth_asking(),
            Write::Update(_) => !conditions.swap.is_worth_asking(),
        }
    }

    /// Whether nobody knows what its condition is worth.
    pub(super) fn is_unclear(&self, write: &Write) -> bool {
        let Some(conditions) = self.conditions() else { return false };
        let ability = match write {
            Write::Replace => return false,
            Write::Create => conditions.create,
            Write::Update(_) => conditions.swap,
        };
        matches!(ability, Ability::Unclear(_))
    }

    /// One try.
    pub(super) async fn put_plainly(&self, key: &str, bytes: Bytes, write: &Write) -> Result<Tag, Failed> {
        self.put_after_a_look(key, bytes.clone(), write, Write::Replace).await?;
        // The tag as it will be read, which not every store tells when it is written.
        let written = self.tag_if_it_has(key, &bytes).await?;
        written.ok_or_else(|| match write {
            // It may also be stored damaged; who looks again finds out.
            Write::Update(_) => self.conflict(key).into(),
            Write::Create | Write::Replace => {
                StorageError::ReadBackDiffers { place: self.place.clone(), key: key.to_owned() }.into()
            }
        })
    }

    /// One try: what `write` demands is looked up, and then it is written `how`.
    pub(super) async fn put_after_a_look(
        &self,
        key: &str,
        bytes: Bytes,
        write: &Write,
        how: Write,
    ) -> Result<Tag, Failed> {
        if bytes.len() > SMALL {
            return self.look_and_put(key, bytes, write, how).await;
        }
        let written = timeout(SMALL_WITHIN, self.look_and_put(key, bytes, write, how)).await;
        written.unwrap_or_else(|_| Err(self.too_late(key)))
    }

    async fn look_and_put(&self, key: &str, bytes: Bytes, write: &Write, how: Write) -> Result<Tag, Failed> {
        let looked_at = Instant::now();
        let present = self.tag_of(key).await?;
        let is_as_demanded = match write {
            Write::Replace => true,
            Write::Create => present.is_none(),
            Write::Update(tag) => present.as_ref() == Some(tag),
        };
        if !is_as_demanded {
            return Err(self.conflict(key).into());
        }
        if looked_at.elapsed() > DEPARTS_WITHIN {
            return Err(self.too_late(key));
        }
        self.put_once(key, bytes, how).await
    }

    pub(super) async fn tag_of(&self, key: &str) -> Result<Option<Tag>, Failed> {
        let Some(meta) = self.head_once(key).await? else { return Ok(None) };
        match Tag::named(&meta) {
            Some(tag) => Ok(Some(tag)),
            None => match self.read_once(key, u64::MAX).await {
                Ok((_, tag)) => Ok(Some(tag)),
                Err(failed) if failed.is_not_found() => Ok(None),
                Err(failed) => Err(failed),
            },
        }
    }

    fn conflict(&self, key: &str) -> StorageError {
        StorageError::Conflict { place: self.place.clone(), key: key.to_owned() }
    }

    fn too_late(&self, key: &str) -> Failed {
        let reason = format!("looking and writing took more than {} s", DEPARTS_WITHIN.as_secs());
        let (place, key, what) = (self.place.clone(), key.to_owned(), Operation::Put);
        Failed { is_uncertain: true, ..StorageError::Unavailable { place, key, what, reason }.into() }
    }

    /// That the store names no versions, so that none can be demanded.
    pub(super) fn nameless(&self) -> Failed {
        let reason = "it gives the versions of an object no names (ETags)".to_owned();
        let failed = Failed::from(StorageError::Misconfigured { place: self.place.clone(), reason });
        Failed { is_not_implemented: true, ..failed }
    }
}
