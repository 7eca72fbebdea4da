//! What must be true after every single write, whatever goes wrong, judged by the bytes that lie in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lifeboat::settings::HistoryLimit;
use lifeboat_core::export::election::DEATH;
use lifeboat_core::export::election::record::{LeaseRecord, Tenure};
use lifeboat_core::keys::Keyring;
use lifeboat_core::kong::EntityCounts;
use lifeboat_core::manifest::{Document, Manifest, Pin};
use lifeboat_core::object_key::{HistoryState, ObjectKeys, SnapshotFile, SnapshotId};
use lifeboat_core::verify::{Authentic, Place, Policy, authenticate, verify};

use super::clients::{Client, ClientId, Kind};
use super::configurations::known_as;
use super::log::Log;
use super::objects::{Objects, Stored};
use super::plan::{Conditions, MANY, Plan};
use super::{MAX_CONFIG, VERSION};

/// What was found to be wrong, and what has to be remembered to find it.
pub(crate) struct Checks {
    conditions: Conditions,
    history: HistoryLimit,
    policy: Policy,
    violations: Vec<String>,
    /// Which exporter has written the manifest under this epoch.
    writers: BTreeMap<u64, ClientId>,
    /// What the store has lost, which no exporter is to be blamed for until it has put it back.
    lost: BTreeSet<String>,
    /// When each place's lease was written last, and what it said then.
    leases: BTreeMap<String, (Duration, LeaseRecord)>,
    /// How often a manifest was written that names another snapshot.
    pub(crate) publications: u64,
    /// How many payloads were deleted.
    deletions: usize,
    /// What an operator was told that it stays until it is unpinned.
    promised: Option<SnapshotId>,
}

