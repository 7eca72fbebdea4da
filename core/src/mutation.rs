//! Mistakes on purpose, so that the simulation can show that it would notice them. Without the feature `mutations`, which
//! only its own test switches on, none of them can be made.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// A leader writes whatever the clock and the store's condition say.
    NoFencing,
    /// A new leader doesn't write the manifest anew with its epoch.
    NoRepublishFirst,
    /// What was written isn't read back.
    NoReadBack,
    /// The manifest is written before the payload.
    ManifestBeforePayload,
    /// Of two configurations the one with the later time is the newer one.
    TimestampsDecide,
    /// A configuration may lose everything.
    NoShrinkGuard,
    /// Whether a lease is dead is judged by the clock on the wall.
    WallClockLeases,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoFencing,
        Self::NoRepublishFirst,
        Self::NoReadBack,
        Self::ManifestBeforePayload,
        Self::TimestampsDecide,
        Self::NoShrinkGuard,
        Self::WallClockLeases,
    ];
}

#[cfg(feature = "mutations")]
mod switched {
    use std::cell::Cell;

    use super::Mutation;

    thread_local! {
        static ON: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Makes this mistake, and no other, on this thread from now on.
    pub fn switch(mutation: Option<Mutation>) {
        ON.set(mutation);
    }

    /// Whether this mistake is made.
    pub fn is_on(mutation: Mutation) -> bool {
        ON.get() == Some(mutation)
    }
}

#[cfg(feature = "mutations")]
pub use switched::{is_on, switch};

/// Whether this mistake is made: never.
#[cfg(not(feature = "mutations"))]
pub const fn is_on(_: Mutation) -> bool {
    false
}
