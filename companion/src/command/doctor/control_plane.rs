//! Checks of the control plane: its name, its port, and what it answers to a node. The node is a new one that keeps
//! nothing, so a running exporter notices none of it.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use lifeboat_runtime::clock::Clock;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::Instant;

use super::check::{Check, within};
use crate::export::BackupNode;
use crate::export::inquiry::{self, Answer};
use crate::settings::{ClusterSettings, ExporterSettings};

const ADDRESS: &str = "control plane: address";
const LINK: &str = "control plane: link";
const CONFIGURATION: &str = "control plane: configuration";
/// As long as Kong's own nodes wait for a connection (KONG.md section 1).
const REACH_LIMIT: Duration = Duration::from_secs(5);

/// What was found out about a control plane.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) checks: Vec<Check>,
    /// What it sends, if it sends something.
    pub(super) sends: Option<ConfigHash>,
}

/// Asks it. Without `keep` no version is known as which one could, and only its port is tried.
pub(super) async fn findings(
    cluster: Arc<ClusterSettings>,
    keep: Option<ExporterSettings>,
    max_config: usize,
    clock: Clock,
) -> Findings {
    let address = within(ADDRESS, REACH_LIMIT, reach(&cluster)).await;
    let is_there = address.cure.is_none();
    let mut findings = Findings { checks: vec![address], sends: None };

    match keep {
        Some(keep) if is_there => findings.ask(cluster, keep, max_config, clock).await,
        Some(_) => {
            findings.checks.push(Check::fail(LINK, "not tried: the address can't be reached", "see the row above"));
        }
        None => findings.checks.push(Check::warn(
            LINK,
            "not tried: KONG_VERSION is not set, and a control plane takes nodes of a version only",
            "set KONG_VERSION for this command to the version that the data planes run",
        )),
    }
    findings
}

impl Findings {
    async fn ask(&mut self, cluster: Arc<ClusterSettings>, keep: ExporterSettings, max_config: usize, clock: Clock) {
        let (version, began) = (keep.version, Instant::now());
        let accepted = |took: Duration| {
            Check::pass(LINK, format!("TLS accepted by both sides, taken as a node of Kong {version} ({})", ms(took)))
        };
        let answer = match inquiry::ask(cluster, keep, BackupNode::new(version), max_config, clock).await {
            Ok(answer) => answer,
            Err(error) => {
                self.checks.push(Check::fail(LINK, error.to_string(), "correct LIFEBOAT_ADMIN_URL"));
                return;
            }
        };
        let took = began.elapsed();
        let checks = match answer {
            Answer::Sent(received) => {
                self.sends = Some(received.config_hash);
                vec![accepted(took), Check::pass(CONFIGURATION, sent(&received, took))]
            }
            Answer::Silent(why) => {
                let cure = "add what is missing to LIFEBOAT_PLUGINS or LIFEBOAT_FILTERS, or set LIFEBOAT_ADMIN_URL, which \
                            has both and says why; else look at the control plane's database and log";
                vec![accepted(took), Check::fail(CONFIGURATION, why, cure)]
            }
            Answer::Unusable(why) => {
                vec![
                    accepted(took),
                    Check::fail(CONFIGURATION, why, "correct it there, or raise the limit that is named"),
                ]
            }
            Answer::Refused(refusal) => {
                let said = format!("it refuses this node of Kong {version}: {refusal}");
                vec![Check::fail(LINK, said, refusal.cure())]
            }
            Answer::CertificateRefused(why) => {
                let cure = "put the cluster's present certificate and key into KONG_CLUSTER_CERT and \
                            KONG_CLUSTER_CERT_KEY; until then a relay with this one gives no node a configuration";
                vec![Check::fail(LINK, why, cure)]
            }
            Answer::Unreachable(why) => {
                let cure = "check that KONG_CLUSTER_CERT, KONG_CLUSTER_CERT_KEY and KONG_CLUSTER_MTLS are the data planes' \
                            own, and that the address is the control plane's cluster_listen";
                vec![Check::fail(LINK, why, cure)]
            }
        };

        self.checks.extend(checks);
    }
}

fn sent(received: &lifeboat_core::export::Received, took: Duration) -> String {
    let counts = received.configuration.counts();
    format!(
        "sent configuration {}: {} services, {} routes, {} bytes ({})",
        received.config_hash,
        counts.get("services"),
        counts.get("routes"),
        received.configuration.json().len(),
        ms(took)
    )
}

async fn reach(cluster: &ClusterSettings) -> Check {
    let address = &cluster.control_plane.address;
    let cure = "set LIFEBOAT_CONTROL_PLANE or KONG_CLUSTER_CONTROL_PLANE to its cluster_listen, and look whether it is up \
                and what is between";
    let found = match lookup_host((address.host.as_str(), address.port)).await {
        Ok(found) => found.collect::<Vec<_>>(),
        Err(error) => return Check::fail(ADDRESS, format!("{address}: the name can't be resolved ({error})"), cure),
    };
    let began = Instant::now();

    match TcpStream::connect(&found[..]).await {
        Ok(stream) => {
            let peer = stream.peer_addr().map_or_else(|_| String::new(), |peer| format!(" is {peer},"));
            Check::pass(ADDRESS, format!("{address}{peer} reached in {}", ms(began.elapsed())))
        }
        Err(error) => Check::fail(ADDRESS, format!("{address} can't be reached ({error})"), cure),
    }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
