//! What takes a while, said where it is done: steps. They are spans of `tracing`, so that nobody has to be handed anything to
//! say so, and cost nothing where nobody watches. Who shows them to people is `terminal`, or `waits`
//! where there is none.

mod terminal;
mod waits;

use std::fmt::Display;

use tracing::field::Empty;
use tracing::{Span, info_span};

pub use terminal::{LogWriter, Terminal};
pub use waits::Waits;

/// What steps are told from all other spans by.
pub const TARGET: &str = "lifeboat::progress";

/// Where steps are shown.
#[derive(Clone)]
pub enum Shown {
    /// Nowhere.
    Nowhere,
    /// On this terminal.
    On(Terminal),
    /// In the log, if they take long.
    InTheLog(Waits),
}

impl Shown {
    /// Where people see them who run a command: on the terminal, if there is one.
    pub fn to_people() -> Self {
        Terminal::of_standard_error().map_or_else(|| Self::InTheLog(Waits::default()), Self::On)
    }
}

/// Something that goes on until this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Step(Span);

/// Begins something, which is said as "reading the manifest".
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
