//! A bounded number of places. A newcomer always gets one; if there are too many then, the one that was taken longest ago
//! is given up. So strangers who take places and do nothing with them keep nobody out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lifeboat_runtime::lock::Locked;
use tokio_util::sync::CancellationToken;

/// Places of one kind.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

/// A place that is taken. It is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes a place. `given_up` is cancelled when it is wanted for another one.
    pub(crate) fn take(&self, given_up: &CancellationToken) -> Place {
        let mut taken = self.taken.locked();
        let number = taken.next;
        taken.next += 1;
        taken.by_age.insert(number, given_up.clone());
        if taken.by_age.len() > self.most
            && let Some((_, oldest)) = taken.by_age.pop_first()
        {
            oldest.cancel();
        }
        drop(taken);
        Place { number, taken: self.taken.clone() }
    }
}

impl Place {
    /// Frees the place before it is dropped.
    pub(crate) fn leave(&self) {
        self.taken.locked().by_age.remove(&self.number);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room_and_a_place_that_was_left_needs_none() {
        let places = Places::new(2);
        let tokens: Vec<_> = (0..4).map(|_| CancellationToken::new()).collect();
        let first = places.take(&tokens[0]);
        let _second = places.take(&tokens[1]);
        first.leave();
        let _third = places.take(&tokens[2]);
        assert!(!tokens.iter().any(CancellationToken::is_cancelled));

        let _fourth = places.take(&tokens[3]);
        let gave_way: Vec<bool> = tokens.iter().map(CancellationToken::is_cancelled).collect();
        assert_eq!(gave_way, [false, true, false, false]);
    }
}
