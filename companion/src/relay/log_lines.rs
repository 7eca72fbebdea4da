//! The log messages of a node's session: what happened, what it means for traffic, what to do.

use lifeboat_core::outage::OutageLog;
use lifeboat_core::session::node::Notice;
use lifeboat_core::session::restore::OnRefusal;
use lifeboat_core::time::Moment;
use lifeboat_link::Address;
use lifeboat_link::websocket::LinkError;
use tracing::{debug, error, info, warn};

use super::NodeIdentity;

/// `outage` is the node's own: the control plane is there and gives it nothing.
pub(super) fn log(node: &NodeIdentity, control_plane: &Address, notice: &Notice, outage: &OutageLog, now: Moment) {
    let NodeIdentity { id, hostname, .. } = node;
    match notice {
        Notice::Runs(_) => {}
        Notice::NotANode(problem) => warn!(node = id, hostname, "closed the link: {problem}"),
        // It comes about again and again.
        Notice::Spliced if outage.lasts() => {
            debug!(node = id, hostname, "the node is linked to control plane {control_plane}");
        }
        Notice::Spliced => info!(node = id, hostname, "the node is linked to control plane {control_plane}"),
        Notice::Given(bytes) => {
            if let Some(lasted) = outage.works(now) {
                info!(node = id, hostname, "the control plane takes the node again, after {lasted}");
            }
            info!(node = id, hostname, bytes, "the control plane sent the node a configuration");
        }
        Notice::Silent(wait) => warn!(
            node = id,
            hostname,
            "control plane {control_plane} is connected and has sent this empty node nothing for {:.0} s; it is restored \
             from the store. Likely causes: the configuration uses a plugin, or the control plane has a Wasm filter, that \
             the node lacks, or the control plane can't reach its database; sync_status in /clustering/data-planes of its \
             Admin API tells which",
            wait.as_secs_f64()
        ),
        Notice::Gone { early: Some(early), retry_in } => {
            // The relay says it of all nodes.
            outage.failed("ends early", now);
            debug!(node = id, hostname, "{early}; trying again in {:.0} s", retry_in.as_secs_f64());
        }
        Notice::Gone { early: None, retry_in } => {
            debug!(node = id, hostname, "the control plane is gone; trying again in {:.0} s", retry_in.as_secs_f64());
        }
        Notice::Refused(refusal, on_refusal) => match (outage.failed(&refusal.to_string(), now), on_refusal) {
            (None, _) => debug!(node = id, hostname, "control plane {control_plane} refuses this node: {refusal}"),
            (Some(lasted), OnRefusal::LeaveAlone) => warn!(
                node = id,
                hostname,
                "control plane {control_plane} refuses this node{lasted}: {refusal}. It is there, so the node is not \
                 restored (LIFEBOAT_FEED_ON_REFUSAL=on would restore it). To have it taken, {}",
                refusal.cure()
            ),
            (Some(lasted), OnRefusal::Feed) => warn!(
                node = id,
                hostname,
                "control plane {control_plane} refuses this node{lasted}: {refusal}. The node is restored from the store all \
                 the same if it is empty, since LIFEBOAT_FEED_ON_REFUSAL is on. To have it taken, {}",
                refusal.cure()
            ),
        },
        Notice::Fed { attempt } => info!(node = id, hostname, attempt, "sent the node the snapshot"),
        Notice::Adopted(hash) => {
            info!(node = id, hostname, %hash, "the node runs configuration {hash} from the store");
        }
        Notice::NotAdopted { attempts, runs } => error!(
            node = id,
            hostname,
            attempt = attempts,
            "the node was sent the snapshot {attempts} times and still says that it runs {runs}: it serves no traffic. Its \
             error.log tells why (a plugin that it lacks, another version, a configuration above lmdb_map_size)"
        ),
        Notice::NotFollowing { attempts, runs } => error!(
            node = id,
            hostname,
            attempt = attempts,
            "the node was sent the newly published snapshot {attempts} times and still says that it runs {runs}: it goes on \
             with that. Its error.log tells why (a plugin that it lacks, a configuration above lmdb_map_size)"
        ),
        Notice::TooLarge { message, limit } => error!(
            node = id,
            hostname,
            "the snapshot has {message} bytes and the node takes {limit}: raise cluster_max_payload on the node"
        ),
        // The relay says it of all nodes.
        Notice::NoFileForLink => {
            debug!(node = id, hostname, "closed the node's link: no file is left for a second one")
        }
        Notice::NodeSilent => warn!(node = id, hostname, "the node has said nothing for 45 s: closed its link"),
    }
}

pub(super) fn link_ended(node: &NodeIdentity, error: &LinkError, outage: &OutageLog, now: Moment) {
    let NodeIdentity { id, hostname, .. } = node;
    match error {
        LinkError::Closed | LinkError::Broken(_) => {
            debug!(node = id, hostname, "the link to the control plane ended: {error}");
        }
        LinkError::Protocol(_) | LinkError::TooLong { .. } | LinkError::Stuck => match outage.failed("given up", now) {
            Some(lasted) => {
                error!(node = id, hostname, "the link to the control plane was given up{lasted}: {error}");
            }
            None => debug!(node = id, hostname, "the link to the control plane was given up: {error}"),
        },
    }
}

pub(super) fn not_sent(node: &NodeIdentity, error: &LinkError) {
    let NodeIdentity { id, hostname, .. } = node;
    match error {
        LinkError::Stuck => warn!(
            node = id,
            hostname,
            "closed the node's link, since it did not take a message in time: is its line slow, or does it hang? It will \
             connect again"
        ),
        _ => debug!(node = id, hostname, "the node could not be sent a frame: {error}"),
    }
}

pub(super) fn unknown_version(node: &NodeIdentity) {
    error!(
        node = node.id,
        hostname = node.hostname,
        "the node says no version that lifeboat knows, so no backup can be chosen for it"
    );
}
