//! The history, read for all readers of the page together: one reading at a time, and none before the last one is old
//! enough. So the store sees no more of ten readers than of one.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_core::time::{Moment, WallTime};
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::archive::{ArchiveReader, Extent, History};

/// So long a listing is shown before the next reader causes another one …
const SHOWN_FOR: Duration = Duration::from_secs(30);
/// … or so many times as long as it took, where that is longer.
const TIMES_AS_LONG: u32 = 10;
/// So long a reader waits for a listing, if there is none yet or an old one.
const LISTING_TIMEOUT: Duration = Duration::from_secs(8);

/// What the stores hold, as it was seen last.
#[derive(Debug)]
pub(super) struct Listing {
    /// When.
    pub(super) at: WallTime,
    /// The store that answered.
    pub(super) place: String,
    /// Each version's snapshots, or why one can't be told.
    pub(super) versions: Vec<History>,
    /// Stores that come before it and did not answer, each with the reason.
    pub(super) failed: Vec<String>,
}

/// What a reader is given.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The newest listing, if any was ever made.
    pub(super) listing: Option<Arc<Listing>>,
    /// Why the newest attempt made none.
    pub(super) problem: Option<String>,
}

/// The listing of these stores. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Listings(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    archives: Vec<ArchiveReader>,
    /// How many snapshots of each version are listed.
    limit: usize,
    clock: Clock,
    state: Mutex<State>,
    /// How many readings have ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    listing: Option<Arc<Listing>>,
    problem: Option<String>,
    is_reading: bool,
    due: Option<Moment>,
}

impl Listings {
    /// Of the first of these stores that answers: the newest `limit` snapshots of each version.
    pub(super) fn new(archives: Vec<ArchiveReader>, limit: usize, clock: Clock) -> Self {
        let (state, ended) = (Mutex::default(), watch::Sender::new(0));
        Self(Arc::new(Parts { archives, limit, clock, state, ended }))
    }

    /// What there is now, at once. If that is old, it is read anew for later readers.
    pub(super) fn glance(&self) -> Seen {
        self.refresh();
        self.seen()
    }

    /// What there is now; a new reading is waited for, but not for long.
    pub(super) async fn look(&self) -> Seen {
        let mut ended = self.0.ended.subscribe();
        if self.refresh() {
            let _ = timeout(LISTING_TIMEOUT, ended.changed()).await;
        }
        self.seen()
    }

    fn seen(&self) -> Seen {
        let state = self.0.state.locked();
        Seen { listing: state.listing.clone(), problem: state.problem.clone() }
    }

    /// Begins a reading if one is due. Whether there is one on its way.
    fn refresh(&self) -> bool {
        let mut state = self.0.state.locked();
        let is_due = state.due.is_none_or(|due| due <= self.0.clock.now());
        if state.is_reading || !is_due || self.0.archives.is_empty() {
            return state.is_reading;
        }

        state.is_reading = true;
        drop(state);
        // A reader who goes away does not end it: the next one has the use of it.
        let parts = self.0.clone();
        tokio::spawn(async move { parts.read().await });
        true
    }
}

impl Parts {
    async fn read(&self) {
        let began = self.clock.now();
        let found = self.list().await;

        let ended = self.clock.now();
        let pause = SHOWN_FOR.max(ended.since(began) * TIMES_AS_LONG);
        let mut state = self.state.locked();
        (state.is_reading, state.due) = (false, Some(ended + pause));
        match found {
            Ok(listing) => (state.listing, state.problem) = (Some(Arc::new(listing)), None),
            Err(problem) => state.problem = Some(problem),
        }
        drop(state);
        self.ended.send_modify(|count| *count += 1);
    }

    async fn list(&self) -> Result<Listing, String> {
        let mut failed = Vec::new();
        for archive in &self.archives {
            match versions(archive, self.limit).await {
                Ok(versions) => {
                    let place = archive.place().to_owned();
                    return Ok(Listing { at: self.clock.wall(), place, versions, failed });
                }
                Err(problem) => failed.push(problem),
            }
        }
        Err(failed.join("; "))
    }
}

async fn versions(archive: &ArchiveReader, limit: usize) -> Result<Vec<History>, String> {
    let mut histories = Vec::new();
    for version in archive.versions().await.map_err(|error| error.to_string())? {
        histories.push(archive.history(version, limit, Extent::Whole).await.map_err(|error| error.to_string())?);
    }
    histories.reverse();
    Ok(histories)
}
