//! Every metric that there is: one table, from which come what is registered and the table in docs/metrics.md (a test
//! compares).

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name, as Prometheus sees it, with its unit.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start.
    Counter,
    /// What is now.
    Gauge,
    /// How many were how large.
    Histogram,
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

const VERSION: &[&str] = &["kong_version"];

pub(crate) const BUILD_INFO: Metric = gauge("lifeboat_build_info", &["version"], "1; which Lifeboat this is");
pub(crate) const START: Metric = gauge("lifeboat_start_timestamp_seconds", &[], "when the program was started");
pub(crate) const CERTIFICATE_EXPIRY: Metric = gauge(
    "lifeboat_certificate_expiry_timestamp_seconds",
    &["certificate"],
    "when a certificate expires: the one for the control plane (cluster), the one that nodes see (relay)",
);

pub(crate) const SETTINGS_RELOADS: Metric = counter(
    "lifeboat_settings_reloads_total",
    &["result"],
    "how often settings were read again (SIGHUP), by result: changes took effect (applied), nothing changed \
     that can change at run time (unchanged), or nothing took effect because of a mistake (refused)",
);

pub(crate) const STORE_REQUESTS: Metric = counter(
    "lifeboat_store_requests_total",
    &["operation", "outcome"],
    "requests to the store, each attempt and each page of a listing counted separately, including elections \
     and checks; what stores charge for",
);
pub(crate) const STORE_DURATION: Metric = histogram(
    "lifeboat_store_request_duration_seconds",
    &["operation"],
    "how long requests to the store took, each attempt separately, including bodies",
);

pub(crate) const KEEP_CONNECTED: Metric = gauge(
    "lifeboat_keep_control_plane_connected",
    VERSION,
    "1 if the exporter of this version is connected to the control plane",
);
pub(crate) const KEEP_READY: Metric = gauge(
    "lifeboat_keep_ready",
    VERSION,
    "1 if the newest configuration is published, or an operator's choice is, or another exporter leads: the \
     answer of /readyz/export",
);
pub(crate) const KEEP_RECEIVED: Metric =
    counter("lifeboat_keep_received_total", VERSION, "configurations that the control plane has sent");
pub(crate) const KEEP_RECEIVED_AT: Metric = gauge(
    "lifeboat_keep_received_timestamp_seconds",
    VERSION,
    "when the control plane last sent a configuration, by this host's clock",
);
pub(crate) const KEEP_STANDING: Metric = gauge(
    "lifeboat_keep_standing",
    &["kong_version", "standing"],
    "1 for the state of the newest configuration, 0 for all others",
);
pub(crate) const KEEP_HELD: Metric =
    gauge("lifeboat_keep_held", VERSION, "1 if the newest configuration is held until an operator releases it");
pub(crate) const KEEP_HELD_INFO: Metric = gauge(
    "lifeboat_keep_held_info",
    &["kong_version", "config_hash", "reason"],
    "1 while a configuration is held: which one, and why",
);
pub(crate) const KEEP_PAYLOAD_LOST: Metric = gauge(
    "lifeboat_keep_payload_lost",
    VERSION,
    "1 if the payload that the published manifest names is missing, altered or unreadable in the first store and could not \
     be put back: new nodes get an older snapshot, or none",
);
pub(crate) const KEEP_NODES_THAT_DIFFER: Metric = gauge(
    "lifeboat_keep_nodes_that_differ",
    VERSION,
    "nodes that run another configuration than the published one, or none: behind the relay of this process, \
     or by their reports",
);
pub(crate) const KEEP_LEADER: Metric = gauge(
    "lifeboat_keep_leader",
    VERSION,
    "1 if this exporter leads and writes the backups, 0 if another one does or none yet",
);
pub(crate) const KEEP_EPOCH: Metric = gauge(
    "lifeboat_keep_epoch",
    VERSION,
    "the number of the leadership: this exporter's own while it leads by election, otherwise the published \
     one's",
);
pub(crate) const KEEP_ELECTION_INFO: Metric = gauge(
    "lifeboat_keep_election_info",
    &["kong_version", "strategy"],
    "1; how the leader is chosen: lease, registry, or alone if there is no election",
);
pub(crate) const KEEP_LAST_ATTEMPT: Metric = gauge(
    "lifeboat_keep_last_attempt_timestamp_seconds",
    VERSION,
    "when this exporter last started a request at the store, to read or to write",
);
pub(crate) const KEEP_LAST_SUCCESS: Metric =
    gauge("lifeboat_keep_last_success_timestamp_seconds", VERSION, "when this exporter last succeeded at the store");
