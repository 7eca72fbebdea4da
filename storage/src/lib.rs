//! Objects in a store: read, written, listed, with retries and the few classes of errors that a caller acts on. What the
//! objects mean is in `archive`; what their keys are is in `core`.

pub mod access;
mod cloud;
mod conditions;
mod credentials;
mod denial;
mod diagnosis;
mod error;
mod fence;
mod open;
mod operation;
mod plain;
mod presign;
mod probe;
mod read;
mod retry;
mod skew;
mod tag;
mod wire;
mod write;

use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use lifeboat_core::storage_url::StorageUrl;
use lifeboat_core::time::WallTime;
use lifeboat_runtime::progress::step;
use object_store::client::{HttpConnector, ReqwestConnector};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

pub use conditions::{Ability, Conditions};
pub use error::{Concerns, StorageError};
pub use fence::{Fence, Open};
pub use operation::{Operation, RequestObserver, RequestOutcome};
pub use presign::{LONGEST as LONGEST_LINK, Link, PresignError};
pub use probe::ProbeKeys;
pub use skew::Skew;
pub use tag::Tag;
pub use write::Write;

use self::access::Location;
use self::diagnosis::{Attempt, Failed};
use self::open::Opened;
use self::operation::UnderWay;
use self::presign::Presigner;
use self::retry::{Again, retried};
use self::wire::{LISTING_LIMIT, LISTING_WITHIN, StoreObservations, Wire, observing};

/// A store, and the prefix in it below which all keys are.
#[derive(Clone, Debug)]
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    place: String,
    prefix: String,
    presigner: Presigner,
    conditions: Arc<Mutex<Option<Conditions>>>,
    /// How many writes there were to find them out.
    probed: Arc<AtomicU32>,
    observations: Arc<StoreObservations>,
    has_said_that_absence_is_a_guess: Arc<AtomicBool>,
    fence: Option<Fence>,
    observer: Option<Arc<dyn RequestObserver>>,
}

/// An object as a listing shows it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its key.
    pub key: String,
    /// When it was written, by the store's clock.
    pub written: WallTime,
    /// Which version of it.
    pub tag: Tag,
}

impl Storage {
    /// Opens a store that is written to. Nothing is read or written yet, but a folder is made.
    ///
    /// # Errors
    /// [`StorageError::Misconfigured`].
    pub fn open(location: &Location) -> Result<Self, StorageError> {
        if let StorageUrl::File { path } = &location.url {
            open::make(path, location.url.to_string())?;
        }
        Self::open_awaited(location)
    }

    /// Opens a store that is read for as long as the program runs. No folder is made: one that isn't there yet may come.
    ///
    /// # Errors
    /// [`StorageError::Misconfigured`].
    pub fn open_awaited(location: &Location) -> Result<Self, StorageError> {
        Self::open_over(location, Arc::new(ReqwestConnector::default()))
    }

    /// Opens a store that is read now: a folder that isn't there is an error, and is not made.
    ///
    /// # Errors
    /// [`StorageError::Misconfigured`].
    pub fn open_existing(location: &Location) -> Result<Self, StorageError> {
        if let StorageUrl::File { path } = &location.url {
            open::must_exist(path, location.url.to_string())?;
        }
        Self::open_awaited(location)
    }

    /// Opens the store over connections of the caller's making: tests put a bad network there.
    pub fn open_over(location: &Location, connector: Arc<dyn HttpConnector>) -> Result<Self, StorageError> {
        let place = location.url.to_string();
        let wire = Wire::new(connector);
        let observations = wire.observations();
        let Opened { store, presigner } = open::open(location, wire)?;
        Ok(Self { observations, presigner, prefix: location.url.prefix().to_owned(), ..Self::over(store, &place) })
    }

    /// Any store, named `place` in messages.
    pub fn over(store: Arc<dyn ObjectStore>, place: &str) -> Self {
        Self {
            store,
            place: place.to_owned(),
            prefix: String::new(),
            presigner: Presigner::Nothing("this process alone can reach it"),
            conditions: Arc::default(),
            probed: Arc::default(),
            observations: Arc::default(),
            has_said_that_absence_is_a_guess: Arc::default(),
            fence: None,
            observer: None,
        }
    }

    /// The same store, into which nothing is written and in which nothing is deleted but while the fence is open.
    pub fn fenced(self, fence: Fence) -> Self {
        Self { fence: Some(fence), ..self }
    }

