//! The program's random numbers, which spread retries and name nodes. A simulation seeds its own, so that one seed is
//! one history; that holds for the thread that asked for it, and for no other. Nonces never follow from a seed.

use std::cell::RefCell;

use lifeboat_core::manifest::Nonce;
use rand::distr::{Distribution, StandardUniform};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng, TryRng};

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on all random numbers of this thread follow from `seed`, but for [`nonce`]s.
pub fn seed_with(seed: u64) {
    SEEDED.with_borrow_mut(|seeded| *seeded = Some(StdRng::seed_from_u64(seed)));
}

/// A random value; a float is in `0.0..1.0`.
pub fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(seeded) => seeded.random(),
        None => rand::random(),
    })
}

/// A nonce from the system's generator: the same nonce twice under one key gives both texts away.
///
/// # Panics
/// If the system has no random numbers. Nothing may be sealed then.
#[expect(clippy::disallowed_methods, reason = "this is where nonces come from")]
pub fn nonce() -> Nonce {
    let mut bytes = [0; 12];
    SysRng.try_fill_bytes(&mut bytes).expect("the system has random numbers");
    Nonce::from_random(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_does_not_follow_from_the_seed() {
        let drawn = || {
            seed_with(7);
            nonce()
        };
        assert_ne!(drawn(), drawn());
    }

    #[test]
    fn one_seed_is_one_sequence_and_other_threads_know_nothing_of_it() {
        let drawn = |seed| {
            seed_with(seed);
            [random::<u64>(), random::<u64>()]
        };
        let unseeded = || std::thread::spawn(|| [random::<u64>(), random::<u64>()]).join().unwrap();
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_ne!(unseeded(), unseeded());
    }
}
