//! What `/readyz/current` answers: whether each node is restored and current, which it is if it runs what its control plane
//! sent it, or what is published. For probes and scripts; what is done with a node never depends on it.

use std::collections::BTreeMap;

use lifeboat_core::kong::counted;
use lifeboat_core::kong::version::KongVersion;

use super::nodes::{ConfigurationFrom, ControlPlaneLink, NodeStatus};
use super::published_now::{PublishedLookup, PublishedNow};
use super::sent_hashes::Sent;

/// How many of the nodes that are not current are named: there may be thousands.
const NAMED: usize = 10;

/// What a node's own connection tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    /// It runs what its control plane sent it.
    Current,
    /// It runs something other than what its control plane sent, or nothing.
    NotCurrent(&'static str),
    /// What is published decides.
    Asks,
}

/// Says that all nodes are current.
///
/// # Errors
/// Why not, in words for an operator: a line for each node, of the first few.
pub(super) async fn check(nodes: &[NodeStatus], lookup: &PublishedLookup) -> Result<String, Vec<String>> {
    if nodes.is_empty() {
        return Err(vec!["no node is connected to this relay".to_owned()]);
    }

    let mut published: BTreeMap<Option<KongVersion>, PublishedNow> = BTreeMap::new();
    let mut reasons = Vec::new();
    for node in nodes {
        let why_not = match own(node) {
            Own::Current => continue,
            Own::NotCurrent(why) => Some(why.to_owned()),
            Own::Asks => {
                let known = match published.get(&node.version) {
                    Some(known) => known.clone(),
                    None => asked(node.version, &published, lookup).await,
                };
                published.insert(node.version, known.clone());
                why_not_published(node, &known)
            }
        };
        reasons.extend(why_not.map(|why| said(node, &why)));
    }

    match reasons.len() {
        0 => Ok(format!(
            "{} of this relay: each runs what its control plane sent it, or what is published",
            counted(nodes.len() as u64, "node")
        )),
        all => {
            reasons.truncate(NAMED);
            if all > NAMED {
                reasons.push(format!("{} more of {} nodes", all - NAMED, nodes.len()));
            }
            Err(reasons)
        }
    }
}

// A store that doesn't answer is asked for no other version: each would take as long.
async fn asked(
    version: Option<KongVersion>,
    known: &BTreeMap<Option<KongVersion>, PublishedNow>,
    lookup: &PublishedLookup,
) -> PublishedNow {
    let silent = known.values().find(|known| matches!(known, PublishedNow::NotKnown(_)));
    match (version, silent) {
        (None, _) => PublishedNow::Unnamed,
        (Some(_), Some(silent)) => silent.clone(),
        (Some(version), None) => lookup.of(version).await,
    }
}

fn said(node: &NodeStatus, why: &str) -> String {
    let trouble = node.trouble.as_ref().map(|trouble| format!(" ({trouble})")).unwrap_or_default();
    format!("node {}: {why}{trouble}", node.hostname)
}

fn own(node: &NodeStatus) -> Own {
    let Some(runs) = node.config_hash else {
        return Own::NotCurrent("it has not said yet what it runs");
    };
    if runs.is_empty() {
        return Own::NotCurrent("it has no configuration");
    }

    let is_linked = node.control_plane == ControlPlaneLink::Linked;
    match node.sent {
        Some(Sent::Configuration(sent)) if sent == runs => Own::Current,
        // It runs something, and nothing tells what it should be.
        Some(Sent::Unnamed) if is_linked => Own::Current,
        Some(Sent::Configuration(_)) if is_linked => {
            Own::NotCurrent("it runs another configuration than its control plane has sent it")
        }
        // Its control plane speaks to it alone, and gives it what is missing.
        _ if node.incremental_sync && is_linked && node.config_from == ConfigurationFrom::ControlPlane => Own::Current,
        _ => Own::Asks,
    }
}

