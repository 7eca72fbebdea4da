//! The checks bite: each mistake that is made on purpose is noticed within a few hundred worlds, in which nothing is wrong
//! without it. The mistakes are made between the product and the world: a store that shows an exporter something else than
//! what lies in it makes that exporter act as one that doesn't look. What can't be made from outside is a patch in
//! `mutations/`, which `mutations/run` applies to a copy of the sources.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use lifeboat_core::export::election::DEATH;
use lifeboat_core::export::election::record::{LeaseRecord, Tenure};
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::time::WallTime;
use object_store::PutMode;

use super::VERSION;
use super::clients::ClientId;
use super::objects::Stored;
use super::places::Place;
use super::seeds::play_all;
use super::store::BEGIN;

/// Within so many worlds each is noticed. When this was written, twenty were enough for most of them, and three hundred for
/// the one that takes two elections of which one falls silent.
const WORLDS: u64 = 500;

/// What exporters do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// A leader writes whatever the store's condition says.
    NoConditions,
    /// A new leader doesn't write the manifest anew with its epoch.
    NoRepublishFirst,
    /// What was written isn't read back.
    NoReadBack,
    /// The manifest is written before the payload.
    ManifestBeforePayload,
    /// Of two configurations the one with the later time is the newer one.
    TimestampsDecide,
    /// A configuration may lose almost everything.
    NoShrinkGuard,
    /// Whether a lease is dead is judged by the clock on the wall.
    WallClockLeases,
    /// Who elects in another store leaves no mark beside the backups.
    NoMark,
    /// Who elects in another store doesn't wait for those who elect beside the backups.
    NoWaitForOthers,
}

/// What the store shows each exporter instead of what lies in it.
#[derive(Debug)]
pub(crate) struct Deception {
    mistake: Option<Mistake>,
    /// By client and key.
    beliefs: BTreeMap<(ClientId, String), Belief>,
    /// What the clients' clocks on the wall showed at the world's begin.
    walls: BTreeMap<ClientId, WallTime>,
    places: BTreeMap<ClientId, Place>,
}

/// An object as one client has written it, shown for as long as something else lies there.
#[derive(Debug)]
struct Belief {
    shown: Stored,
    instead_of: Option<Bytes>,
}

impl Deception {
    pub(crate) fn new(mistake: Option<Mistake>) -> Self {
        Self { mistake, beliefs: BTreeMap::new(), walls: BTreeMap::new(), places: BTreeMap::new() }
    }

    /// What this client's clock on the wall showed at the world's begin.
    pub(crate) fn goes_by(&mut self, client: ClientId, wall: WallTime) {
        self.walls.insert(client, wall);
    }

    /// This client elects there.
    pub(crate) fn elects_in(&mut self, client: ClientId, place: Place) {
        self.places.insert(client, place);
    }

    /// What a client sees of an object.
    pub(crate) fn shown(&self, id: ClientId, key: &str, found: Option<Stored>, now: Duration) -> Option<Stored> {
        if self.mistake == Some(Mistake::WallClockLeases) && key == ObjectKeys::new(VERSION).leader() {
            return found.map(|stored| self.lease_by_the_wall(id, stored, now));
        }

        let is_elsewhere = self.places.get(&id).is_some_and(|place| *place != Place::BesideTheBackups);
        let is_others = key == ObjectKeys::new(VERSION).leader() && is_elsewhere;
        if self.mistake == Some(Mistake::NoWaitForOthers) && is_others {
            return None;
        }

        match self.beliefs.get(&(id, key.to_owned())) {
            Some(belief) if found.as_ref().map(|stored| &stored.bytes) == belief.instead_of.as_ref() => {
                Some(belief.shown.clone())
            }
            _ => found,
        }
    }

