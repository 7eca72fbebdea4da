//! One request to a store and what its answer proves, for the probe: it must not take an uncertain answer for a yes or a no.
//! Nothing is tried again here, and nothing is settled by reading.

use std::time::Duration;

use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::time::timeout;

use crate::cloud::Cloud;
use crate::diagnosis::Failed;
use crate::wire::LISTING_LIMIT;
use crate::{Operation, Storage, StorageError, Tag, Write};

/// A usable store takes no longer for a few hundred bytes.
pub(super) const LIMIT: Duration = Duration::from_secs(15);
/// The most that a probe reads: it reads only what it has written.
const LONGEST: u64 = 64 * 1024;

/// What one write came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The store says that it was written, as this version.
    Won(Tag),
    /// The store says that the condition did not hold.
    Lost,
    /// The store says that it can't write on this condition.
    Incapable(String),
    /// The store was too busy: nothing was written.
    TurnedAway(String),
    /// It may have been written or not.
    Unclear(String),
}

/// Writes once.
///
/// # Errors
/// What trying again won't change: wrong credentials, a missing bucket.
pub(super) async fn write(storage: &Storage, key: &str, bytes: Bytes, write: Write) -> Result<Outcome, StorageError> {
    let is_conditional = !matches!(write, Write::Replace);
    let Ok(written) = timeout(LIMIT, storage.put_once(key, bytes, write)).await else {
        return Ok(Outcome::Unclear(too_late()));
    };
    let Failed { error, is_uncertain, is_not_implemented, .. } = match written {
        Ok(tag) => return Ok(Outcome::Won(tag)),
        Err(failed) => failed,
    };

    match *error {
        StorageError::Conflict { .. } => Ok(Outcome::Lost),
        // The library's words for it are for programmers.
        _ if is_not_implemented && Cloud::of(&storage.place) == Cloud::Local => {
            Ok(Outcome::Incapable("a folder has no such thing".to_owned()))
        }
        // Whether it can be written without the condition is tried next.
        StorageError::Misconfigured { reason, .. } if is_conditional => Ok(Outcome::Incapable(reason)),
        StorageError::Unavailable { reason, .. } if is_uncertain => Ok(Outcome::Unclear(reason)),
        StorageError::Unavailable { reason, .. } => Ok(Outcome::TurnedAway(reason)),
        error => Err(error),
    }
}

/// What is at `key`. A denial counts as nothing: without the right to list, stores answer like this for what is
/// missing.
pub(super) async fn look(storage: &Storage, key: &str) -> Result<Option<(Bytes, Tag)>, StorageError> {
    match read(storage, key).await {
        Err(StorageError::Denied { .. }) => Ok(None),
        other => other,
    }
}

/// What is at `key`.
pub(super) async fn read(storage: &Storage, key: &str) -> Result<Option<(Bytes, Tag)>, StorageError> {
    match timeout(LIMIT, storage.read_once(key, LONGEST)).await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(failed)) if failed.is_not_found() => Ok(None),
        Ok(Err(failed)) => Err(failed.into()),
        Err(_) => Err(StorageError::Unavailable {
            place: storage.place.clone(),
            key: key.to_owned(),
            what: Operation::Get,
            reason: too_late(),
        }),
    }
}

/// What a deletion came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// It is gone, or was not there.
    Done,
    /// It isn't allowed, or the store can't.
    Forbidden,
    /// It may be there still.
    Unclear,
}

/// Deletes once.
pub(super) async fn delete(storage: &Storage, key: &str) -> Deletion {
    let path = Path::from(key);
    let deleting = storage.attempt(key, Operation::Delete, LISTING_LIMIT, storage.store.delete(&path));
    match timeout(LIMIT, deleting).await {
        Ok(Ok(())) => Deletion::Done,
        Ok(Err(failed)) if failed.is_not_found() => Deletion::Done,
        Ok(Err(failed)) if !failed.error.is_transient() => Deletion::Forbidden,
        Ok(Err(_)) | Err(_) => Deletion::Unclear,
    }
}

fn too_late() -> String {
    format!("no answer within {} s", LIMIT.as_secs())
}