fn why_not_published(node: &NodeStatus, published: &PublishedNow) -> Option<String> {
    let is_restored = node.config_from == ConfigurationFrom::Store;
    match published {
        PublishedNow::Named { hash, by_sync } => {
            let expected = if node.incremental_sync { by_sync } else { hash };
            (node.config_hash != Some(*expected)).then(|| match node.control_plane {
                ControlPlaneLink::Linked => {
                    "its control plane has sent it nothing yet, and it runs another configuration than the published one"
                        .to_owned()
                }
                _ => format!("it runs another configuration than the published one ({hash})"),
            })
        }
        // It was published when the node was given it, and nobody knows of a newer one.
        PublishedNow::Unnamed | PublishedNow::NotKnown(_) if is_restored => None,
        PublishedNow::Unnamed => {
            Some("its control plane has sent it nothing, and nothing is published for its version of Kong".to_owned())
        }
        PublishedNow::NotKnown(why) => Some(format!("what is published is not known: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::digest::ConfigHash;
    use lifeboat_core::time::WallTime;
    use lifeboat_runtime::clock::Clock;

    use super::*;
    use crate::archive::tests::{FIRST, in_memory, publish, received, version};
    use crate::archive::{Archive, Stores};
    use crate::settings::RestoreRules;

    fn lookup(archive: &Archive) -> PublishedLookup {
        PublishedLookup::new(Stores::of(archive.reader(), RestoreRules::default()), Clock::start())
    }

    fn hash(digit: char) -> ConfigHash {
        String::from(digit).repeat(32).parse().unwrap()
    }

    /// A node that runs this, whose control plane has sent it that.
    fn node(runs: Option<ConfigHash>, sent: Option<Sent>, control_plane: ControlPlaneLink) -> NodeStatus {
        NodeStatus {
            id: "id".to_owned(),
            hostname: "edge-7".to_owned(),
            version: Some(version()),
            address: ([10, 0, 0, 1], 40_000).into(),
            since: WallTime::from_system(std::time::SystemTime::UNIX_EPOCH),
            config_hash: runs,
            config_from: ConfigurationFrom::OwnCache,
            control_plane,
            incremental_sync: false,
            trouble: None,
            limits: None,
            sent,
        }
    }

    /// Why one node is not current; nothing if it is.
    async fn why_not(node: NodeStatus, archive: &Archive) -> String {
        check(&[node], &lookup(archive)).await.map_or_else(|reasons| reasons.join("; "), |_| String::new())
    }

    #[tokio::test]
    async fn while_its_control_plane_is_there_a_node_is_current_if_it_runs_what_that_sent() {
        use ControlPlaneLink::{Connecting, Linked};
        let archive = in_memory();
        let (old, new) = (hash('a'), hash('b'));
        let sent = Some(Sent::Configuration(new));
        for (runs, sent, link, expected) in [
            (Some(new), sent, Linked, ""),
            (Some(old), sent, Linked, "another configuration than its control plane has sent it"),
            (Some(ConfigHash::EMPTY), sent, Linked, "it has no configuration"),
            (None, sent, Linked, "it has not said yet what it runs"),
            (Some(old), Some(Sent::Unnamed), Linked, ""),
            (Some(old), None, Linked, "nothing is published for its version"),
            (Some(old), None, Connecting, "nothing is published for its version"),
        ] {
            let why = why_not(node(runs, sent, link), &archive).await;
            assert!(if expected.is_empty() { why.is_empty() } else { why.contains(expected) }, "{runs:?}: {why}");
        }
    }

    #[tokio::test]
    async fn in_an_outage_it_is_current_if_it_runs_what_was_sent_last_or_what_is_published() {
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let (published, other) = (received(FIRST).config_hash, hash('a'));
        for (runs, sent, is_current) in [
            (published, None, true),
            (other, Some(Sent::Configuration(other)), true),
            (published, Some(Sent::Configuration(other)), true),
            (other, None, false),
            (hash('b'), Some(Sent::Configuration(other)), false),
            (other, Some(Sent::Unnamed), false),
        ] {
            let why = why_not(node(Some(runs), sent, ControlPlaneLink::Gone), &archive).await;
            assert_eq!(why.is_empty(), is_current, "{runs} {sent:?}: {why}");
            assert!(is_current || why.contains(&format!("another configuration than the published one ({published})")));
        }
    }

    #[tokio::test]
    async fn a_restored_node_stays_current_while_no_store_tells_of_a_newer_snapshot() {
        let archive = in_memory();
        let restored = |from| NodeStatus { config_from: from, ..node(Some(hash('a')), None, ControlPlaneLink::Gone) };
        assert_eq!(why_not(restored(ConfigurationFrom::Store), &archive).await, "");
        let unknown = PublishedNow::NotKnown("no store answers".to_owned());
        assert_eq!(why_not_published(&restored(ConfigurationFrom::Store), &unknown), None);
        let own = why_not_published(&restored(ConfigurationFrom::OwnCache), &unknown).unwrap();
        assert_eq!(own, "what is published is not known: no store answers");
        publish(&archive, FIRST).await;
        assert!(why_not(restored(ConfigurationFrom::Store), &archive).await.contains("than the published one"));
    }

    #[tokio::test]
    async fn a_node_with_incremental_sync_is_named_by_its_version() {
        use ConfigurationFrom::{ControlPlane, Store};
        let archive = in_memory();
        publish(&archive, FIRST).await;
        let synced = |runs, config_from, link| NodeStatus {
            incremental_sync: true,
            config_from,
            ..node(Some(runs), None, link)
        };
        let restored = super::super::rpc::shown_by_sync(1);
        assert_eq!(why_not(synced(restored, Store, ControlPlaneLink::Gone), &archive).await, "");
        assert_eq!(
            why_not(synced(ConfigHash::of_sync_version(7), ControlPlane, ControlPlaneLink::Linked), &archive).await,
            ""
        );
        let other = super::super::rpc::shown_by_sync(2);
        assert!(why_not(synced(other, Store, ControlPlaneLink::Gone), &archive).await.contains("the published one"));
    }

    #[tokio::test]
    async fn all_nodes_count_and_the_first_few_that_are_not_current_are_named() {
        let archive = in_memory();
        let lookup = lookup(&archive);
        assert_eq!(check(&[], &lookup).await, Err(vec!["no node is connected to this relay".to_owned()]));
        let runs = hash('a');
        let well = || node(Some(runs), Some(Sent::Configuration(runs)), ControlPlaneLink::Linked);
        assert!(check(&[well(), well()], &lookup).await.unwrap().starts_with("2 nodes of this relay"));
        let empty = || node(Some(ConfigHash::EMPTY), None, ControlPlaneLink::Gone);
        assert_eq!(
            check(&[well(), empty()], &lookup).await,
            Err(vec!["node edge-7: it has no configuration".to_owned()])
        );
        let many: Vec<NodeStatus> = (0..5_000).map(|_| empty()).collect();
        let reasons = check(&many, &lookup).await.unwrap_err();
        assert_eq!((reasons.len(), reasons[NAMED].as_str()), (NAMED + 1, "4990 more of 5000 nodes"));
    }
}
