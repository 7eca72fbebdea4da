//! Under which version a snapshot is given to nodes.

/// The id that Kong gives the default workspace of a node without a database. Under the control plane's own id the node
/// would lose track of its workspace with the control plane's next configuration, and refuse all credentials after its
/// next start (KONG.md section 7).
pub const DEFAULT_WORKSPACE: &str = "0dc6f45b-8f8d-40d2-a504-473544ee190b";
/// Restored nodes are below every version of a control plane, so that it sends them all of its configuration.
const LOWEST: i64 = -1_000_000_000;

/// The version under which a snapshot is given to nodes: its place in the history, below those of control planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SyncVersion(i64);

impl SyncVersion {
    /// The version of the snapshot with this place in the history; of a bare `config.json` 0.
    pub fn of_sequence(sequence: u64) -> Self {
        Self(LOWEST + i64::try_from(sequence).unwrap_or(i64::MAX).min(-LOWEST - 1))
    }

    /// The number on the wire.
    pub fn number(self) -> i64 {
        self.0
    }

    /// The snapshot's place in the history, if a node with this version was restored by a relay.
    pub fn sequence(number: i64) -> Option<u64> {
        (LOWEST..0).contains(&number).then(|| (number - LOWEST) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_keep_the_order_of_the_history_below_those_of_control_planes() {
        let number = |sequence| SyncVersion::of_sequence(sequence).number();
        assert_eq!([number(0), number(10), number(u64::MAX)], [-1_000_000_000, -999_999_990, -1]);
        for sequence in [0, 1, 10, 999_999_999] {
            assert_eq!(SyncVersion::sequence(number(sequence)), Some(sequence));
        }
        for other in [0, 1, 16, -1_000_000_001] {
            assert_eq!(SyncVersion::sequence(other), None);
        }
    }
}
