//! How the newest rehearsal of an outage ended, for each version: recorded by the drill, read as metrics and as status.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use lifeboat_core::export::drill::DrillOutcome;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_runtime::lock::Locked;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::registry::Registry;

use super::VersionDrill;
use crate::metrics::Form;
use crate::metrics::names::{self, Metric};
use crate::metrics::series::{Number, Version, write_gauge};

/// Records how drills ended. Clones record into the same facts.
#[derive(Clone, Debug, Default)]
pub struct DrillMetrics(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    drills: BTreeMap<KongVersion, DrillFacts>,
    /// When each passed last, also before the newest.
    passed: BTreeMap<KongVersion, WallTime>,
}

/// What is known of the newest drill of a version.
#[derive(Clone, Debug)]
pub struct DrillFacts {
    /// When it ended.
    pub ended: WallTime,
    /// How long it took.
    pub took: Duration,
    /// When one last passed.
    pub last_success: Option<WallTime>,
    /// The snapshot that was restored, if there was one with a number.
    pub sequence: Option<u64>,
    /// From the start of an empty node until it ran the configuration, if it came to run one.
    pub running_in: Option<Duration>,
    /// When the control plane was last known to have it.
    pub last_seen: Option<WallTime>,
    /// Why it did not pass, if so.
    pub reason: Option<String>,
    /// Whether it passed, failed, or could not tell.
    pub outcome: DrillOutcome,
}

#[derive(EncodeLabelSet)]
struct VersionLabels {
    kong_version: Version,
}

impl DrillMetrics {
    /// A drill of one version has ended.
    pub fn ended(&self, drill: &VersionDrill) {
        let mut known = self.lock();
        let ended = drill.started + drill.took;
        if drill.passed() {
            known.passed.insert(drill.version, ended);
        }

        let restored = drill.restored.as_ref().ok();
        let facts = DrillFacts {
            ended,
            took: drill.took,
            last_success: known.passed.get(&drill.version).copied(),
            sequence: restored.and_then(|restored| restored.snapshot.sequence),
            running_in: restored.map(|restored| restored.running_in),
            last_seen: restored.and_then(|restored| restored.snapshot.last_seen),
            reason: drill.failure().map(ToString::to_string),
            outcome: drill.outcome(),
        };
        known.drills.insert(drill.version, facts);
    }

    /// Of all other versions somebody else tells from now on.
    pub fn keep_only(&self, versions: &[KongVersion]) {
        let mut known = self.lock();
        known.drills.retain(|version, _| versions.contains(version));
        known.passed.retain(|version, _| versions.contains(version));
    }

    /// The newest drill of a version, if there was one.
    pub fn of(&self, version: KongVersion) -> Option<DrillFacts> {
        self.lock().drills.get(&version).cloned()
    }

    /// All of these metrics, and no others, as Prometheus' text.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        encode(&mut text, &registry).expect("a string takes all that is written, and all numbers can be");
        Form::Prometheus.of_open_metrics(text)
    }

    /// Takes over when each version passed last, from a text that [`text`](Self::text) once was.
    pub fn remember(&self, text: &str) {
        let begin = format!("{}{{kong_version=\"", names::DRILL_LAST_SUCCESS.name);
        for line in text.lines().filter_map(|line| line.strip_prefix(&begin)) {
            let Some((version, number)) = line.split_once("\"} ") else { continue };
            if let (Ok(version), Some(time)) = (version.parse(), number.trim().parse().ok().and_then(wall_time)) {
                self.lock().passed.insert(version, time);
            }
        }
    }

    /// The versions that a text tells of, which [`text`](Self::text) once was.
    pub fn versions_in(text: &str) -> Vec<KongVersion> {
        let begin = format!("{}{{kong_version=\"", names::DRILL_SUCCESS.name);
        let lines = text.lines().filter_map(|line| line.strip_prefix(&begin));
        lines.filter_map(|line| line.split_once('"')?.0.parse().ok()).collect()
    }

    fn write_all(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let known = self.lock();
        let mut each = |metric: &Metric, number: fn(&DrillFacts) -> Option<Number>| {
            let of = |version: &KongVersion| VersionLabels { kong_version: Version(*version) };
            let series = known.drills.iter().filter_map(|(version, facts)| Some((of(version), number(facts)?)));
            write_gauge(encoder, metric, series)
        };

        each(&names::DRILL_SUCCESS, |facts| {
            Some(match facts.outcome {
                DrillOutcome::Passed => true.into(),
                DrillOutcome::Failed => false.into(),
                // Between both, so that the least of several tells of one that failed.
                DrillOutcome::Inconclusive => Number::Half,
            })
        })?;
        each(&names::DRILL_LAST, |facts| Some(Number::Time(facts.ended)))?;
        each(&names::DRILL_LAST_SUCCESS, |facts| facts.last_success.map(Number::Time))?;
        each(&names::DRILL_DURATION, |facts| Some(Number::Seconds(facts.took)))?;
        each(&names::DRILL_RESTORE_DURATION, |facts| facts.running_in.map(Number::Seconds))?;
        each(&names::DRILL_LAST_SEEN, |facts| facts.last_seen.map(Number::Time))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.locked()
    }
}

