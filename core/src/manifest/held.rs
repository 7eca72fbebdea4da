//! Why a configuration is held, as its object in the store says it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kong::{EntityCounts, Unrunnable};
use crate::object_key::HistoryState;

/// Why a configuration is held until an operator releases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It loses too much of what is published.
    Shrunk(Shrunk),
    /// Every node that was given it still runs another one.
    Refused,
    /// It was held for its losses before, perhaps by another exporter, and nobody has released it.
    Unreleased,
    /// No node can ever run it.
    Unrunnable(Unrunnable),
}

/// What would be lost, by kind of entity: first what traffic needs, then the rest by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shrunk(Vec<Loss>);

/// How many entities of one kind there were and would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// `services`, `routes` …
    pub kind: String,
    /// In the published configuration.
    pub before: u64,
    /// In the one that would replace it.
    pub after: u64,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shrunk(shrunk) => write!(f, "it would lose too much of what is published ({shrunk})"),
            Self::Refused => f.write_str("every node that was given it still runs another one"),
            Self::Unrunnable(why) => write!(f, "no data plane can ever run it: {why}"),
            Self::Unreleased => f.write_str("it was held before for what it would lose, and has not been released"),
        }
    }
}

impl Held {
    /// How the history remembers it.
    pub fn history_state(&self) -> HistoryState {
        match self {
            Self::Shrunk(_) | Self::Unreleased => HistoryState::HeldAsShrunk,
            Self::Refused => HistoryState::HeldAsRefused,
            Self::Unrunnable(_) => HistoryState::HeldAsUnrunnable,
        }
    }
}

impl Shrunk {
    /// What was lost, the guarded kinds first.
    pub fn losses(&self) -> &[Loss] {
        &self.0
    }

    /// What `candidate` has less of than what is published, the `guarded` kinds first; no losses at all are none.
    pub fn between(published: &EntityCounts, candidate: &EntityCounts, guarded: &[&str]) -> Self {
        let loss = |(kind, before): (&str, u64)| {
            let after = candidate.get(kind);
            (after < before).then(|| Loss { kind: kind.to_owned(), before, after })
        };
        let mut losses: Vec<Loss> = published.iter().filter_map(loss).collect();
        losses.sort_by_key(|loss| !guarded.contains(&loss.kind.as_str()));
        Self(losses)
    }
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Loss { kind, before, after }) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{kind} {before} -> {after}")?;
        }
        Ok(())
    }
}
