//! Writing to a store whose conditional writes don't work, or are not known to work. The condition is checked by
//! reading first, and what was written is read back. Another writer may write between the read and the write. So only
//! one exporter should write there, and an operator's command reads again after [`Storage::settled_after`].

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::cloud::Cloud;
use super::diagnosis::Failed;
use super::{Ability, Operation, Storage, StorageError, Tag, Write};

/// The time from the look to the answer of the write, for an object of at most [`SMALL`] bytes. A slower write has
/// failed, so that it is known how long after its look a write may come.
const SMALL_WITHIN: Duration = Duration::from_secs(10);
/// The time from the look to sending the write. A writer that was held up or suspended in between looks again.
const DEPARTS_WITHIN: Duration = Duration::from_secs(5);
/// The same in a folder, which is on this host or as fast as one that is.
const IN_A_FOLDER: Duration = Duration::from_secs(1);
/// A manifest is some kilobytes, and none has more.
const SMALL: usize = 1 << 20;
/// The additional time until an answer is noticed.
const MARGIN: Duration = Duration::from_secs(1);

impl Storage {
    /// If a small object is still there after this time, it stays: a writer that had looked before has written by then,
    /// or given up. Zero if the store itself compares.
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

    /// Whether it is unknown if its condition works.
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
            // It may also be stored damaged; the next look finds that out.
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
