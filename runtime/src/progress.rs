//! Steps that take a while, announced where they are done. They are spans of `tracing`, so that no function needs an
//! argument for them, and cost nothing while nobody watches. `lifeboat` shows them on a terminal or in the log.

use std::fmt::Display;

use tracing::field::Empty;
use tracing::{Span, info_span};

/// The target that tells a step from all other spans.
pub const TARGET: &str = "lifeboat::progress";

/// Something that goes on until this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Step(Span);

/// Begins something, which is shown as "reading the manifest".
pub fn step(doing: impl Display) -> Step {
    Step(info_span!(target: TARGET, parent: None, "step", %doing, bytes = false, done = Empty, of = Empty))
}

/// Begins something of which the bytes are counted.
pub fn transfer(doing: impl Display) -> Step {
    Step(info_span!(target: TARGET, parent: None, "step", %doing, bytes = true, done = Empty, of = Empty))
}

impl Step {
    /// So much of it is done.
    pub fn reached(&self, done: u64, of: u64) {
        self.0.record("done", done).record("of", of);
    }
}