// To the millisecond, as it was.
fn wall_time(unix_seconds: f64) -> Option<WallTime> {
    let since = Duration::try_from_secs_f64((unix_seconds * 1000.0).round() / 1000.0 + 0.000_1).ok()?;
    Some(WallTime::from_system(SystemTime::UNIX_EPOCH.checked_add(since)?))
}

impl Collector for DrillMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.write_all(&mut encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drill::{DrillFailure, Finding, KongPart, Step};

    const VERSION: KongVersion = KongVersion::new(3, 9, 1);

    fn failed(at: u64) -> VersionDrill {
        let (step, finding) = (Step::Snapshot, Finding::Failure);
        let failure = DrillFailure { step, reason: "there is none".into(), cure: "look".into(), finding };
        VersionDrill {
            version: VERSION,
            started: WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(at)),
            took: Duration::from_millis(1500),
            restored: Err(failure),
            kong: KongPart::Absent,
        }
    }

    #[test]
    fn a_failure_does_not_make_forget_when_it_passed_last() {
        let metrics = DrillMetrics::default();
        metrics
            .remember("# HELP x\nlifeboat_drill_last_success_timestamp_seconds{kong_version=\"3.9.1\"} 1800000000.5\n");
        metrics.ended(&failed(1_800_000_100));
        let text = metrics.text();
        for line in [
            "lifeboat_drill_success{kong_version=\"3.9.1\"} 0",
            "lifeboat_drill_last_success_timestamp_seconds{kong_version=\"3.9.1\"} 1800000000.5",
            "lifeboat_drill_last_timestamp_seconds{kong_version=\"3.9.1\"} 1800000101.5",
            "lifeboat_drill_duration_seconds{kong_version=\"3.9.1\"} 1.5",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in {text}");
        }
        assert!(!text.contains("restore_duration"), "{text}");
    }

    #[test]
    fn a_drill_that_could_not_tell_has_a_value_of_its_own_between_both() {
        let metrics = DrillMetrics::default();
        let mut drill = failed(1_800_000_000);
        drill.restored = drill.restored.map_err(|failure| DrillFailure { finding: Finding::Nothing, ..failure });
        metrics.ended(&drill);
        let text = metrics.text();
        assert!(text.contains("lifeboat_drill_success{kong_version=\"3.9.1\"} 0.5"), "{text}");
        assert!(!text.contains("last_success"), "{text}");
    }

    #[test]
    fn what_another_exporter_leads_is_not_told_any_more() {
        let metrics = DrillMetrics::default();
        metrics.ended(&failed(1_800_000_000));
        metrics.keep_only(&[KongVersion::new(3, 8, 0)]);
        assert!(metrics.of(VERSION).is_none() && metrics.text().is_empty(), "{}", metrics.text());
    }

    #[test]
    fn a_file_that_somebody_else_has_written_is_not_believed() {
        let metrics = DrillMetrics::default();
        for text in
            ["", "x", "{kong_version=\"3.9.1\"} soon", "{kong_version=\"nine\"} 1", "{kong_version=\"3.9.1\"} -1"]
        {
            metrics.remember(&format!("lifeboat_drill_last_success_timestamp_seconds{text}"));
        }
        assert!(metrics.lock().passed.is_empty());
    }
}
