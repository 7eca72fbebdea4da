//! What the filter does next: calls, metrics, and the lines that it writes to the gateway's log. Not here: who decides on them.

use super::{Call, Metric};

/// What a tick leads to. Only a tick leads to calls: Kong is known to dispatch them from there, while elsewhere it
/// traps or has not been seen to (KONG.md section 4, point 2), and a trap costs all that the filter knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Dispatch this call, and tell [`Reporter::on_dispatched`](super::Reporter::on_dispatched) how that went.
    Dispatch(Call),
    /// Write this line to the gateway's log.
    Log(LogLine),
    /// Set this gauge, or add so much to this counter.
    Record(Metric, u64),
}

/// A line for the gateway's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// How loud it is.
    pub level: LogLevel,
    /// What it says.
    pub text: String,
}

/// How loud a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is as it should be again.
    Info,
    /// Someone should look at this; traffic is not affected.
    Warn,
}
