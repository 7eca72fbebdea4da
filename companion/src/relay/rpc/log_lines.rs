//! What is said in the log of a node with incremental sync.

use lifeboat_core::deltas::Unsyncable;
use lifeboat_core::kong::rpc::{NotHello, SyncVersion};
use lifeboat_core::session::sync::{SyncNotice, SyncTrouble};
use tracing::{error, info, warn};

use super::Caller;
use super::nodes::NodeEntry;

pub(super) fn not_hello(caller: &Caller, problem: NotHello) {
    warn!(
        peer = %caller.peer,
        "closed a connection to /v2/outlet before the control plane could see it: its first message is not acceptable, since \
         {problem}"
    );
}

pub(super) fn sent(node: &NodeEntry, version: SyncVersion) {
    info!(
        node = node.id,
        hostname = node.hostname(),
        version = version.number(),
        "sent the node the snapshot, by incremental sync"
    );
}

pub(super) fn noticed(node: &NodeEntry, notice: &SyncNotice) {
    let (id, hostname) = (&node.id, node.hostname());
    match notice {
        SyncNotice::Adopted(version) => {
            let sequence = SyncVersion::sequence(version.number()).unwrap_or_default();
            info!(
                node = id,
                hostname,
                sequence,
                version = version.number(),
                "the node runs snapshot {sequence} from the store, by incremental sync"
            );
        }
        SyncNotice::Trouble(trouble @ (SyncTrouble::NotAdopted { .. } | SyncTrouble::TooLarge { .. })) => {
            error!(node = id, hostname, "the node is not restored by incremental sync: {trouble}");
        }
        SyncNotice::Trouble(trouble @ (SyncTrouble::Ahead { .. } | SyncTrouble::HasAnother)) => {
            warn!(node = id, hostname, "the node is left as it is: {trouble}");
        }
    }
}

pub(super) fn unsyncable(node: &NodeEntry, why: &Unsyncable) {
    error!(
        node = node.id,
        hostname = node.hostname(),
        "the node can't be restored by incremental sync: {why}. Such a node applies what it gets without a check, so it is given \
         complete configurations only. With cluster_incremental_sync=off it would be restored by /v1/outlet"
    );
}

pub(super) fn not_sent_in_time(node: &NodeEntry) {
    warn!(
        node = node.id,
        hostname = node.hostname(),
        "closed a connection of the node, since it did not take the snapshot within 4 s, after which it would ignore it: is its \
         line slow? It will connect again"
    );
}
