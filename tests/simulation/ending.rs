//! How a world must end: faults have stopped, and within a bounded time the store says what the control planes have, or
//! why not.

use std::time::Duration;

use lifeboat_core::digest::Sha256Digest;
use lifeboat_core::export::election::record::{LeaseRecord, Tenure};
use lifeboat_core::manifest::{Manifest, Pin};
use lifeboat_core::object_key::{HistoryState, ObjectKeys, SnapshotId};
use lifeboat_core::verify::Authentic;
use tokio::time::sleep;

use super::VERSION;
use super::checks::{loses_too_much, newest_history_state};
use super::configurations::configuration;
use super::database::Database;
use super::objects::{Objects, Stored};
use super::places::Place;
use super::plan::{Conditions, Plan};
use super::site::Site;

/// A doubted configuration waits for two minutes, a leader that died is missed after half a minute, a store that failed is
/// tried again after a minute at most, an export delay is a minute.
const BOUND: Duration = Duration::from_secs(600);
/// An exporter knows when it looked last whether an operator has chosen something, and a look may take so long.
const SAME_TIME: Duration = Duration::from_secs(90);
const PACE: Duration = Duration::from_secs(5);

/// Waits until all is as it should be; how long that took after the last fault, or what is still wrong.
pub(crate) async fn settled(site: &Site, database: &Database, plan: &Plan) -> Result<Duration, String> {
    let begin = site.now().max(site.aftermath());
    // What is as it should be before may still be undone.
    sleep(begin - site.now()).await;
    loop {
        let (is_settled, waited) = (state(site, database, plan), site.now() - begin);
        match is_settled {
            Ok(()) => return Ok(waited),
            Err(what) if waited >= BOUND => return Err(format!("{} s after the last fault, {what}", waited.as_secs())),
            Err(_) => sleep(PACE).await,
        }
    }
}

fn state(site: &Site, database: &Database, plan: &Plan) -> Result<(), String> {
    let state = site.state();
    let (objects, keys) = (&state.objects, ObjectKeys::new(VERSION));
    let manifest = match state.checks.restorable(objects) {
        Ok(manifest) => manifest.ok_or("nothing is published")?,
        Err(what) => {
            let lost =
                state.checks.named(objects)?.filter(|manifest| state.checks.has_lost(manifest)).ok_or(&what[..])?;
            return is_beyond_help(objects, &lost, database).map_err(|why| format!("{what}, {why}"));
        }
    };
    let copy = objects.get(&keys.snapshot_manifest(manifest.id()));
    if !copy.is_some_and(|copy| Manifest::decode(&copy.bytes).is_ok_and(|copy| copy.id() == manifest.id())) {
        return Err(format!("snapshot {} has no manifest in the history", manifest.sequence));
    }
    let json = objects.get(&keys.config_json()).ok_or("there is no config.json")?;
    if Sha256Digest::of(&json.bytes) != manifest.config.sha256 {
        return Err("config.json is not what the manifest names".to_owned());
    }
    if plan.conditions == Conditions::Hold {
        is_fenced(objects, &manifest, plan.elections.in_the_end())?;
    }
    is_due(objects, &manifest, database)
}

// The store has lost what is published: it comes back unless nobody has it who may give it.
fn is_beyond_help(objects: &Objects, manifest: &Authentic, database: &Database) -> Result<(), String> {
    let newest = configuration(database.configuration());
    let json = objects.get(&ObjectKeys::new(VERSION).config_json());
    if json.is_some_and(|json| Sha256Digest::of(&json.bytes) == manifest.config.sha256) {
        return Err("and config.json has it".to_owned());
    }
    if manifest.config_hash == newest.hash {
        return Err("and the control planes have it".to_owned());
    }
    // What is pinned or held stands in the way of what the control planes have.
    is_due(objects, manifest, database)
}

// Until the manifest has the leader's epoch, whoever led before could still replace it.
fn is_fenced(objects: &Objects, manifest: &Authentic, place: Place) -> Result<(), String> {
    let lease = objects.get(&place.leader()).ok_or("there is no lease")?;
    let lease: LeaseRecord = serde_json::from_slice(&lease.bytes).map_err(|error| error.to_string())?;
    if lease.tenure != Tenure::Held {
        return Err("nobody leads".to_owned());
    }
    if manifest.epoch != lease.epoch {
        return Err(format!("{} leads in epoch {}, and the manifest has {}", lease.owner, lease.epoch, manifest.epoch));
    }
    Ok(())
}

// What the control planes have is published, or there is a reason why not that an operator can see.
fn is_due(objects: &Objects, manifest: &Authentic, database: &Database) -> Result<(), String> {
    let index = database.configuration();
    let newest = configuration(index);
    let pinned = match manifest.pin {
        None => false,
        Some(Pin::Unpin) => true,
        Some(Pin::Change { instead_of }) => {
            // Its payload may be lost, its copy in the history isn't.
            let chosen = objects.get(&ObjectKeys::new(VERSION).snapshot_manifest(manifest.id()));
            // A change that is taken back before an exporter hears of it is none, and one at the time of the choice may have
            // come before or after it.
            let before = |chosen: &Stored| database.held_the_same_before(chosen.written + SAME_TIME);
            instead_of == newest.hash || chosen.is_some_and(before)
        }
    };
    let id = SnapshotId { sequence: 0, config_hash: newest.hash };
    let is_kept = newest_history_state(objects, id) == Some(HistoryState::HeldAsShrunk);
    if manifest.config_hash == newest.hash || pinned || is_kept {
        return Ok(());
    }
    Err(match loses_too_much(&manifest.counts, newest.counts()) {
        true => format!("configuration {index} is neither published nor kept as held"),
        false => format!("configuration {index}, which the control planes have, is not published"),
    })
}
