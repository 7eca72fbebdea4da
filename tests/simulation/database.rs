//! The control planes' database, and what happens to it: changes, changes that are taken back, its loss.

use std::cell::Cell;
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
    configuration: Cell<usize>,
    changed: Cell<Duration>,
}

impl Database {
    pub(crate) fn new(random: &mut StdRng) -> Self {
        Self { configuration: Cell::new(random.random_range(0..ORDINARY)), changed: Cell::new(Duration::ZERO) }
    }

    /// The number of the configuration that it holds.
    pub(crate) fn configuration(&self) -> usize {
        self.configuration.get()
    }

    /// When it got that.
    pub(crate) fn changed(&self) -> Duration {
        self.changed.get()
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
            // Who has lost most of what there was soon brings back what there was.
            let next = if present >= SMALL && random.random_range(0..3) > 0 { former } else { next };
            if next == present {
                continue;
            }
            if present < SMALL {
                former = present;
            }
            self.configuration.set(next);
            self.changed.set(site.now());
            site.note(&format!("the database has configuration {next} now"));
        }
    }
}
