//! The facts of all exporters as metrics, written when somebody looks.

use std::fmt;

use lifeboat_core::export::election::Strategy;
use lifeboat_core::lifetimes::Expiring;
use lifeboat_core::manifest::{Manifest, State};
use lifeboat_core::room::{NodeLimit, Sizes};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};

use super::names::{self, Metric};
use super::series::{Number, Version, VersionLabels, write_counter, write_gauge};
use crate::observation::{ExportFacts, NEWEST_STATES, Trace, held_name, newest_state_name};

#[cfg(test)]
mod tests;

/// Kinds whose numbers say how large a configuration is: of others there may be any, also such as plugins bring along.
const COUNTED: [&str; 5] = ["services", "routes", "plugins", "upstreams", "consumers"];

#[derive(EncodeLabelSet)]
struct FailureLabels {
    kong_version: Version,
    class: &'static str,
}

#[derive(EncodeLabelSet)]
struct TraceLabels {
    kong_version: Version,
    object: &'static str,
}

#[derive(EncodeLabelSet)]
struct StandingLabels {
    kong_version: Version,
    standing: &'static str,
}

#[derive(EncodeLabelSet)]
struct HeldLabels {
    kong_version: Version,
    config_hash: String,
    reason: &'static str,
}

#[derive(EncodeLabelSet)]
struct ElectionLabels {
    kong_version: Version,
    strategy: &'static str,
}

#[derive(EncodeLabelSet)]
struct ConfigurationLabels {
    kong_version: Version,
    config_hash: String,
    state: &'static str,
}

#[derive(EncodeLabelSet)]
struct StoreLabels {
    kong_version: Version,
    store: String,
}

#[derive(EncodeLabelSet)]
struct EntityLabels {
    kong_version: Version,
    kind: &'static str,
}

#[derive(EncodeLabelSet)]
struct LimitLabels {
    kong_version: Version,
    limit: &'static str,
}

#[derive(EncodeLabelSet)]
struct EndLabels {
    kong_version: Version,
    of: &'static str,
}

/// Writes the metrics of all versions.
pub(super) fn write_all(encoder: &mut DescriptorEncoder<'_>, all: &[ExportFacts]) -> fmt::Result {
    if !all.is_empty() {
        let received = all.iter().map(|facts| (of(facts), facts.received));
        write_counter(encoder, &names::KEEP_RECEIVED, received)?;
        write_counter(encoder, &names::KEEP_FAILURES, all.iter().flat_map(failures))?;
        write_counter(encoder, &names::KEEP_OTHER_EXPORTER, all.iter().flat_map(other_exporters))?;
    }

    let mut each = |metric: &Metric, number: fn(&ExportFacts) -> Option<Number>| {
        let series = all.iter().filter_map(|facts| Some((of(facts), number(facts)?)));
        write_gauge(encoder, metric, series)
    };
    each(&names::KEEP_READY, |facts| Some(facts.check_ready().is_ok().into()))?;
    each(&names::KEEP_CONNECTED, |facts| Some(facts.is_connected.into()))?;
    each(&names::KEEP_RECEIVED_AT, |facts| Some(Number::Time(facts.newest?.at)))?;
    each(&names::KEEP_HELD, |facts| Some(facts.holds().is_some().into()))?;
    each(&names::KEEP_PAYLOAD_LOST, |facts| Some(facts.payload_lost.is_some().into()))?;
    each(&names::KEEP_NODES_THAT_DIFFER, |facts| Some(Number::Whole(facts.nodes_that_differ as u64)))?;
    each(&names::KEEP_LEADER, |facts| Some(facts.leads().into()))?;
    each(&names::KEEP_EPOCH, |facts| facts.epoch().map(Number::Whole))?;
    each(&names::KEEP_LAST_ATTEMPT, |facts| facts.last_attempt.map(Number::Time))?;
    each(&names::KEEP_LAST_SUCCESS, |facts| facts.last_success.map(Number::Time))?;

    let mut published = |metric: &Metric, number: fn(&Manifest) -> Number| {
        let series = all.iter().filter_map(|facts| Some((of(facts), number(facts.published.as_ref()?))));
        write_gauge(encoder, metric, series)
    };
    published(&names::KEEP_SEQUENCE, |manifest| Number::Whole(manifest.sequence))?;
    published(&names::KEEP_PUBLISHED_AT, |manifest| Number::Time(manifest.times.exported))?;
    published(&names::KEEP_LAST_SEEN, |manifest| Number::Time(manifest.times.last_seen))?;
    published(&names::KEEP_CONFIG_BYTES, |manifest| Number::Whole(manifest.config.bytes))?;
    published(&names::KEEP_PAYLOAD_BYTES, |manifest| Number::Whole(manifest.snapshot.bytes))?;

    write_gauge(encoder, &names::KEEP_STANDING, all.iter().flat_map(standings))?;
    write_gauge(encoder, &names::KEEP_HELD_INFO, all.iter().filter_map(held))?;
    write_gauge(encoder, &names::KEEP_ELECTION_INFO, all.iter().filter_map(election))?;
    write_gauge(encoder, &names::KEEP_OTHER_STORE, all.iter().flat_map(other_stores))?;
    write_gauge(encoder, &names::KEEP_CONFIGURATION_INFO, all.iter().filter_map(configuration))?;
    write_gauge(encoder, &names::KEEP_LIMIT_USED, all.iter().flat_map(limits_used))?;
    write_gauge(encoder, &names::KEEP_ENTITIES, all.iter().flat_map(entities))?;
    write_gauge(encoder, &names::KEEP_ENDS, all.iter().flat_map(ends))?;
    let with_ttl =
        |facts: &ExportFacts| Some((of(facts), Number::Whole(facts.lifetimes.as_ref()?.credentials_with_ttl)));
    write_gauge(encoder, &names::KEEP_TTL, all.iter().filter_map(with_ttl))
}

