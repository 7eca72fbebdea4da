//! What lies in the simulated store, and what lay there a while ago, which is what a listing that lags shows. What may go
//! wrong with a request is not known here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;

/// No listing is older than this.
pub(crate) const LONGEST_LAG: Duration = Duration::from_secs(60);

/// An object. Times are since the world's begin.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) tag: Option<String>,
    pub(crate) written: Duration,
}

/// How the store names an object's versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// Each write has another one.
    OfWrites,
    /// The same bytes have the same one, as on S3.
    OfBytes,
    /// Not at all.
    None,
}

/// All objects.
#[derive(Debug)]
pub(crate) struct Objects {
    tags: Tags,
    writes: u64,
    changes: BTreeMap<String, VecDeque<(Duration, Option<Stored>)>>,
}

impl Objects {
    pub(crate) fn new(tags: Tags) -> Self {
        Self { tags, writes: 0, changes: BTreeMap::new() }
    }

    /// The object that lies there now.
    pub(crate) fn get(&self, key: &str) -> Option<&Stored> {
        self.changes.get(key)?.back()?.1.as_ref()
    }

    /// Puts an object there, and tells its tag.
    pub(crate) fn put(&mut self, key: &str, bytes: Bytes, now: Duration) -> Option<String> {
        self.writes += 1;
        let tag = match self.tags {
            Tags::OfWrites => Some(format!("\"{}\"", self.writes)),
            Tags::OfBytes => Some(format!("\"{}\"", Sha256Digest::of(&bytes))),
            Tags::None => None,
        };
        self.change(key, Some(Stored { bytes, tag: tag.clone(), written: now }), now);
        tag
    }

    pub(crate) fn delete(&mut self, key: &str, now: Duration) {
        if self.get(key).is_some() {
            self.change(key, None, now);
        }
    }

    /// All objects below a folder as they were at that time, by key.
    pub(crate) fn below(&self, folder: &str, at: Duration) -> Vec<(String, Stored)> {
        let from = format!("{folder}/");
        let below = self.changes.range(from.clone()..).take_while(|(key, _)| key.starts_with(&from));
        let then = |changes: &VecDeque<(Duration, Option<Stored>)>| {
            changes.iter().rev().find(|(changed, _)| *changed <= at).and_then(|(_, stored)| stored.clone())
        };
        below.filter_map(|(key, changes)| Some((key.clone(), then(changes)?))).collect()
    }

    fn change(&mut self, key: &str, to: Option<Stored>, now: Duration) {
        let changes = self.changes.entry(key.to_owned()).or_default();
        changes.push_back((now, to));
        // The newest of those that are too old is what a listing of that age shows.
        while changes.get(1).is_some_and(|(changed, _)| *changed + LONGEST_LAG < now) {
            changes.pop_front();
        }
    }
}
