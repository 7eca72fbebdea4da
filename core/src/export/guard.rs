//! The shrink guard: a configuration that loses too much of the published one is held. A control plane with a lost
//! database sends a valid, nearly empty configuration, and its nodes confirm it (KONG.md section 1).

use std::ops::RangeInclusive;

use crate::kong::EntityCounts;
use crate::manifest::Shrunk;

/// The kinds of entity whose loss stops traffic.
pub const GUARDED: [&str; 2] = ["services", "routes"];

/// How much a configuration may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShrinkGuard {
    max_shrink: u8,
}

impl Default for ShrinkGuard {
    fn default() -> Self {
        Self::new(Self::DEFAULT_PERCENT)
    }
}

impl ShrinkGuard {
    /// Half of them may be lost unless `LIFEBOAT_MAX_SHRINK` says otherwise.
    pub const DEFAULT_PERCENT: u8 = 50;
    /// The values that `LIFEBOAT_MAX_SHRINK` may have.
    pub const PERCENT: RangeInclusive<u64> = 0..=100;

    /// A guard that allows a configuration to lose at most `percent` of the services or of the routes
    /// (`LIFEBOAT_MAX_SHRINK`). Even at 100, a configuration that loses the last route is held.
    pub const fn new(percent: u8) -> Self {
        Self { max_shrink: percent }
    }

    /// What `candidate` would lose of `published`, if that is too much to publish it.
    pub fn objection(&self, published: &EntityCounts, candidate: &EntityCounts) -> Option<Shrunk> {
        let loses_all_routes = published.get("routes") > 0 && candidate.get("routes") == 0;
        let loses_too_much = GUARDED.iter().any(|kind| self.is_exceeded(published.get(kind), candidate.get(kind)));
        (loses_all_routes || loses_too_much).then(|| Shrunk::between(published, candidate, &GUARDED))
    }

    // In `u128`, because numbers from a store may be anything, and their product must not overflow.
    fn is_exceeded(&self, before: u64, after: u64) -> bool {
        let lost = u128::from(before.saturating_sub(after));
        lost * 100 > u128::from(before) * u128::from(self.max_shrink)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(services: u64, routes: u64) -> EntityCounts {
        EntityCounts::from([("services", services), ("routes", routes)])
    }

    fn is_held(before: (u64, u64), after: (u64, u64)) -> bool {
        let (before, after) = (counts(before.0, before.1), counts(after.0, after.1));
        ShrinkGuard::new(50).objection(&before, &after).is_some()
    }

    #[test]
    fn losing_all_routes_or_more_than_the_limit_is_held() {
        for (before, after, held) in [
            ((2, 4), (2, 4), false),
            ((2, 4), (3, 9), false),
            ((10, 10), (5, 5), false),
            ((10, 10), (4, 10), true),
            ((10, 10), (10, 4), true),
            ((1, 1), (1, 0), true),
            // A lost database.
            ((50_000, 50_000), (0, 0), true),
            // There was nothing to lose.
            ((0, 0), (0, 0), false),
            ((0, 0), (1, 1), false),
            ((3, 0), (2, 0), false),
        ] {
            assert_eq!(is_held(before, after), held, "{before:?} -> {after:?}");
        }
    }

    #[test]
    fn the_last_route_is_guarded_whatever_the_limit() {
        let guard = ShrinkGuard::new(100);
        assert!(guard.objection(&counts(9, 9), &counts(0, 1)).is_none());
        assert!(guard.objection(&counts(9, 9), &counts(9, 0)).is_some());
    }

    #[test]
    fn nothing_may_go_at_a_limit_of_zero() {
        let guard = ShrinkGuard::new(0);
        assert!(guard.objection(&counts(9, 9), &counts(8, 9)).is_some());
        assert!(guard.objection(&counts(9, 9), &counts(9, 9)).is_none());
    }

    #[test]
    fn what_was_lost_is_told_by_kind_and_what_traffic_needs_comes_first() {
        let before = EntityCounts::from([("consumers", 7), ("plugins", 3), ("routes", 4), ("services", 2)]);
        let after = EntityCounts::from([("plugins", 3), ("workspaces", 1)]);
        let shrunk = ShrinkGuard::new(50).objection(&before, &after).unwrap();
        assert_eq!(shrunk.to_string(), "routes 4 -> 0, services 2 -> 0, consumers 7 -> 0");
    }

    proptest! {
        #[test]
        fn what_grows_or_stays_is_never_held(
            percent in 0u8..=100, before in any::<(u64, u64)>(), more in any::<(u64, u64)>(),
        ) {
            let after = counts(before.0.saturating_add(more.0), before.1.saturating_add(more.1));
            prop_assert_eq!(ShrinkGuard::new(percent).objection(&counts(before.0, before.1), &after), None);
        }

        #[test]
        fn a_stricter_guard_holds_at_least_as_much(
            percent in 0u8..100, before in any::<(u64, u64)>(), after in any::<(u64, u64)>(),
        ) {
            let (before, after) = (counts(before.0, before.1), counts(after.0, after.1));
            let held = |percent| ShrinkGuard::new(percent).objection(&before, &after).is_some();
            prop_assert!(held(percent) || !held(percent + 1));
        }
    }
}
