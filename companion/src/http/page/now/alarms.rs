//! What the alerts of `deploy/prometheus/lifeboat.rules.yml` say, from what this process knows: their conditions without
//! their waiting times. An alert about several processes, or about what has been growing, is Prometheus' alone.

use std::time::Duration;

use lifeboat_core::lifetimes::{End, Lifetimes};
use lifeboat_core::room::{NEAR, Sizes};
use lifeboat_core::time::WallTime;

use super::Facts;
use crate::http::page::html::counted;
use crate::lasting::lasting;
use crate::observation::{ExportFacts, Lead, RelayFacts};

const DAY: Duration = Duration::from_secs(86_400);

/// Something that is wrong, or soon will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    /// The alert's name, by which the runbook is ordered.
    pub(super) alert: &'static str,
    pub(super) severity: Severity,
    /// What it is about, in a sentence.
    pub(super) says: String,
    /// What to paste, in this order.
    pub(super) commands: Vec<String>,
}

/// As the rules have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// All that holds now, the worst first.
pub(super) fn of(facts: &Facts) -> Vec<Alarm> {
    let mut alarms = Alarms::default();
    for exports in &facts.exports {
        alarms.of_export(exports, facts);
        if let Some(lifetimes) = &exports.lifetimes {
            alarms.of_lifetimes(exports, lifetimes, facts.now());
        }
    }
    if let Some(relay) = &facts.relay {
        alarms.of_relay(relay, facts.now());
    }
    alarms.of_nodes(facts);
    alarms.of_certificates(facts);
    alarms.0.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity));
    alarms.0
}

#[derive(Default)]
struct Alarms(Vec<Alarm>);

impl Alarms {
    fn add(&mut self, severity: Severity, alert: &'static str, says: String, commands: &[String]) {
        self.0.push(Alarm { alert, severity, says, commands: commands.to_vec() });
    }

    fn critical(&mut self, alert: &'static str, says: String, commands: &[String]) {
        self.add(Severity::Critical, alert, says, commands);
    }

    fn warning(&mut self, alert: &'static str, says: String, commands: &[String]) {
        self.add(Severity::Warning, alert, says, commands);
    }

    fn of_export(&mut self, exports: &ExportFacts, facts: &Facts) {
        let (version, now) = (exports.version, facts.now());
        let doctor = ["lifeboat doctor".to_owned()];

        if let Some((hash, why)) = exports.holds() {
            let says = format!("Configuration {hash} of Kong {version} is held and not published: {why}.");
            self.critical("LifeboatConfigurationHeld", says, &release(exports, facts));
        } else if exports.leads()
            && let Err(reason) = exports.check_ready()
        {
            let says = format!("The newest configuration of Kong {version} is not published: {reason}.");
            self.critical("LifeboatNewestNotPublished", says, &doctor);
        }

        let failing = exports.election_failing.as_ref().or(exports.failing.as_ref());
        if let Some(failing) = failing.filter(|failing| !["conflict", "not_leading"].contains(&failing.class)) {
            let says = format!("Exporting for Kong {version} fails at the store: {}.", failing.reason);
            self.critical("LifeboatExportFailing", says, &doctor);
        }
        if exports.lead == Lead::Unknown {
            self.critical("LifeboatNoLeader", format!("No exporter is known to lead for Kong {version}."), &doctor);
        }
        if let Some(lost) = &exports.payload_lost {
            let says = format!("The published backup of Kong {version} is no longer in the store: {lost}.");
            self.critical("LifeboatPayloadLost", says, &[format!("lifeboat verify --kong-version {version}")]);
        }
        if !exports.is_connected {
            let says =
                format!("The exporter of Kong {version} has no link to the control plane: nothing new is exported.");
            self.critical("LifeboatExporterWithoutControlPlane", says, &doctor);
        }

        self.of_published(exports, now);
        if let Some(reason) = facts.drill_failed(exports) {
            let says = format!("The last drill of Kong {version} failed: {reason}.");
            self.critical("LifeboatDrillFailing", says, &["lifeboat drill".to_owned()]);
        }
        for (store, _) in exports.other_stores.iter().filter(|(_, is_current)| !**is_current) {
            let says = format!("{store} does not have what is published for Kong {version}.");
            self.warning("LifeboatOtherStoreBehind", says, &doctor);
        }
    }

