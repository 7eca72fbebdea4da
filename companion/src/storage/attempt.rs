//! One request to a store and what its answer proves, for who must not take an uncertain answer for a yes or a no.
//! Nothing is tried again here, and nothing is settled by reading.

use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::time::timeout;

use super::error::says_not_implemented;
use super::{Access, Storage, StorageError, Tag, Write};

/// A few hundred bytes take no longer on a store that is of any use.
const LIMIT: Duration = Duration::from_secs(15);

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
    let mode = match write {
        Write::Replace => PutMode::Overwrite,
        Write::Create => PutMode::Create,
        Write::Update(Tag(version)) => PutMode::Update(version),
    };
    let options = PutOptions { mode, ..PutOptions::default() };
    let path = Path::from(key);
    let put = storage.store.put_opts(&path, PutPayload::from_bytes(bytes), options);
    let Ok(result) = timeout(LIMIT, put).await else { return Ok(Outcome::Unclear(too_late())) };
    match result {
        Ok(result) => Ok(Outcome::Won(Tag(result.into()))),
        Err(error) => judged(storage, key, error, is_conditional),
    }
}

fn judged(
    storage: &Storage,
    key: &str,
    error: object_store::Error,
    is_conditional: bool,
) -> Result<Outcome, StorageError> {
    let status = status(&error);
    let can_not = is_conditional && (says_not_implemented(&error) || is_about_the_request(status));
    let is_busy = status == Some(429) || error.to_string().contains("<Code>SlowDown</Code>");
    match storage.failed(key, Access::Writing, error) {
        StorageError::Conflict { .. } => Ok(Outcome::Lost),
        // Expired credentials are a 400 too.
        error @ StorageError::Denied { .. } => Err(error),
        error if can_not => Ok(Outcome::Incapable(reason(error))),
        error if is_busy => Ok(Outcome::TurnedAway(reason(error))),
        error if error.is_transient() => Ok(Outcome::Unclear(reason(error))),
        error => Err(error),
    }
}

/// What is at `key`; a denial counts as nothing being there, as S3 answers where listing isn't allowed.
pub(super) async fn look(storage: &Storage, key: &str) -> Result<Option<(Bytes, Tag)>, StorageError> {
    match read(storage, key).await {
        Err(StorageError::Denied { .. }) => Ok(None),
        other => other,
    }
}

/// What is at `key`.
pub(super) async fn read(storage: &Storage, key: &str) -> Result<Option<(Bytes, Tag)>, StorageError> {
    let reading = async {
        let result = storage.get(key).await?;
        let tag = Tag::of(&result.meta);
        let bytes = result.bytes().await.map_err(|error| storage.failed(key, Access::Reading, error))?;
        Ok((bytes, tag))
    };
    match timeout(LIMIT, reading).await {
        Ok(Ok(found)) => Ok(Some(found)),
        Ok(Err(StorageError::NotFound { .. })) => Ok(None),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(StorageError::Unavailable {
            place: storage.place.clone(),
            key: key.to_owned(),
            what: Access::Reading,
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
    match timeout(LIMIT, storage.store.delete(&Path::from(key))).await {
        Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => Deletion::Done,
        Ok(Err(error)) => {
            let is_refused = says_not_implemented(&error) || is_about_the_request(status(&error));
            let may_pass = storage.failed(key, Access::Writing, error).is_transient();
            if may_pass && !is_refused { Deletion::Unclear } else { Deletion::Forbidden }
        }
        Err(_) => Deletion::Unclear,
    }
}

// Not 401, 403, 404: those are about who asks and where. Not 408, 409, 412, 429: those are about this moment.
fn is_about_the_request(status: Option<u16>) -> bool {
    matches!(status, Some(400 | 405 | 406 | 411 | 415 | 417 | 422 | 428 | 431))
}

// object_store keeps the status to itself, and shows it in its text.
fn status(error: &object_store::Error) -> Option<u16> {
    let text = error.to_string();
    let (_, after) = text.split_once("non-2xx status code: ")?;
    after.get(..3)?.parse().ok()
}

fn reason(error: StorageError) -> String {
    match error {
        StorageError::Misconfigured { reason, .. } | StorageError::Unavailable { reason, .. } => reason,
        other => other.to_string(),
    }
}

fn too_late() -> String {
    format!("no answer within {} s", LIMIT.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_of_an_answer_is_read_from_what_object_store_says() {
        let source = "Error performing PUT http://h/k in 1ms - Server returned non-2xx status code: 405 Method Not \
                      Allowed: <Error/>";
        let error = object_store::Error::Generic { store: "S3", source: source.into() };
        assert_eq!(status(&error), Some(405));
        let other = object_store::Error::Generic { store: "S3", source: "connection refused".into() };
        assert_eq!(status(&other), None);
    }
}
