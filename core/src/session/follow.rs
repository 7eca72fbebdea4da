//! The rule of `LIFEBOAT_FOLLOW`: which newly published snapshot a node is given that has a configuration already. When a
//! node without one is restored is in `restore`.
//!
//! A living control plane is never overruled, and no node is given what is older than what it has. A node is asked about
//! only while its control plane is gone, and what is older depends on where its configuration came from:
//!
//! - **From the store.** The store's own count says what came after it: each snapshot that was published later is newer,
//!   whoever has published it.
//! - **From the control plane, or from the node's own cache.** No count says how it compares with what is in the store. The
//!   control plane may have given it after the last snapshot that an exporter came to publish, and one that is published
//!   a minute after the control plane was lost may still be the older one. So only an operator's choice is given
//!   (`export --pin`, `rollback`, `pin SEQUENCE`), and only one that was made since the control plane was lost: after this
//!   node's own link ended if it had one here, else after the relay noticed this outage. What an operator had pinned
//!   before was chosen for new nodes, with a control plane that fed all others. The relay's first look may come after a
//!   quick operator's choice; then the manifest's time tells, which the relay compares with its own clock.
//!
//! Later means a higher (epoch, sequence). The same snapshot under a new epoch, which a new leader writes, is no later one.

use crate::digest::ConfigHash;
use crate::manifest::Manifest;

/// What a manifest publishes, as far as following it goes.
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
    /// The control plane: an exporter has published what that sent.
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
    /// This one of the store's.
    Snapshot(Publication),
    /// One that came from elsewhere, no later than when this was published.
    Another {
        /// What the store had published then.
        published: Publication,
    },
}

impl Publication {
    /// Stands for what is published where nothing is.
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

impl Has {
    /// Whether a node that has this is given what is published now.
    pub fn gives_way_to(&self, newest: &Publication) -> bool {
        match self {
            Self::Snapshot(own) => newest.is_newer_than(own),
            Self::Another { published } => newest.choice == Choice::Operators && newest.is_newer_than(published),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(epoch: u64, sequence: u64, choice: Choice) -> Publication {
        Publication { epoch, sequence, config_hash: ConfigHash::from_bytes([sequence as u8; 16]), choice }
    }

    #[test]
    fn what_came_from_the_store_gives_way_to_all_that_was_published_later_and_to_nothing_else() {
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
    fn what_came_from_elsewhere_gives_way_to_an_operators_choice_alone_and_only_to_a_later_one() {
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
