//! A snapshot in the form for nodes with incremental sync. It is made once for all of them, when the first one
//! connects.

use std::sync::{Arc, OnceLock};

use lifeboat_core::deltas::{Deltas, Unsyncable};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::Verified;
use lifeboat_runtime::background::computed;
use tokio::sync::Mutex;

use crate::archive::{Chosen, Stores};
use crate::evidence::Schemas;

/// A snapshot, and what it becomes for such nodes.
#[derive(Debug)]
pub(in crate::relay) struct SyncSnapshot {
    verified: Verified,
    /// The stores, the place in which it was found and its version of Kong, to find the right schemas.
    found: (Stores, String, KongVersion),
    deltas: OnceLock<Result<Deltas, Unsyncable>>,
    /// One makes them, the others wait.
    making: Mutex<()>,
}

impl SyncSnapshot {
    /// What was chosen from these stores.
    pub(in crate::relay) fn of(chosen: &Chosen, sources: &Stores) -> Self {
        let found = (sources.clone(), chosen.place.clone(), chosen.version);
        let (deltas, making) = (OnceLock::new(), Mutex::default());
        Self { verified: chosen.verified.clone(), found, deltas, making }
    }

    /// What nodes are given, or why they get nothing. The first call reads all of the configuration.
    pub(super) async fn deltas(self: &Arc<Self>) -> Result<Deltas, Unsyncable> {
        let _turn = match self.deltas.get() {
            Some(made) => return made.clone(),
            None => self.making.lock().await,
        };
        if let Some(made) = self.deltas.get() {
            return made.clone();
        }

        let (sources, place, version) = &self.found;
        let schemas = match sources.at(place) {
            Some(archive) => Schemas::of(archive, *version).await,
            None => Schemas::recorded(*version),
        };
        let snapshot = self.clone();
        let make = move || match schemas.set() {
            Some(schemas) => snapshot.verified.deltas(schemas),
            None => Err(Unsyncable::NoSchemas),
        };
        let made = computed(make).await;
        self.deltas.get_or_init(|| made).clone()
    }
}
