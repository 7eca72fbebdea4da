//! Of which part of the program a line of the log is: the span in which it stands. Each part has one of its own, so that the
//! lines of one `lifeboat run` that exports and relays can be told apart.

use lifeboat_core::kong::version::KongVersion;
use tracing::{Span, error_span};

use crate::cli::Task;

/// The target of all these spans. They are there whatever is logged.
pub(crate) const TARGET: &str = "lifeboat::role";

// A span that stands in no other.
macro_rules! role {
    ($name:literal $(, $($field:tt)+)?) => { error_span!(target: TARGET, parent: None, $name $(, $($field)+)?) };
}

/// What keeps the configurations of one version of Kong.
pub(crate) fn export(version: KongVersion) -> Span {
    role!("export", kong = %version)
}

/// What stands between nodes and the control plane.
pub(crate) fn relay() -> Span {
    role!("relay")
}

/// What looks for data planes without a backup.
pub(crate) fn data_planes() -> Span {
    role!("data-planes")
}

/// The rehearsals of an outage.
pub(crate) fn drill() -> Span {
    role!("drill")
}

/// What tells those who have no monitoring.
pub(crate) fn notification() -> Span {
    role!("notification")
}

/// Where metrics, health and status are read.
pub(crate) fn http() -> Span {
    role!("http")
}

/// What reads changed certificates.
pub(crate) fn certificates() -> Span {
    role!("certificates")
}

/// A command. What `lifeboat run` has of its own, none of its parts, is `run`.
pub fn of_command(task: &Task) -> Span {
    match task {
        Task::Run => role!("run"),
        Task::Healthcheck(_) => role!("healthcheck"),
        Task::Status(_) => role!("status"),
        Task::Export(_) => role!("export"),
        Task::Import(_) => role!("import"),
        Task::Exec(_) => role!("exec"),
        Task::Presign(_) => role!("presign"),
        Task::Doctor(_) => role!("doctor"),
        Task::Drill(_) => role!("drill"),
        Task::List(_) => role!("list"),
        Task::Show(_) => role!("show"),
        Task::Verify(_) => role!("verify"),
        Task::Diff(_) => role!("diff"),
        Task::Release(_) => role!("release"),
        Task::Rollback(_) => role!("rollback"),
        Task::Pin(_) => role!("pin"),
        Task::Unpin(_) => role!("unpin"),
        Task::Prune(_) => role!("prune"),
        Task::Keygen(_) => role!("keygen"),
        Task::Schema(_) => role!("schema"),
        Task::Completions(_) => role!("completions"),
        Task::Manual(_) => role!("manual"),
        Task::Demo(_) => role!("demo"),
    }
}
