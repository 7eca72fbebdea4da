//! The control planes' database, and what happens to it: changes, changes that are taken back, its loss.

use std::cell::RefCell;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::configurations::{EMPTY, ORDINARY, SMALL};
use super::plan::Plan;
use super::site::Site;

/// What the database holds.
#[derive(Debug)]
pub(crate) struct Database {
    /// All that it has held, oldest first, with the time at which that began.
    past: RefCell<Vec<(Duration, usize)>>,
}

impl Database {
    pub(crate) fn new(random: &mut StdRng) -> Self {
        Self { past: RefCell::new(vec![(Duration::ZERO, random.random_range(0..ORDINARY))]) }
    }

    /// The number of the configuration that it holds.
    pub(crate) fn configuration(&self) -> usize {
        self.past.borrow().last().expect("it has always held something").1
    }

    /// Whether it held what it holds now before that time too.
    pub(crate) fn held_the_same_before(&self, moment: Duration) -> bool {
        let present = self.configuration();
        self.past.borrow().iter().any(|(begin, configuration)| *begin < moment && *configuration == present)
    }

    /// People change things, for ever.
    pub(crate) async fn change(&self, plan: &Plan, site: &Site, mut random: StdRng) {
        let mut former = self.configuration();
        loop {
            sleep(plan.change_every.mul_f64(random.random_range(0.1..2.0))).await;
            let present = self.configuration();
            let next = match random.random_range(0..12) {
                // Taken back.
                0 | 1 => former,
                2 => EMPTY,
                3 => SMALL + random.random_range(0..EMPTY - SMALL),
                _ => random.random_range(0..ORDINARY),
            };
            // After most of it was lost, people soon bring back what there was.
            let next = if present >= SMALL && random.random_range(0..3) > 0 { former } else { next };
            if next == present {
                continue;
            }
            if present < SMALL {
                former = present;
            }
            self.past.borrow_mut().push((site.now(), next));
            site.note(&format!("the database has configuration {next} now"));
        }
    }
}
