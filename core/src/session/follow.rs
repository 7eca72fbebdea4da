//! The rule of `LIFEBOAT_FOLLOW`: whether a node that already has a configuration is given a newly published snapshot. The
//! rule for empty nodes is in `restore`.
//!
//! A living control plane is never overruled, and no node is given anything older than what it has. The rule applies only
//! while the node's control plane is gone. What counts as older depends on where the node's configuration came from:
//!
//! - **From the store.** The store's own count decides: each snapshot that was published later is newer, whoever has
//!   published it.
//! - **From the control plane, or from the node's own cache.** No count says how it compares with what is in the store. The
//!   node may have it from the control plane after the last snapshot that an exporter managed to publish, so even a snapshot
//!   that is published a minute after the loss of the control plane may be the older one. So the node is given only an
//!   operator's choice (`export --pin`, `rollback`, `pin SEQUENCE`), and only one that was made since the control plane was
//!   lost. That means after this node's own link ended, if it had one here, and otherwise after the relay noticed this
//!   outage. What an operator had pinned before was meant for new nodes, while a control plane served all others. A quick
//!   operator may choose before the relay's first look; then the relay compares the manifest's time with its own clock.
//!
//! Later means a higher (epoch, sequence). If a new leader writes the same snapshot under a new epoch, it is not later. A node
//! with incremental sync, whose session is in `sync`, knows only the sequence ([`snapshot_gives_way`]).

use std::time::Duration;

use crate::digest::ConfigHash;
use crate::kong::rpc::SyncVersion;
use crate::manifest::Manifest;

/// Between which waits the store is looked at, as long as any node has lost its control plane: so that a node has what was
/// published within 30 s, also if a fetch comes in between.
pub const LOOK_EVERY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(15));
/// The shortest time between two looks. A node that has just lost the control plane needs a new look, and many nodes lose it at
/// the same time.
pub const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The parts of a manifest that matter for following it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publication {
    /// The leadership that wrote the manifest.
    pub epoch: u64,
    /// The snapshot's place in the history.
    pub sequence: u64,
    /// Kong's name for its configuration.
    pub config_hash: ConfigHash,
    /// Who wanted it to be the published one.
    pub choice: Choice,
}

/// Who wanted a snapshot to be the published one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The control plane: an exporter has published what it sent.
    ControlPlanes,
    /// An operator, who has pinned it.
    Operators,
}

/// What the relay sees in the store while the control plane is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreView {
    /// What is published now.
    pub newest: Publication,
    /// What was published when this outage began, as far as the relay's first look could tell.
    pub at_first: Publication,
    /// Whether the newest was published after this node's own link ended, by its manifest's time and the relay's clock.
    pub is_since_loss: bool,
}

/// What is known of the configuration that a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Has {
    /// This snapshot, from the store.
    Snapshot(Publication),
    /// A configuration that came from elsewhere.
    Another {
        /// What the store had published when the node lost its control plane, as far as is known.
        published: Publication,
    },
}

impl Publication {
    /// Stands for a store in which nothing is published.
    pub const NOTHING: Self =
        Self { epoch: 0, sequence: 0, config_hash: ConfigHash::EMPTY, choice: Choice::ControlPlanes };

    /// What a manifest publishes.
    pub fn of(manifest: &Manifest) -> Self {
        let choice = if manifest.pin.is_some() { Choice::Operators } else { Choice::ControlPlanes };
        let Manifest { epoch, sequence, config_hash, .. } = *manifest;
        Self { epoch, sequence, config_hash, choice }
    }

    /// Whether this was published later.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.epoch, self.sequence) > (other.epoch, other.sequence) && !self.is_same_snapshot(other)
    }

    /// The one of the two that was published later.
    pub fn or_newer(self, other: Self) -> Self {
        if (other.epoch, other.sequence) > (self.epoch, self.sequence) { other } else { self }
    }

    /// Whether both name the same snapshot, under whatever leadership.
    pub fn is_same_snapshot(&self, other: &Self) -> bool {
        (self.sequence, self.config_hash) == (other.sequence, other.config_hash)
    }
}

impl StoreView {
    /// What counts as published when a node got the configuration that it has from elsewhere. `was_given`: its control plane
    /// gave it that in this session.
    pub fn published_before(&self, was_given: bool) -> Publication {
        match (was_given, self.is_since_loss) {
            (false, _) => self.at_first,
            (true, false) => self.newest,
            // An operator was quicker than the first look. What was published before is unknown, but certainly older.
            (true, true) => Publication::NOTHING,
        }
    }
}

impl Has {
    /// Whether a node that has this is given `newest`, which is published now.
    pub fn gives_way_to(&self, newest: &Publication) -> bool {
        match self {
            Self::Snapshot(own) => newest.is_newer_than(own),
            Self::Another { published } => newest.choice == Choice::Operators && newest.is_newer_than(published),
        }
    }
}

/// Whether a node with incremental sync that has this snapshot is given `newest`, which is published now. One that has a
/// configuration from elsewhere is given nothing.
pub fn snapshot_gives_way(snapshot: SyncVersion, newest: SyncVersion) -> bool {
    newest > snapshot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(epoch: u64, sequence: u64, choice: Choice) -> Publication {
        Publication { epoch, sequence, config_hash: ConfigHash::from_bytes([sequence as u8; 16]), choice }
    }

    #[test]
    fn a_configuration_from_the_store_gives_way_only_to_what_was_published_later() {
        let has = Has::Snapshot(publication(2, 5, Choice::ControlPlanes));
        for choice in [Choice::ControlPlanes, Choice::Operators] {
            for (epoch, sequence, given) in
                [(2, 6, true), (3, 6, true), (2, 5, false), (3, 5, false), (2, 4, false), (1, 9, false)]
            {
                let newest = publication(epoch, sequence, choice);
                assert_eq!(has.gives_way_to(&newest), given, "{epoch} {sequence} {choice:?}");
            }
        }
    }

    #[test]
    fn a_configuration_from_elsewhere_gives_way_only_to_a_later_choice_of_an_operator() {
        let has = Has::Another { published: publication(2, 5, Choice::Operators) };
        for (epoch, sequence, choice, given) in [
            (2, 6, Choice::Operators, true),
            (2, 6, Choice::ControlPlanes, false),
            // It was pinned before, and a new leader has written its manifest anew.
            (3, 5, Choice::Operators, false),
            (2, 4, Choice::Operators, false),
        ] {
            assert_eq!(has.gives_way_to(&publication(epoch, sequence, choice)), given, "{epoch} {sequence} {choice:?}");
        }
        let nothing = Has::Another { published: Publication::NOTHING };
        assert!(nothing.gives_way_to(&publication(1, 1, Choice::Operators)));
        assert!(!nothing.gives_way_to(&publication(1, 1, Choice::ControlPlanes)));
    }
}
