//! The checks bite: each mistake that is made on purpose is noticed within a few hundred worlds, in which nothing is wrong
//! without it.

use lifeboat_core::mutation::{Mutation, switch};

use super::seeds::play_all;

/// Within so many worlds each is noticed. When this was written, twenty were enough.
const WORLDS: u64 = 500;

fn is_noticed(mutation: Mutation, signs: &[&str]) {
    let failure = play_all(0..WORLDS, || switch(Some(mutation))).failure;
    let failure = failure.unwrap_or_else(|| panic!("{mutation:?} was not noticed in {WORLDS} worlds"));
    eprintln!("{mutation:?} is noticed with seed {}: {}", failure.seed, failure.what);
    let is_expected = signs.iter().any(|sign| failure.what.contains(sign));
    assert!(is_expected, "{mutation:?} should be noticed as one of {signs:?}: {}", failure.report());
    let without = play_all(failure.seed..failure.seed + 1, || switch(None)).failure;
    assert!(without.is_none(), "{mutation:?} has nothing to do with it: {}", failure.report());
}

#[test]
fn an_exporter_that_does_not_mind_whether_it_leads_is_noticed() {
    is_noticed(Mutation::NoFencing, &["in the place of", "have published in epoch"]);
}

#[test]
fn a_new_leader_that_does_not_write_the_manifest_first_is_noticed() {
    is_noticed(Mutation::NoRepublishFirst, &["and the manifest has"]);
}

#[test]
fn an_exporter_that_does_not_read_back_is_noticed() {
    is_noticed(Mutation::NoReadBack, &["can't be restored", "has no manifest in the history", "config.json is not"]);
}

#[test]
fn a_manifest_before_its_payload_is_noticed() {
    is_noticed(Mutation::ManifestBeforePayload, &["is missing"]);
}

#[test]
fn an_exporter_that_goes_by_timestamps_is_noticed() {
    is_noticed(Mutation::TimestampsDecide, &["is not published", "neither published nor kept"]);
}

#[test]
fn an_exporter_without_the_guard_is_noticed() {
    is_noticed(Mutation::NoShrinkGuard, &["loses too much", "nobody has released it"]);
}

#[test]
fn leases_by_the_clock_on_the_wall_are_noticed() {
    is_noticed(Mutation::WallClockLeases, &["after it was renewed"]);
}
