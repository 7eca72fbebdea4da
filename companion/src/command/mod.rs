//! What the program's commands do. Each gets its settings' source and gives back why it failed, if it did.

mod asked_page;
mod check;
mod choice;
pub mod completions;
mod configuration;
pub mod confirm;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod drill;
mod envelope;
pub mod exec;
pub mod export;
pub mod healthcheck;
pub mod import;
pub mod keygen;
pub mod list;
pub mod manual;
mod nodes;
mod perform;
pub mod pin;
pub mod presign;
mod private_file;
pub mod prune;
pub mod release;
pub mod rollback;
pub mod run;
pub mod schema;
pub mod show;
pub mod status;
mod stdout;
pub mod stopped;
mod table;
pub mod verify;

pub use perform::perform;

use crate::settings::Problems;

/// Why a command failed, and with it the exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong settings: exit code 2.
    #[error(transparent)]
    Settings(#[from] Problems),
    /// There was nothing to do, and this is why: exit code 3.
    #[error("{0}")]
    NothingToDo(String),
    /// What was compared differs, and that was asked for: exit code 4.
    #[error("{0}")]
    Different(String),
    /// A program that was to be started wasn't, and the exit code is what a shell's would be.
    #[error("{why}")]
    AsAShell {
        /// The exit code.
        code: u8,
        /// Why.
        why: String,
    },
    /// Anything else: exit code 1.
    #[error(transparent)]
    Failed(#[from] anyhow::Error),
}