    /// The same store, each of whose requests this observer counts.
    pub fn observed_by(self, observer: Arc<dyn RequestObserver>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The store's name for people.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How far the store's clock is from ours, by its newest answer; `now` is what ours shows now. `None` if it has not
    /// answered yet, or doesn't say.
    pub fn skew(&self, now: SystemTime) -> Option<Skew> {
        let (store, answered_at) = self.observations.time()?;
        Some(Skew::new(store, now.checked_sub(answered_at.elapsed())?))
    }

    /// Why the newest request failed that did.
    pub fn newest_failure(&self) -> Option<String> {
        self.observations.failure()
    }

    /// What the store's own clock shows, by its newest answer; `None` if it has not answered yet, or has none.
    pub fn own_time(&self) -> Option<WallTime> {
        let (store, answered_at) = self.observations.time()?;
        Some(WallTime::from_system(store + answered_at.elapsed()))
    }

    /// The keys of all objects below a folder, in no order; with `after`, only those that sort after it.
    pub async fn list(&self, folder: &str, after: Option<&str>) -> Result<Vec<String>, StorageError> {
        Ok(self.entries(folder, after).await?.into_iter().map(|entry| entry.key).collect())
    }

    /// The same, with what a listing tells of each.
    pub async fn entries(&self, folder: &str, after: Option<&str>) -> Result<Vec<Entry>, StorageError> {
        let prefix = Path::from(folder);
        let listed = retried(|| {
            let stream = match after {
                Some(after) => self.store.list_with_offset(Some(&prefix), &Path::from(after)),
                None => self.store.list(Some(&prefix)),
            };
            self.listing(folder, stream.map_ok(Entry::from).try_collect())
        });
        Ok(listed.await?)
    }

    /// The names of the folders directly below the prefix.
    pub async fn folders(&self) -> Result<Vec<String>, StorageError> {
        let listed = retried(|| self.listing("its folders", self.store.list_with_delimiter(None))).await?;
        Ok(listed.common_prefixes.iter().filter_map(|prefix| prefix.filename()).map(str::to_owned).collect())
    }

    /// Deletes an object, if it is there. Nothing that Lifeboat needs depends on the right to.
    pub async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let path = Path::from(key);
        let deleted = retried(|| async {
            self.check_fence(key)?;
            self.attempt(key, Operation::Delete, LISTING_LIMIT, self.store.delete(&path)).await
        });
        match deleted.await {
            Err(failed) if !failed.is_not_found() => Err(failed.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// A link with which anybody can read an object for `wanted`, at most seven days and no longer than the credentials
    /// that sign it live.
    pub async fn presign(&self, key: &str, wanted: Duration, now: WallTime) -> Result<Link, PresignError> {
        let whole_key = if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) };
        self.presigner.link(&self.place, &whole_key, wanted, now).await
    }

    // Before each try: the time that was given may end while one waits.
    fn check_fence(&self, key: &str) -> Result<(), Failed> {
        match &self.fence {
            Some(fence) if !fence.is_open() => {
                Err(StorageError::NotLeading { place: self.place.clone(), key: key.to_owned() }.into())
            }
            _ => Ok(()),
        }
    }

    async fn listing<T>(
        &self,
        folder: &str,
        listing: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failed> {
        let _progress = step(format_args!("listing {folder} in {}", self.place));
        let listing = self.attempt(folder, Operation::List, LISTING_LIMIT, listing);
        tokio::time::timeout(LISTING_WITHIN, listing).await.unwrap_or_else(|_| {
            let error = StorageError::Unavailable {
                place: self.place.clone(),
                key: folder.to_owned(),
                what: Operation::List,
                reason: format!("the listing did not end within {} s", LISTING_WITHIN.as_secs()),
            };
            Err(Failed { again: Again::Never, ..Failed::from(error) })
        })
    }

    /// One try of something, whose failure is diagnosed by what the wire noted meanwhile.
    async fn attempt<T>(
        &self,
        key: &str,
        what: Operation,
        body_limit: u64,
        operation: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T, Failed> {
        let under_way = UnderWay::begin(self.observer.clone(), what);
        let (result, observed) = observing(body_limit, operation).await;
        let newest = observed.newest.as_ref();
        let result = result.map_err(|error| Attempt { place: &self.place, key, what }.diagnose(&error, newest));

        if let Err(failed) = &result {
            self.observations.note_failure(failed.error.to_string());
        }
        let outcome = result.as_ref().map_or_else(|failed| failed.outcome(), |_| RequestOutcome::Ok);
        under_way.end(outcome, observed.requests);
        result
    }
}

impl From<ObjectMeta> for Entry {
    fn from(meta: ObjectMeta) -> Self {
        let (tag, written) = (Tag::listed(&meta), WallTime::from_system(meta.last_modified.into()));
        Self { key: meta.location.into(), written, tag }
    }
}