pub(crate) const KEEP_FAILURES: Metric = counter(
    "lifeboat_keep_failures_total",
    &["kong_version", "class"],
    "how often this exporter failed at the store, after all retries",
);
pub(crate) const KEEP_OTHER_EXPORTER: Metric = counter(
    "lifeboat_keep_other_exporter_total",
    &["kong_version", "object"],
    "how often this exporter found an object that it did not write: as config_json one of another exporter, \
     perhaps Kong's own; as manifest one of another exporter, or an operator's rollback",
);
pub(crate) const KEEP_OTHER_STORE: Metric = gauge(
    "lifeboat_keep_other_store_current",
    &["kong_version", "store"],
    "1 if this further store (LIFEBOAT_FALLBACK_STORAGE) has what is published in the first one, 0 if it \
     could not be updated or has something newer; from the leading exporter",
);
pub(crate) const KEEP_SEQUENCE: Metric =
    gauge("lifeboat_keep_sequence", VERSION, "the number of the published snapshot");
pub(crate) const KEEP_CONFIGURATION_INFO: Metric = gauge(
    "lifeboat_keep_configuration_info",
    &["kong_version", "config_hash", "state"],
    "1; which configuration is published, and why (confirmed, received, pinned)",
);
pub(crate) const KEEP_PUBLISHED_AT: Metric =
    gauge("lifeboat_keep_published_timestamp_seconds", VERSION, "when the published snapshot was published");
pub(crate) const KEEP_LAST_SEEN: Metric = gauge(
    "lifeboat_keep_last_seen_timestamp_seconds",
    VERSION,
    "when the control plane was last known to have the published configuration, as the manifest says; refreshed once an \
     hour",
);
pub(crate) const KEEP_CONFIG_BYTES: Metric =
    gauge("lifeboat_keep_config_bytes", VERSION, "the size of the published configuration, decompressed");
pub(crate) const KEEP_PAYLOAD_BYTES: Metric =
    gauge("lifeboat_keep_payload_bytes", VERSION, "the size of its snapshot in the store, compressed");
pub(crate) const KEEP_LIMIT_USED: Metric = gauge(
    "lifeboat_keep_node_limit_used_ratio",
    &["kong_version", "limit"],
    "the share of a node's limits that the published configuration needs, 1 being all: of this exporter's \
     KONG_CLUSTER_MAX_PAYLOAD, and, as an estimate, of its KONG_LMDB_MAP_SIZE",
);
pub(crate) const KEEP_ENTITIES: Metric = gauge(
    "lifeboat_keep_entities",
    &["kong_version", "kind"],
    "how many services, routes, plugins, upstreams and consumers the published configuration has",
);
pub(crate) const KEEP_ENDS: Metric = gauge(
    "lifeboat_keep_configuration_expiry_timestamp_seconds",
    &["kong_version", "of"],
    "when the first certificate, CA certificate or license expires in the configuration that the control \
     plane sent last",
);
pub(crate) const KEEP_TTL: Metric = gauge(
    "lifeboat_keep_credentials_with_ttl",
    VERSION,
    "credentials and tokens with a ttl in the configuration that the control plane sent last: nodes count it from when they \
     load them",
);
pub(crate) const KEEP_WITHOUT_BACKUP: Metric = gauge(
    "lifeboat_keep_nodes_without_backup",
    VERSION,
    "nodes that the control plane's Admin API (LIFEBOAT_ADMIN_URL) has seen in the last hour, for whose version of Kong, or \
     minor version by LIFEBOAT_VERSION_MATCH, no store has a backup; none until both have answered",
);
pub(crate) const KEEP_STEP: Metric = histogram(
    "lifeboat_keep_step_duration_seconds",
    &["kong_version", "step"],
    "how long each step from the control plane's message to a published snapshot took",
);