fn of(facts: &ExportFacts) -> VersionLabels {
    VersionLabels { kong_version: Version(facts.version) }
}

fn failures(facts: &ExportFacts) -> impl Iterator<Item = (FailureLabels, u64)> {
    let kong_version = Version(facts.version);
    facts.failures.iter().map(move |(class, count)| (FailureLabels { kong_version, class }, *count))
}

fn other_exporters(facts: &ExportFacts) -> impl Iterator<Item = (TraceLabels, u64)> {
    let labels = |trace: Trace| {
        let object = match trace {
            Trace::Manifest => "manifest",
            Trace::ConfigJson => "config_json",
        };
        TraceLabels { kong_version: Version(facts.version), object }
    };
    facts.other_exporters.iter().map(move |(trace, count)| (labels(*trace), *count))
}

fn standings(facts: &ExportFacts) -> impl Iterator<Item = (StandingLabels, Number)> {
    let now = facts.judged.as_ref().map_or("nothing", |judged| newest_state_name(&judged.state));
    let labels = |standing| StandingLabels { kong_version: Version(facts.version), standing };
    NEWEST_STATES.iter().map(move |standing| (labels(standing), (*standing == now).into()))
}

fn held(facts: &ExportFacts) -> Option<(HeldLabels, Number)> {
    let (hash, why) = facts.holds()?;
    let (config_hash, reason) = (hash.to_string(), held_name(why));
    Some((HeldLabels { kong_version: Version(facts.version), config_hash, reason }, Number::Whole(1)))
}

fn election(facts: &ExportFacts) -> Option<(ElectionLabels, Number)> {
    let strategy = strategy_name(facts.strategy?);
    Some((ElectionLabels { kong_version: Version(facts.version), strategy }, Number::Whole(1)))
}

fn configuration(facts: &ExportFacts) -> Option<(ConfigurationLabels, Number)> {
    let manifest = facts.published.as_ref()?;
    let (config_hash, state) = (manifest.config_hash.to_string(), state_name(manifest.state));
    Some((ConfigurationLabels { kong_version: Version(facts.version), config_hash, state }, Number::Whole(1)))
}

fn other_stores(facts: &ExportFacts) -> impl Iterator<Item = (StoreLabels, Number)> {
    let labels = |store: &String| StoreLabels { kong_version: Version(facts.version), store: store.clone() };
    facts.other_stores.iter().map(move |(store, is_current)| (labels(store), (*is_current).into()))
}

fn entities(facts: &ExportFacts) -> impl Iterator<Item = (EntityLabels, Number)> {
    let of_kind = |manifest: &Manifest| {
        let (kong_version, counts) = (Version(facts.version), manifest.counts.clone());
        COUNTED.map(move |kind| (EntityLabels { kong_version, kind }, Number::Whole(counts.get(kind))))
    };
    facts.published.as_ref().map(of_kind).into_iter().flatten()
}

fn limits_used(facts: &ExportFacts) -> impl Iterator<Item = (LimitLabels, Number)> {
    let labels = |limit: NodeLimit| LimitLabels { kong_version: Version(facts.version), limit: limit.name() };
    let used = facts.published.as_ref().map(|manifest| facts.limits.used_by(Sizes::of(manifest))).unwrap_or_default();
    used.into_iter().map(move |(limit, share)| (labels(limit), Number::Share(share)))
}

fn ends(facts: &ExportFacts) -> impl Iterator<Item = (EndLabels, Number)> {
    let first = |of: Expiring| {
        let labels = EndLabels { kong_version: Version(facts.version), of: of.name() };
        Some((labels, Number::Time(facts.lifetimes.as_ref()?.first(of)?)))
    };
    Expiring::ALL.into_iter().filter_map(first)
}

/// What metrics and status call a strategy.
pub fn strategy_name(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Lease => "lease",
        Strategy::Registry => "registry",
        Strategy::Alone => "alone",
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Confirmed => "confirmed",
        State::Received => "received",
        State::Pinned => "pinned",
        State::Held => "held",
    }
}