    /// The condition that an exporter sends with a write.
    pub(crate) fn heeded<'a>(&self, key: &str, mode: &'a PutMode) -> &'a PutMode {
        let is_election = key.contains("/election/");
        match (self.mistake, mode) {
            (Some(Mistake::NoConditions), PutMode::Update(_)) if !is_election => &PutMode::Overwrite,
            _ => mode,
        }
    }

    /// The tag to answer an exporter's write with if that never reaches the store.
    pub(crate) fn swallowed(
        &mut self,
        id: ClientId,
        key: &str,
        bytes: &Bytes,
        before: Option<&Stored>,
        now: Duration,
    ) -> Option<Option<String>> {
        let is_swallowed = match self.mistake {
            Some(Mistake::ManifestBeforePayload) => key.ends_with(".json.gz"),
            Some(Mistake::NoMark) => key == ObjectKeys::new(VERSION).election_mark(),
            Some(Mistake::NoRepublishFirst) => {
                before.is_some_and(|before| differs_in_epoch_alone(&before.bytes, bytes))
            }
            _ => false,
        };
        if !is_swallowed {
            return None;
        }

        // A condition on this tag still holds for what the client writes next.
        let tag = before.and_then(|before| before.tag.clone());
        let shown = Stored { bytes: bytes.clone(), tag: tag.clone(), written: now };
        let instead_of = before.map(|before| before.bytes.clone());
        self.beliefs.insert((id, key.to_owned()), Belief { shown, instead_of });
        Some(tag)
    }

    /// An exporter's write was stored as these bytes, which are not the ones that it meant.
    pub(crate) fn damaged(&mut self, id: ClientId, key: &str, meant: Stored, stored: &Bytes) {
        if self.mistake == Some(Mistake::NoReadBack) {
            self.beliefs.insert((id, key.to_owned()), Belief { shown: meant, instead_of: Some(stored.clone()) });
        }
    }

    // Whoever compares its own clock with the store's takes a lease as released once it is old by the difference.
    fn lease_by_the_wall(&self, id: ClientId, stored: Stored, now: Duration) -> Stored {
        let written = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN) + stored.written);
        let is_old = self.walls.get(&id).is_some_and(|wall| (*wall + now).since(written) > DEATH);
        match serde_json::from_slice::<LeaseRecord>(&stored.bytes) {
            Ok(record) if is_old => {
                let released = LeaseRecord { tenure: Tenure::Released, ..record };
                let bytes = serde_json::to_vec(&released).expect("a lease has a JSON form");
                Stored { bytes: bytes.into(), ..stored }
            }
            _ => stored,
        }
    }
}

// As a new leader's first write does.
fn differs_in_epoch_alone(before: &[u8], after: &[u8]) -> bool {
    let (Ok(before), Ok(after)) = (Manifest::decode(before), Manifest::decode(after)) else { return false };
    let Manifest { epoch, ref exporter, .. } = after;
    epoch != before.epoch && after == Manifest { epoch, exporter: exporter.clone(), ..before }
}

fn is_noticed(mistake: Mistake, signs: &[&str]) {
    let failure = play_all(0..WORLDS, Some(mistake)).failure;
    let failure = failure.unwrap_or_else(|| panic!("{mistake:?} was not noticed in {WORLDS} worlds"));
    eprintln!("{mistake:?} is noticed with seed {}: {}", failure.seed, failure.what);
    let is_expected = signs.iter().any(|sign| failure.what.contains(sign));
    assert!(is_expected, "{mistake:?} should be noticed as one of {signs:?}: {}", failure.report());

    let without = play_all(failure.seed..failure.seed + 1, None).failure;
    assert!(without.is_none(), "{mistake:?} has nothing to do with it: {}", failure.report());
}

#[test]
fn an_exporter_that_writes_whatever_the_condition_says_is_noticed() {
    is_noticed(Mistake::NoConditions, &["in the place of", "have published in epoch"]);
}

#[test]
fn a_new_leader_that_does_not_write_the_manifest_first_is_noticed() {
    is_noticed(Mistake::NoRepublishFirst, &["and the manifest has"]);
}

#[test]
fn an_exporter_that_does_not_read_back_is_noticed() {
    is_noticed(Mistake::NoReadBack, &["can't be restored", "has no manifest in the history", "config.json is not"]);
}

#[test]
fn a_manifest_before_its_payload_is_noticed() {
    is_noticed(Mistake::ManifestBeforePayload, &["is missing"]);
}

#[test]
fn an_exporter_that_goes_by_timestamps_is_noticed() {
    is_noticed(Mistake::TimestampsDecide, &["is not published", "neither published nor kept"]);
}

#[test]
fn an_exporter_without_the_guard_is_noticed() {
    is_noticed(Mistake::NoShrinkGuard, &["loses too much", "has not been released"]);
}

#[test]
fn leases_by_the_clock_on_the_wall_are_noticed() {
    is_noticed(Mistake::WallClockLeases, &["after it was renewed"]);
}

#[test]
fn an_election_elsewhere_without_a_mark_is_noticed() {
    is_noticed(Mistake::NoMark, &["leads, and so does one in"]);
}

#[test]
fn an_election_elsewhere_that_does_not_wait_for_others_is_noticed() {
    is_noticed(Mistake::NoWaitForOthers, &["leads, and so does one in"]);
}