pub(crate) const DRILL_SUCCESS: Metric = gauge(
    "lifeboat_drill_success",
    VERSION,
    "1 if the newest drill passed, 0 if it failed, 0.5 if the result is unknown; from the leading exporter, \
     with LIFEBOAT_DRILL_EVERY",
);
pub(crate) const DRILL_LAST: Metric =
    gauge("lifeboat_drill_last_timestamp_seconds", VERSION, "when the newest drill ended");
pub(crate) const DRILL_LAST_SUCCESS: Metric =
    gauge("lifeboat_drill_last_success_timestamp_seconds", VERSION, "when the newest drill that passed ended");
pub(crate) const DRILL_DURATION: Metric =
    gauge("lifeboat_drill_duration_seconds", VERSION, "how long the newest drill took, including a real data plane");
pub(crate) const DRILL_RESTORE_DURATION: Metric = gauge(
    "lifeboat_drill_restore_duration_seconds",
    VERSION,
    "how long the drill took from the start of an empty node until it ran the configuration",
);
pub(crate) const DRILL_LAST_SEEN: Metric = gauge(
    "lifeboat_drill_last_seen_timestamp_seconds",
    VERSION,
    "when the control plane was last known to have the configuration that the drill restored",
);

pub(crate) const RELAY_READY: Metric = gauge(
    "lifeboat_relay_ready",
    &[],
    "1 if the relay listens with a valid certificate that the control plane does not refuse: the answer of \
     /readyz",
);
pub(crate) const RELAY_NODES: Metric = gauge("lifeboat_relay_nodes_connected", &[], "connected nodes");
pub(crate) const RELAY_NODES_FROM_STORE: Metric = gauge(
    "lifeboat_relay_nodes_served_from_store",
    &[],
    "connected nodes that run a configuration from the store, and have not yet received one from the control \
     plane",
);
pub(crate) const RELAY_WITHOUT_BACKUP: Metric = gauge(
    "lifeboat_relay_nodes_without_backup",
    VERSION,
    "connected nodes for whose version of Kong, or minor version by LIFEBOAT_VERSION_MATCH, no store has a \
     backup; none until a store has answered",
);
pub(crate) const RELAY_RESTORED: Metric =
    counter("lifeboat_relay_nodes_restored_total", &[], "how often a node came to run a configuration from the store");
pub(crate) const RELAY_NOT_ADOPTED: Metric = counter(
    "lifeboat_relay_nodes_not_adopting_total",
    &[],
    "how often a node was sent a snapshot several times and did not run it",
);
pub(crate) const RELAY_GIVEN_NOTHING: Metric = counter(
    "lifeboat_relay_empty_configurations_total",
    &[],
    "how often the control plane sent a node a configuration without a single route, which was passed on",
);
pub(crate) const RELAY_CONTROL_PLANE: Metric = gauge(
    "lifeboat_relay_control_plane_reachable",
    &[],
    "1 if the control plane accepted the newest connection on a node's behalf, 0 if not; nodes themselves \
     don't notice an outage behind the relay",
);
pub(crate) const RELAY_REFUSED: Metric = counter(
    "lifeboat_relay_handshakes_refused_total",
    &["reason"],
    "connections that came from no node, or whose certificate was not accepted",
);

pub(crate) const HTTP_LEFT_UNANSWERED: Metric = counter(
    "lifeboat_http_connections_unanswered_total",
    &["reason"],
    "connections to LIFEBOAT_HTTP_LISTEN and LIFEBOAT_HEALTH_LISTEN that were closed without an answer: too many were open \
     and it was the oldest of its kind (made_room), its request did not come in time (no_request), it took too long \
     (too_slow)",
);

pub(crate) const REPORTS: Metric = counter(
    "lifeboat_reports_total",
    &["outcome"],
    "reports of the filter: accepted, counted_only if LIFEBOAT_REPORT_KEYS is not set, or why they were \
     refused",
);
pub(crate) const REPORTING_NODES: Metric = gauge(
    "lifeboat_reports_nodes",
    &[],
    "gateways whose authenticated reports arrive, each counted once; one is forgotten after five intervals of silence",
);
pub(crate) const REPORTING_NODES_WITHOUT_CONFIGURATION: Metric =
    gauge("lifeboat_reports_nodes_without_configuration", &[], "those of them that have no configuration");
