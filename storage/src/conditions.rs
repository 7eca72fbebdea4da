//! Whether a store's conditional writes work, and what follows from that. `probe` tests them.

use std::fmt;

/// What a store's conditional writes are worth, found out by trying and never by a vendor's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// Creating an object only if there is none.
    pub create: Ability,
    /// Replacing exactly the version that was read (compare-and-swap).
    pub swap: Ability,
}

/// What one kind of conditional write is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ability {
    /// The store does what it says, also for several writers at once.
    Honoured,
    /// The store says that it can't, with these words.
    Refused(String),
    /// The store accepted a write that it should have refused.
    Ignored,
    /// With one writer after the other it works, but of several writers at once more than one was told that it had won.
    Racy {
        /// How many were told so.
        winners: usize,
        /// How many wrote at once.
        writers: usize,
    },
    /// Nothing certain was found out, for this reason.
    Unclear(String),
}

impl Conditions {
    /// Whether a lease can be kept here: it is taken by creating and renewed by compare-and-swap.
    pub fn lease_possible(&self) -> bool {
        self.create == Ability::Honoured && self.swap == Ability::Honoured
    }

    /// Whether the store itself refuses to replace another version than the one that is named.
    pub fn swap_is_compared(&self) -> bool {
        self.swap == Ability::Honoured
    }

    /// Whether the store says yes to what it should refuse, so that its answers can't be trusted.
    pub fn deceive(&self) -> bool {
        self.create.deceives() || self.swap.deceives()
    }

    /// Whether asking again may still show that a lease can be kept here.
    pub fn are_undecided(&self) -> bool {
        let is_open = |ability: &Ability| matches!(ability, Ability::Honoured | Ability::Unclear(_));
        self.are_unclear() && is_open(&self.create) && is_open(&self.swap)
    }

    /// Whether one of the two could not be found out.
    pub fn are_unclear(&self) -> bool {
        let is_unclear = |ability: &Ability| matches!(ability, Ability::Unclear(_));
        is_unclear(&self.create) || is_unclear(&self.swap)
    }
}

impl Ability {
    /// Whether the store said yes to what it should have refused.
    pub(super) fn deceives(&self) -> bool {
        matches!(self, Self::Ignored | Self::Racy { .. })
    }

    /// Whether sending the condition protects anything. If that is unclear, the condition is sent after a look at the
    /// object: at worst the store ignores it.
    pub fn is_worth_asking(&self) -> bool {
        matches!(self, Self::Honoured | Self::Unclear(_))
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "create-if-absent {}; compare-and-swap {}", self.create, self.swap)
    }
}

impl fmt::Display for Ability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Honoured => f.write_str("is honoured"),
            Self::Refused(reason) => write!(f, "is refused ({reason})"),
            Self::Ignored => f.write_str("is ignored: the store said yes to what it should have refused"),
            Self::Racy { winners, writers } => {
                write!(f, "is racy: of {writers} writers at once, {winners} were told that they had won")
            }
            Self::Unclear(reason) => write!(f, "is unclear ({reason})"),
        }
    }
}
