//! What a process has taken so far, read from `/proc`: for measuring, where the last reading before its end is good enough.

use std::time::Duration;

use super::{Finished, Invocation, Memory, Running};

/// A command that prints a few lines ends within less after its peak.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Of `/proc/<pid>/stat` (proc_pid_stat(5)): USER_HZ, which is the same on every Linux that we run on.
const TICKS_A_SECOND: f64 = 100.0;

/// What a process has taken so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// The most that was ever resident, in bytes.
    pub peak: u64,
    /// The processor time of all its threads, to a hundredth of a second.
    pub processor: Duration,
}

impl Usage {
    /// With the processor time since it was `before`.
    #[must_use]
    pub fn since(self, before: Duration) -> Self {
        Self { processor: self.processor.saturating_sub(before), ..self }
    }
}

impl Invocation {
    /// Starts it and waits until it ends, however long that takes, and says what it has taken.
    pub async fn measured(self) -> (Finished, Usage) {
        let (running, mut last) = (self.start(), Usage::default());
        // Ended and not waited for, it has no memory any more.
        while let Some(usage) = running.usage() {
            last = usage;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        (running.ends().await, last)
    }
}

impl Running {
    /// What it has taken so far; none once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        let peak = self.memory_if_it_runs(Memory::Peak)?;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        // The name before it, in brackets, may have blanks. Then the third field comes first.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let (user, system) = (ticks(14)?, ticks(15)?);
        Some(Usage { peak, processor: Duration::from_secs_f64((user + system) as f64 / TICKS_A_SECOND) })
    }
}