pub(crate) const REPORTED_CONTROL_PLANE_BY_NODES: Metric = gauge(
    "lifeboat_reports_control_plane_nodes",
    &["state"],
    "how many of them see the control plane in this state from their own network",
);
pub(crate) const REPORTING_WORKERS: Metric = gauge(
    "lifeboat_reports_workers",
    &[],
    "instances of the filter that report: one for each worker of a gateway, more after its chain was deleted \
     and created again",
);
pub(crate) const REPORTING_WITHOUT_CONFIGURATION: Metric =
    gauge("lifeboat_reports_workers_without_configuration", &[], "those of them whose node has no configuration");
pub(crate) const REPORTED_CONTROL_PLANE: Metric = gauge(
    "lifeboat_reports_control_plane_workers",
    &["state"],
    "how many of these instances see the control plane in this state from the gateway's own network",
);

/// The metrics, in the order in which they are documented.
pub const METRICS: &[&Metric] = &[
    &BUILD_INFO,
    &START,
    &CERTIFICATE_EXPIRY,
    &SETTINGS_RELOADS,
    &STORE_REQUESTS,
    &STORE_DURATION,
    &KEEP_READY,
    &KEEP_CONNECTED,
    &KEEP_RECEIVED,
    &KEEP_RECEIVED_AT,
    &KEEP_STANDING,
    &KEEP_HELD,
    &KEEP_HELD_INFO,
    &KEEP_PAYLOAD_LOST,
    &KEEP_NODES_THAT_DIFFER,
    &KEEP_LEADER,
    &KEEP_EPOCH,
    &KEEP_ELECTION_INFO,
    &KEEP_LAST_ATTEMPT,
    &KEEP_LAST_SUCCESS,
    &KEEP_FAILURES,
    &KEEP_OTHER_EXPORTER,
    &KEEP_OTHER_STORE,
    &KEEP_SEQUENCE,
    &KEEP_CONFIGURATION_INFO,
    &KEEP_PUBLISHED_AT,
    &KEEP_LAST_SEEN,
    &KEEP_CONFIG_BYTES,
    &KEEP_PAYLOAD_BYTES,
    &KEEP_LIMIT_USED,
    &KEEP_ENTITIES,
    &KEEP_ENDS,
    &KEEP_TTL,
    &KEEP_WITHOUT_BACKUP,
    &KEEP_STEP,
    &DRILL_SUCCESS,
    &DRILL_LAST,
    &DRILL_LAST_SUCCESS,
    &DRILL_DURATION,
    &DRILL_RESTORE_DURATION,
    &DRILL_LAST_SEEN,
    &RELAY_READY,
    &RELAY_NODES,
    &RELAY_NODES_FROM_STORE,
    &RELAY_WITHOUT_BACKUP,
    &RELAY_RESTORED,
    &RELAY_NOT_ADOPTED,
    &RELAY_GIVEN_NOTHING,
    &RELAY_CONTROL_PLANE,
    &RELAY_REFUSED,
    &HTTP_LEFT_UNANSWERED,
    &REPORTS,
    &REPORTING_NODES,
    &REPORTING_NODES_WITHOUT_CONFIGURATION,
    &REPORTED_CONTROL_PLANE_BY_NODES,
    &REPORTING_WORKERS,
    &REPORTING_WITHOUT_CONFIGURATION,
    &REPORTED_CONTROL_PLANE,
];

impl Metric {
    /// The name under which the library knows it, which gives counters their `_total` itself.
    pub(crate) fn family(&self) -> &'static str {
        match self.kind {
            Kind::Counter => self.name.strip_suffix("_total").unwrap_or(self.name),
            Kind::Gauge | Kind::Histogram => self.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ours_tell_their_unit_and_stand_there_once() {
        for (at, metric) in METRICS.iter().enumerate() {
            assert!(metric.name.starts_with("lifeboat_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            if metric.kind == Kind::Histogram {
                assert!(metric.name.ends_with("_seconds"), "{}", metric.name);
            }
            assert!(!metric.help.is_empty() && !metric.help.ends_with('.') && !metric.help.contains('\n'));
            assert!(
                METRICS[at + 1..].iter().all(|other| other.name != metric.name),
                "{} stands there twice",
                metric.name
            );
        }
    }
}