    fn of_published(&mut self, exports: &ExportFacts, now: WallTime) {
        let version = exports.version;
        if exports.nodes_that_differ > 0 {
            let nodes = counted(exports.nodes_that_differ as u64, "node runs", "nodes run");
            let says = format!("{nodes} another configuration of Kong {version} than the published one.");
            self.warning("LifeboatNodesDiffer", says, &["lifeboat list".to_owned()]);
        }

        let Some(manifest) = &exports.published else { return };
        let unseen = now.since(manifest.times.last_seen);
        if unseen > Duration::from_secs(2 * 3_600) {
            let says = format!(
                "The control plane was last seen with the published configuration of Kong {version} {} ago.",
                lasting(unseen)
            );
            self.critical("LifeboatBackupTooOld", says, &["lifeboat doctor".to_owned()]);
        }
        for (limit, share) in exports.limits.used_by(Sizes::of(manifest)) {
            if share > NEAR {
                let (limit, percent) = (limit.name(), (share * 100.0).floor());
                let says = format!("The configuration of Kong {version} needs {percent} % of {limit}: raise that.");
                self.warning("LifeboatNodeLimitNear", says, &[]);
            }
        }
    }

    fn of_lifetimes(&mut self, exports: &ExportFacts, lifetimes: &Lifetimes, now: WallTime) {
        let version = exports.version;
        let named = |end: &End| format!("{} {}", end.of.label(), end.name);
        if let Some(expired) = lifetimes.expired_cas(now).next() {
            let says =
                format!("Kong {version}: {} has expired, and nodes refuse all of the configuration.", named(expired));
            self.critical("LifeboatCaCertificateExpired", says, &[]);
        }

        let mut ending = lifetimes.ending(now);
        if let Some(first) = ending.next() {
            let more = match ending.count() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            let says = format!("Kong {version}: {} ends at {}{more}.", named(first), first.at);
            self.warning("LifeboatConfigurationExpiring", says, &[]);
        }
        if lifetimes.credentials_with_ttl > 0 {
            let credentials = counted(lifetimes.credentials_with_ttl, "credential works", "credentials work");
            let says = format!("Kong {version}: {credentials} longer on a restored node than the control plane meant.");
            self.add(Severity::Info, "LifeboatCredentialsWithTtl", says, &[]);
        }
    }

    fn of_relay(&mut self, relay: &RelayFacts, now: WallTime) {
        if let Err(reason) = relay.check_ready(now) {
            self.critical("LifeboatRelayNotReady", format!("The relay is not ready: {reason}."), &[]);
        }
        if relay.reaches_control_plane == Some(false) {
            let says = "The relay can't reach the control plane: new nodes get the snapshot from the store.".to_owned();
            self.critical("LifeboatRelayWithoutControlPlane", says, &["lifeboat doctor".to_owned()]);
        }
        if relay.nodes_from_store > 0 {
            let nodes = counted(relay.nodes_from_store, "node runs", "nodes run");
            let says = format!("{nodes} a configuration from the store.");
            self.critical("LifeboatNodesServedFromStore", says, &[]);
        }
    }

    fn of_nodes(&mut self, facts: &Facts) {
        let relays = facts.status.relay.iter().flat_map(|relay| &relay.without_backup);
        let listed = facts.status.data_planes.iter().flat_map(|listed| &listed.without_backup);
        let mut named = Vec::new();
        for without in relays.chain(listed).filter(|without| without.nodes > 0) {
            if named.contains(&without.kong_version) {
                continue;
            }

            named.push(without.kong_version);
            let nodes = counted(without.nodes, "node", "nodes");
            let says = format!(
                "{nodes} of Kong {}, of which no store has a backup: let an exporter keep this version too \
                 (LIFEBOAT_KONG_VERSIONS).",
                without.kong_version
            );
            self.warning("LifeboatNodesWithoutBackup", says, &[]);
        }
    }

    fn of_certificates(&mut self, facts: &Facts) {
        for certificate in &facts.status.certificates {
            let left = certificate.ends.since(facts.now());
            let says = format!("The {} certificate ends at {}: renew it.", certificate.certificate, certificate.ends);
            if left < 3 * DAY {
                self.critical("LifeboatCertificateEndsSoon", says, &[]);
            } else if left < 30 * DAY {
                self.warning("LifeboatCertificateExpiring", says, &[]);
            }
        }
    }
}

impl Facts {
    fn drill_failed(&self, exports: &ExportFacts) -> Option<&str> {
        let export = self.status.export.iter().find(|export| export.kong_version == exports.version)?;
        export.drill.as_ref()?.reason.as_deref()
    }
}

/// How to look at what is held and to publish it. Its number is known once the store has been listed.
fn release(exports: &ExportFacts, facts: &Facts) -> Vec<String> {
    let version = exports.version;
    let listed = facts.seen.listing.iter().flat_map(|listing| &listing.versions);
    let held = listed.filter(|history| history.version == version).flat_map(|history| &history.snapshots);
    let hash = exports.holds().map(|(hash, _)| hash);
    let number = held.filter(|listed| listed.state.is_held()).find(|listed| Some(listed.id.config_hash) == hash);
    match number.map(|listed| listed.id.sequence) {
        Some(number) => vec![
            format!("lifeboat diff published {number} --kong-version {version}"),
            format!("lifeboat release {number} --kong-version {version}"),
        ],
        None => vec![format!("lifeboat list --kong-version {version}")],
    }
}
