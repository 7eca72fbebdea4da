//! What a worker knows: of the node for as long as it lives, and of the last questions until a report has told it. Not
//! here: asking and telling.

use std::time::{Duration, SystemTime};

use crate::digest::ConfigHash;
use crate::report::outcome::Failure;
use crate::report::{ControlPlane, Metric, Reachability};

/// What the last questions have brought, until a report tells it. What comes while one is under way replaces what was
/// learnt before: the newest counts.
#[derive(Debug, Default)]
pub(super) struct Round {
    has_begun: bool,
    config: Option<Result<ConfigHash, Failure>>,
    control_plane: Option<Reachability>,
}

impl Round {
    pub(super) fn begin(&mut self) {
        self.has_begun = true;
    }

    pub(super) fn learn_config(&mut self, result: Result<ConfigHash, Failure>) {
        self.config = Some(result);
    }

    pub(super) fn learn_control_plane(&mut self, seen: Option<Reachability>) {
        self.control_plane = seen;
    }

    /// Whether there is something to tell, or nothing that could still come.
    pub(super) fn is_worth_a_report(&self, is_asking: bool) -> bool {
        self.config.is_some() || self.control_plane.is_some() || (self.has_begun && !is_asking)
    }

    pub(super) fn config_hash(&self) -> Option<ConfigHash> {
        self.config.as_ref()?.as_ref().ok().copied()
    }

    pub(super) fn status_failure(&self) -> Option<&Failure> {
        self.config.as_ref()?.as_ref().err()
    }

    pub(super) fn control_plane(&self) -> Option<Reachability> {
        self.control_plane
    }
}

/// Something that was seen, and when it was seen first.
#[derive(Debug, Clone, Copy)]
struct Seen<T> {
    value: T,
    since: SystemTime,
    since_elapsed: Duration,
}

fn see<T: PartialEq>(seen: &mut Option<Seen<T>>, value: T, now: SystemTime, elapsed: Duration) {
    if seen.as_ref().is_none_or(|seen| seen.value != value) {
        *seen = Some(Seen { value, since: now, since_elapsed: elapsed });
    }
}

/// What is known of the node.
#[derive(Debug, Default)]
pub(super) struct Knowledge {
    config: Option<Seen<ConfigHash>>,
    control_plane: Option<Seen<Reachability>>,
    /// The last probe could not be made, so what the one before has seen may be over.
    is_out_of_sight: bool,
    version: Option<String>,
    node_id: Option<String>,
    requests_asked: u8,
}

impl Knowledge {
    /// So many requests are asked for the node's id. Kong's first one knows.
    const REQUESTS_ASKED: u8 = 3;

    /// What a round has shown by now.
    pub(super) fn settle(&mut self, round: &Round, now: SystemTime, elapsed: Duration) {
        if let Some(hash) = round.config_hash() {
            see(&mut self.config, hash, now, elapsed);
        }
        if let Some(state) = round.control_plane() {
            see(&mut self.control_plane, state, now, elapsed);
            self.is_out_of_sight = false;
        }
    }

    /// It was looked for and could not be.
    pub(super) fn lose_sight_of_control_plane(&mut self) {
        self.is_out_of_sight = true;
    }

    /// Its address may be another one now.
    pub(super) fn forget_control_plane(&mut self) {
        self.control_plane = None;
    }

    /// The control plane as the last probe has seen it, also while the next one isn't due.
    pub(super) fn control_plane(&self) -> Option<ControlPlane> {
        let seen = self.control_plane.as_ref().filter(|_| !self.is_out_of_sight)?;
        Some(ControlPlane { state: seen.value, since_ms: super::milliseconds(seen.since) })
    }

    /// An answer of the Status API named this version, or none.
    pub(super) fn answered_by(&mut self, version: Option<String>) {
        self.version = version.or(self.version.take());
    }

    pub(super) fn wants_node_id(&self) -> bool {
        self.node_id.is_none() && self.requests_asked < Self::REQUESTS_ASKED
    }

    pub(super) fn learn_node_id(&mut self, node_id: Option<Vec<u8>>) {
        self.requests_asked = self.requests_asked.saturating_add(1);
        let text = node_id.and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = |id: &String| (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        self.node_id = text.filter(plain).or(self.node_id.take());
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub(super) fn node_id(&self) -> Option<&str> {
        self.node_id.as_deref()
    }

    pub(super) fn metrics(&self, elapsed: Duration) -> Vec<(Metric, u64)> {
        let mut metrics = Vec::new();
        if let Some(seen) = &self.control_plane {
            metrics.push((Metric::ControlPlaneReachable, u64::from(seen.value.is_reachable())));
        }
        if let Some(seen) = &self.config {
            metrics.push((Metric::ConfigEmpty, u64::from(seen.value.is_empty())));
            metrics.push((Metric::ConfigAge, elapsed.saturating_sub(seen.since_elapsed).as_secs()));
        }
        metrics
    }

    /// For a response header: plain ASCII, whatever was learnt.
    pub(super) fn in_one_line(&self) -> String {
        let config = self.config.as_ref().map_or_else(|| "unknown".to_owned(), |seen| seen.value.to_string());
        let control_plane = self.control_plane.as_ref().map_or("unknown", |seen| seen.value.as_str());
        format!("config={config}, control-plane={control_plane}")
    }
}
