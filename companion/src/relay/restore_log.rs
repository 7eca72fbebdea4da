//! Logs which snapshot new nodes are given, what is wrong with others, and that there is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::outage::{Mention, OutageLog, Outages};
use lifeboat_core::verify::{Provenance, Writer};
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use tracing::{debug, info, warn};

use crate::archive::{Chosen, NoneChosen};

/// How many failures are remembered, since a node may claim any version. Beyond that all are forgotten.
const REMEMBERED: usize = 1_000;

/// What is said, and how often.
#[derive(Debug)]
pub(super) struct RestoreLog {
    stores: Outages,
    clock: Clock,
    outages: Mutex<BTreeMap<Failing, OutageLog>>,
}

/// What fails for a version of Kong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Failing {
    /// No store has anything to give.
    Restoring(KongVersion),
    /// This store can't be asked.
    Place(KongVersion, String),
    /// This object in this store can't be used.
    Object(KongVersion, String, String),
}

impl RestoreLog {
    pub(super) fn new(stores: Outages, clock: Clock) -> Self {
        Self { stores, clock, outages: Mutex::default() }
    }

    /// Nothing can be given, and it is tried again after `wait`.
    pub(super) fn failed(&self, version: KongVersion, error: &NoneChosen, attempt: u32, wait: Duration) {
        let seconds = wait.as_secs_f64();
        match self.mentioned(Failing::Restoring(version), error.class()) {
            Some(lasted) => warn!(
                attempt,
                "new nodes of Kong {version} can't be restored yet{lasted}: {error}. Trying again in {seconds:.0} s"
            ),
            None => debug!(attempt, "new nodes of Kong {version} can't be restored yet: {error}"),
        }
    }

    /// Nothing can be fetched now, but was before.
    pub(super) fn gives_what_was_fetched_before(&self, version: KongVersion, error: &NoneChosen) {
        match self.mentioned(Failing::Restoring(version), "older") {
            Some(lasted) => warn!("{error}; nodes of Kong {version} are given what was fetched before{lasted}"),
            None => debug!("{error}; nodes of Kong {version} are given what was fetched before"),
        }
    }

    /// This is given.
    pub(super) fn chosen(&self, version: KongVersion, chosen: &Chosen) {
        let mut failing = BTreeSet::new();
        for (place, skipped) in &chosen.skipped {
            let object = Failing::Object(version, place.clone(), skipped.key.clone());
            failing.insert(object.clone());
            if let Some(lasted) = self.mentioned(object, &skipped.reason) {
                warn!(store = place, "{} in {place} is not used{lasted}: {}", skipped.key, skipped.reason);
            }
        }

        for error in &chosen.failed {
            let place = Failing::Place(version, error.place().to_owned());
            failing.insert(place.clone());
            if let Some(lasted) = self.mentioned(place, error.class()) {
                warn!(store = error.place(), "{error}{lasted}");
            }
        }

        self.say_what_works(version, &failing);
        say(version, chosen);
    }

    // What has not failed this time.
    fn say_what_works(&self, version: KongVersion, failing: &BTreeSet<Failing>) {
        let now = self.clock.now();
        let mut outages = self.outages.locked();
        let works = outages.iter().filter(|(what, _)| what.version() == version && !failing.contains(*what));
        for (what, lasted) in works.filter_map(|(what, outage)| Some((what, outage.works(now)?))) {
            match what {
                Failing::Restoring(_) => info!("new nodes of Kong {version} can be restored again, after {lasted}"),
                Failing::Place(_, place) => info!(store = place, "{place} is asked again, after {lasted}"),
                Failing::Object(_, place, key) => {
                    debug!(store = place, "{key} is no longer in the way, after {lasted}")
                }
            }
        }
        // Their keys are new each time.
        outages.retain(|what, _| !matches!(what, Failing::Object(..)) || failing.contains(what));
    }

    fn mentioned(&self, what: Failing, cause: &str) -> Option<Mention> {
        let mut outages = self.outages.locked();
        if outages.len() >= REMEMBERED && !outages.contains_key(&what) {
            outages.clear();
        }
        let outage = outages.entry(what).or_insert_with(|| self.stores.another());
        outage.failed(cause, self.clock.now())
    }
}

impl Failing {
    fn version(&self) -> KongVersion {
        let (Self::Restoring(version) | Self::Place(version, _) | Self::Object(version, _, _)) = self;
        *version
    }
}

fn written_by(writer: &Writer) -> String {
    match writer {
        Writer::Anybody => "not authenticated".to_owned(),
        Writer::Signer(key) => format!("signed by {key:?}"),
        Writer::KeyHolder(key) => format!("authenticated with encryption key {key:?}"),
    }
}

fn say(version: KongVersion, chosen: &Chosen) {
    let Chosen { verified, place, .. } = chosen;
    let hash = verified.config_hash();
    let kin = if chosen.version == version {
        String::new()
    } else {
        let kin = chosen.version;
        format!(
            " of Kong {kin}, since there is no backup of {version} itself (LIFEBOAT_VERSION_MATCH=exact forbids that)"
        )
    };

    match verified.provenance() {
        Provenance::Manifest(manifest) => info!(
            store = place,
            sequence = manifest.sequence,
            %hash,
            "for new nodes of Kong {version}: snapshot {}{kin} from {place}, {}, configuration {hash}, {}",
            manifest.sequence,
            written_by(manifest.writer()),
            manifest.last_seen_at_the_control_plane().map_or_else(
                || "which no control plane has had".to_owned(),
                |seen| format!("last seen at the control plane at {seen}")
            )
        ),
        Provenance::BareConfigJson => warn!(
            store = place,
            %hash,
            "for new nodes of Kong {version}: a bare config.json{kin} from {place}, configuration {hash}; without a manifest \
             nothing tells how old or how complete it is"
        ),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_runtime::clock::Clock;

    use super::*;

    #[test]
    fn however_many_versions_nodes_claim_a_bounded_number_is_remembered() {
        let log = RestoreLog::new(Outages::default(), Clock::start());
        let version = |number: u32| KongVersion::new(3, number / 100, number % 100);
        for number in 0..5_000 {
            assert!(log.mentioned(Failing::Restoring(version(number)), "not_found").is_some(), "it is new");
            assert!(log.outages.locked().len() <= REMEMBERED);
        }
        let last = Failing::Restoring(version(4_999));
        assert!(log.mentioned(last, "not_found").is_none(), "it was said a moment ago");
    }
}
