//! The program's random numbers, which spread retries and name nodes. A simulation seeds its own, so that one seed is
//! one history; that holds for the thread that asked for it, and for no other.

use std::cell::RefCell;

use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

thread_local! {
    static SEEDED: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on all random numbers of this thread follow from `seed`. Nothing that is to stay secret may be made on it.
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

#[cfg(test)]
mod tests {
    use super::*;

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