impl Checks {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            conditions: plan.conditions,
            history: plan.history,
            policy: Policy { version: VERSION, max_config: MAX_CONFIG, keys: Arc::new(Keyring::default()) },
            violations: Vec::new(),
            writers: BTreeMap::new(),
            lost: BTreeSet::new(),
            leases: BTreeMap::new(),
            publications: 0,
            deletions: 0,
            promised: None,
        }
    }

    /// The first thing that was wrong, if anything was.
    pub(crate) fn violation(&self) -> Option<&str> {
        self.violations.first().map(String::as_str)
    }

    /// An object was just written in place of `before`.
    pub(crate) fn written(
        &mut self,
        objects: &Objects,
        by: (ClientId, &Client),
        key: &str,
        before: Option<&Stored>,
        now: Duration,
        log: &mut Log,
    ) {
        let keys = ObjectKeys::new(VERSION);
        let found = self.violations.len();
        let is_back = self.lost.contains(key) && self.restorable(objects).is_ok();
        if key == keys.manifest() {
            self.published(objects, by, before, now, log);
        } else if key.starts_with(&keys.snapshots()) {
            self.added(objects, key, before);
        } else if key.ends_with(&keys.leader()) {
            self.leads(objects, key, before, now, log);
        }
        if is_back {
            self.lost.remove(key);
            log.note(now, &format!("{key} is back"));
        }
        for violation in &self.violations[found..] {
            log.note(now, &format!("WRONG: {violation}"));
        }
    }

    /// The store has lost this object.
    pub(crate) fn lost(&mut self, key: String) {
        self.lost.insert(key);
    }

    /// Whether the store has lost what this manifest names.
    pub(crate) fn has_lost(&self, manifest: &Manifest) -> bool {
        self.lost.contains(&manifest.snapshot.key)
    }

    /// An object was just deleted.
    pub(crate) fn deleted(&mut self, objects: &Objects, key: &str) {
        if key.starts_with(&ObjectKeys::new(VERSION).snapshots())
            && let Err(what) = self.restorable_but_for_losses(objects)
        {
            self.wrong(what);
        }
        if key.ends_with(".json.gz") {
            self.deletions += 1;
            self.is_not_too_much(objects, key);
        }
    }

    // No world lasts a day, so nothing is old enough to go for its age, whatever the clocks on the walls show.
    fn is_not_too_much(&mut self, objects: &Objects, key: &str) {
        let all = objects.below(&ObjectKeys::new(VERSION).snapshots(), Duration::MAX);
        let there = all.iter().filter(|(key, _)| key.ends_with(".json.gz")).count();
        if self.history == HistoryLimit::AtMost(MANY) {
            self.wrong(format!("{key} was deleted, which no limit demands and which is no day old"));
        }
        // Without conditions, two may prune at the same moment.
        if self.is_fenced() && self.deletions > (there + self.deletions).div_ceil(10) {
            self.wrong(format!("{} snapshots were deleted in a day, and {there} are left", self.deletions));
        }
    }

    /// An operator was told that what was just pinned stays.
    pub(crate) fn promise(&mut self, objects: &Objects, pinned: SnapshotId) {
        self.promised = Some(pinned);
        match self.restorable_but_for_losses(objects) {
            Ok(Some(manifest)) => self.is_as_promised(&manifest, "somebody"),
            Ok(None) => self.wrong("what an operator was told that it stays is gone".to_owned()),
            Err(what) => self.wrong(what),
        }
    }

    fn is_as_promised(&mut self, manifest: &Manifest, by: &str) {
        let Some(promised) = self.promised else { return };
        // Where it was lost, the same configuration comes back as another snapshot.
        if manifest.config_hash != promised.config_hash || manifest.pin != Some(Pin::Unpin) {
            let (sequence, now) = (promised.sequence, manifest.sequence);
            self.wrong(format!(
                "an operator was told that snapshot {sequence} stays until it is unpinned, and {by} has published {now}"
            ));
        }
    }

    /// The published manifest, whatever has become of its snapshot.
    pub(crate) fn named(&self, objects: &Objects) -> Result<Option<Authentic>, String> {
        let Some(stored) = objects.get(&ObjectKeys::new(VERSION).manifest()) else { return Ok(None) };
        let manifest = Document::decode(&stored.bytes)
            .map_err(|error| error.to_string())
            .and_then(|document| authenticate(&document, Place::Newest, &self.policy).map_err(|why| why.to_string()))
            .map_err(|why| format!("the manifest is not accepted: {why}"))?;
        Ok(Some(manifest))
    }

    fn restorable_but_for_losses(&self, objects: &Objects) -> Result<Option<Authentic>, String> {
        match self.named(objects)? {
            Some(manifest) if self.has_lost(&manifest) => Ok(Some(manifest)),
            _ => self.restorable(objects),
        }
    }

    /// The published manifest with its snapshot whole, or what is wrong with it.
    pub(crate) fn restorable(&self, objects: &Objects) -> Result<Option<Authentic>, String> {
        let Some(manifest) = self.named(objects)? else { return Ok(None) };
        let snapshot = format!("snapshot {}, which the manifest names,", manifest.sequence);
        let payload = objects.get(&manifest.snapshot.key).ok_or_else(|| format!("{snapshot} is missing"))?;
        verify(manifest.clone(), payload.bytes.clone(), &self.policy)
            .and_then(|verified| verified.config_json())
            .map_err(|why| format!("{snapshot} can't be restored: {why}"))?;
        Ok(Some(manifest))
    }

    /// Whether conditional writes hold, so that a deposed leader can be kept from writing.
    fn is_fenced(&self) -> bool {
        self.conditions == Conditions::Hold
    }

    pub(crate) fn wrong(&mut self, what: String) {
        self.violations.push(what);
    }

    fn published(
        &mut self,
        objects: &Objects,
        (id, client): (ClientId, &Client),
        before: Option<&Stored>,
        now: Duration,
        log: &mut Log,
    ) {
        let manifest = match self.restorable_but_for_losses(objects) {
            Ok(manifest) => manifest.expect("it was just written"),
            Err(what) => return self.wrong(what),
        };
        let Manifest { sequence, epoch, .. } = *manifest;
        let state = manifest.state;
        log.note(
            now,
            &format!("{} names snapshot {sequence}, {}, epoch {epoch}, {state:?}", client.name, manifest.config_hash),
        );
        let before = before.and_then(|stored| Manifest::decode(&stored.bytes).ok());
        let is_same = before.as_ref().is_some_and(|before| before.id() == manifest.id());
        if !is_same {
            self.publications += 1;
        }
        if let Some(before) = before.filter(|_| self.is_fenced()) {
            if sequence < before.sequence || (sequence == before.sequence && !is_same) {
                self.wrong(format!("snapshot {sequence} was published in the place of {}", before.sequence));
            }
            if epoch < before.epoch {
                self.wrong(format!("epoch {epoch} was published in the place of {}", before.epoch));
            }
            // Nothing but an operator's word ends this one, also where what it names was lost.
            let has_ended = manifest.pin != before.pin || manifest.config_hash != before.config_hash;
            if client.kind == Kind::Exporter && before.pin == Some(Pin::Unpin) && has_ended {
                self.wrong(format!("snapshot {sequence} was published in the place of one that is pinned"));
            }
        }
        match client.kind {
            Kind::Exporter => self.is_as_promised(&manifest, &client.name),
            Kind::Operator => self.promised = None,
        }
        if client.kind == Kind::Exporter {
            self.is_entitled(id, epoch);
            if !is_same {
                self.is_not_held(objects, client, &manifest);
            }
        }
    }

    // With epochs that grow it follows that a deposed exporter doesn't write once its successor has.
    fn is_entitled(&mut self, id: ClientId, epoch: u64) {
        let writer = *self.writers.entry(epoch).or_insert(id);
        if self.is_fenced() && writer != id {
            self.wrong(format!("two exporters, {writer:?} and {id:?}, have published in epoch {epoch}"));
        }
    }

    fn is_not_held(&mut self, objects: &Objects, client: &Client, manifest: &Manifest) {
        let Some(known) = known_as(manifest.config_hash) else {
            return self.wrong(format!("{} was never sent by a control plane", manifest.config_hash));
        };
        // What it knew to be published.
        let replaced = client.manifest.as_ref().and_then(|bytes| Manifest::decode(bytes).ok());
        if replaced.is_some_and(|before| loses_too_much(&before.counts, known.counts())) {
            self.wrong(format!("snapshot {} was published, which loses too much", manifest.sequence));
        }
        if self.is_fenced() && history_state_before(objects, manifest.id()) == Some(HistoryState::HeldAsShrunk) {
            self.wrong(format!(
                "snapshot {} was published: it was held, and nobody has released it",
                manifest.sequence
            ));
        }
    }

    fn added(&mut self, objects: &Objects, key: &str, before: Option<&Stored>) {
        let is_changed = before.is_some_and(|before| objects.get(key).is_some_and(|now| now.bytes != before.bytes));
        // A manifest that was stored damaged is made good.
        let was_whole = key.ends_with(".gz") || before.is_some_and(|before| Manifest::decode(&before.bytes).is_ok());
        if self.is_fenced() && is_changed && was_whole && !self.lost.contains(key) {
            self.wrong(format!("{key} was changed"));
        }
        // Without conditions two may lead, and each compress the same configuration under the same key. What one of them has
        // published is as good as lost then, and must be whole in the end.
        if !self.is_fenced() && is_changed && key.ends_with(".gz") {
            self.lost(key.to_owned());
        }
        if let Err(what) = self.restorable_but_for_losses(objects) {
            self.wrong(what);
        }
    }

    fn leads(&mut self, objects: &Objects, key: &str, before: Option<&Stored>, now: Duration, log: &mut Log) {
        let read = |stored: &Stored| serde_json::from_slice::<LeaseRecord>(&stored.bytes).ok();
        let Some(lease) = objects.get(key).and_then(read) else {
            return self.wrong(format!("{key} can't be read"));
        };
        let last = self.leases.insert(key.to_owned(), (now, lease.clone()));
        let LeaseRecord { owner, hostname, epoch, .. } = &lease;
        let Some((last_written, last)) = last.filter(|_| before.is_some()) else {
            return log.note(now, &format!("{hostname} takes the lease, which nobody has, epoch {epoch}"));
        };
        if last.owner == *owner && last.epoch == *epoch && last.tenure == lease.tenure {
            return;
        }
        log.note(now, &format!("{hostname}: the lease is {:?}, epoch {epoch}", lease.tenure));
        if *epoch < last.epoch || (*epoch == last.epoch && *owner != last.owner) {
            self.wrong(format!("epoch {epoch} of {hostname} follows epoch {} of {}", last.epoch, last.hostname));
        }
        if last.owner != *owner && last.tenure == Tenure::Held && now - last_written < DEATH {
            let idle = (now - last_written).as_secs_f64();
            self.wrong(format!("{hostname} has taken the lease of {} {idle:.1} s after it was renewed", last.hostname));
        }
    }
}

/// Whether all routes go, or more than half of the services or of the routes. The product's own guard is not asked: it is
/// what is judged here.
pub(crate) fn loses_too_much(before: &EntityCounts, after: &EntityCounts) -> bool {
    let goes = |kind| 2 * after.get(kind) < before.get(kind);
    goes("services") || goes("routes")
}

/// What became of the newest snapshot of the same configuration that is older than this one.
fn history_state_before(objects: &Objects, id: SnapshotId) -> Option<HistoryState> {
    let all = objects.below(&ObjectKeys::new(VERSION).snapshots(), Duration::MAX);
    let files = all.iter().filter_map(|(key, _)| SnapshotFile::from_name(key.rsplit('/').next()?));
    let mut earlier: Vec<SnapshotFile> =
        files.filter(|file| file.id.config_hash == id.config_hash && file.id.sequence < id.sequence).collect();
    earlier.retain(|file| file.state != HistoryState::Leftover);
    earlier.iter().max_by_key(|file| file.id.sequence).map(|file| file.state)
}

/// What became of the newest snapshot of a configuration.
pub(crate) fn newest_history_state(objects: &Objects, id: SnapshotId) -> Option<HistoryState> {
    history_state_before(objects, SnapshotId { sequence: u64::MAX, ..id })
}
