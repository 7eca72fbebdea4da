//! The program's chance: what spreads retries, makes nonces and names nodes. A simulation sows its own, so that one seed is
//! one history; that is for the thread that says so, and for no other.

use std::cell::RefCell;

use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

thread_local! {
    static SOWN: RefCell<Option<StdRng>> = const { RefCell::new(None) };
}

/// From now on all chance of this thread follows from `seed`. Nothing that is to stay secret may be made on it.
pub fn sow(seed: u64) {
    SOWN.with_borrow_mut(|sown| *sown = Some(StdRng::seed_from_u64(seed)));
}

/// A random value; a float is in `0.0..1.0`.
pub(crate) fn random<T>() -> T
where
    StandardUniform: Distribution<T>,
{
    SOWN.with_borrow_mut(|sown| match sown {
        Some(sown) => sown.random(),
        None => rand::random(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_sequence_and_other_threads_know_nothing_of_it() {
        let drawn = |seed| {
            sow(seed);
            [random::<u64>(), random::<u64>()]
        };
        let unsown = || std::thread::spawn(|| [random::<u64>(), random::<u64>()]).join().unwrap();
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
        assert_ne!(unsown(), unsown());
    }
}
