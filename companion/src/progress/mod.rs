//! Where the steps of `lifeboat_runtime::progress` are shown: on a terminal, or in the log where there is none.

mod terminal;
mod waits;

pub use terminal::{LogWriter, Terminal};
pub use waits::Waits;

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
    /// Where a person who runs a command sees them: on the terminal, if there is one.
    pub fn to_people() -> Self {
        Terminal::of_standard_error().map_or_else(|| Self::InTheLog(Waits::default()), Self::On)
    }
}
