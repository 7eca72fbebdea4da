//! A node with incremental sync that says anything, at any time, to a relay that has a snapshot for it, or another one, or
//! none.

use std::time::Duration;

use lifeboat_core::kong::rpc::{FromNode, Hello, SyncVersion, method_not_found, no_deltas};
use lifeboat_core::session::sync::{Answer, Offer, SyncNode};
use lifeboat_core::time::Moment;

use super::choices::Choices;

/// How often in a row a node that says that it has nothing is sent something: three snapshots, twice each.
const MOST_IN_VAIN: u32 = 6;

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: a node is given what is no newer than what it has, what it can't take, or something
/// again and again that it does not take.
pub fn play_sync(bytes: &[u8]) {
    let _ = Hello::decode(bytes);
    if let Some(FromNode::GetDelta { id, .. } | FromNode::OtherCall { id }) = FromNode::decode(bytes) {
        assert!(is_readable(&no_deltas(&id)) && is_readable(&method_not_found(&id)));
    }

    let mut choices = Choices(bytes);
    let max_payload = u64::from(choices.byte());
    let (mut node, mut now, mut in_vain) = (SyncNode::new(max_payload, Moment::default()), Moment::default(), 0);
    while !choices.0.is_empty() {
        now = now + Duration::from_millis(choices.number() % 100_000);
        let sequence = u64::from(choices.byte() % 8);
        let offer = Offer {
            version: SyncVersion::of_sequence(sequence),
            message_bytes: u64::from(choices.byte()),
            config_bytes: choices.number() % 100_000_000,
            follow: choices.byte() % 2 == 0,
        };
        let version = match choices.byte() % 4 {
            0 => 0,
            1 => SyncVersion::of_sequence(u64::from(choices.byte() % 8)).number(),
            2 => choices.number() as i64,
            _ => i64::from(choices.byte()),
        };

        match choices.byte() % 6 {
            0 => node.came(max_payload, now),
            1 => node.runs_by_outlet(),
            2 => node.asked_control_plane(version, choices.byte() % 2 == 0),
            3 => _ = node.notify(Some(&offer), now),
            _ => {
                let (answer, _) = node.asked(version, Some(&offer), now);
                if SyncVersion::sequence(version).is_some() || version > 0 {
                    in_vain = 0;
                }
                if answer == Answer::Everything {
                    assert!(version == 0 || version < offer.version.number(), "that is no newer");
                    assert!(version == 0 || offer.follow, "it was not to follow");
                    assert!(offer.message_bytes <= max_payload, "it can't take that");
                    in_vain += u32::from(version == 0);
                    assert!(in_vain <= MOST_IN_VAIN, "it was sent that again and again");
                }
            }
        }
    }
}

fn is_readable(block: &[u8]) -> bool {
    FromNode::decode(block).is_some()
}
