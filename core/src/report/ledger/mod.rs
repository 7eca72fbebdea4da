//! The companion's ledger of reports: who may write in it, the newest of each worker, what those of a node say together,
//! and when one is forgotten. A report informs and confirms, it decides nothing: its key is weak (`ReportKey`). Not here:
//! HTTP, and what follows.

mod admission;
mod node;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::node::ReportingNode;
use super::{MAX_REPORT, Report, ReportKey};
use crate::time::{Moment, WallTime};

/// One worker of one gateway, or rather one instance of the filter in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WorkerName {
    /// Kong's id of the node, which all its instances know whatever their settings say; in Envoy, which has none, the name
    /// that the settings give it; without that the instance itself, since nothing tells to which others it belongs.
    pub node: String,
    /// 16 hexadecimal digits.
    pub worker: String,
}

/// The newest report of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporting {
    /// What it said.
    pub report: Report,
    /// When that came, by the companion's clock.
    pub received: WallTime,
}

/// What became of the reports so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that were kept.
    pub accepted: u64,
    /// Those that were only counted, since there are no keys.
    pub counted_only: u64,
    /// Those that were refused, by [`Refusal::reason`].
    pub refused: BTreeMap<&'static str, u64>,
}

/// What became of one report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It was authenticated, and is this worker's newest.
    Kept(WorkerName),
    /// It was counted: the companion has no keys, so it can't tell who sent it.
    Counted,
}

/// Why a report was not taken. The text says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than [`MAX_REPORT`].
    #[error("a report has at most {MAX_REPORT} bytes")]
    TooLarge,
    /// It isn't signed, though this companion has keys.
    #[error("the report is not signed: set the filter's report_key to one of LIFEBOAT_REPORT_KEYS")]
    Unsigned,
    /// Signed with no key of this companion's.
    #[error("none of LIFEBOAT_REPORT_KEYS has signed this report: compare them with the filter's report_key")]
    BadSignature,
    /// Not a report.
    #[error("this is not a report: {0}")]
    Malformed(String),
    /// A later format.
    #[error("the report has format {0}, this version of lifeboat reads format 1: use a filter of the same version")]
    UnknownFormat(u32),
    /// The clocks of gateway and companion differ, or the report is old.
    #[error("the report was sent at another time by {} s, at most {} s are accepted: set the clocks of the gateway and of this host right (NTP)", .0.as_secs(), TIME_WINDOW.as_secs())]
    WrongTime(Duration),
    /// This worker has sent this one already, or a later one.
    #[error("this report, or a later one of the same worker, was taken already")]
    Replayed,
    /// Too many workers.
    #[error("there are reports of {MOST_WORKERS} workers already: this one is not known and not taken")]
    Full,
}

/// How far the time of a report may be from the companion's, either way.
pub(super) const TIME_WINDOW: Duration = Duration::from_secs(5 * 60);
/// How many workers there can be.
pub(super) const MOST_WORKERS: usize = 32 * 1024;
/// A worker that was silent for so many of its intervals is gone.
const INTERVALS: u32 = 5;
/// For so long the number of a worker's newest report is remembered, silent or not: an older one could come again for as
/// long as its time is accepted.
const REPLAY_MEMORY: Duration = Duration::from_secs(2 * 5 * 60);

/// The ledger.
#[derive(Debug, Default)]
pub struct Ledger {
    workers: BTreeMap<WorkerName, Entry>,
    tally: Tally,
}

#[derive(Debug)]
struct Entry {
    newest: Reporting,
    silent_at: Moment,
    forget_at: Moment,
    is_silent: bool,
}

impl Refusal {
    /// Its name in metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Unsigned => "unsigned",
            Self::BadSignature => "bad_signature",
            Self::Malformed(_) => "malformed",
            Self::UnknownFormat(_) => "unknown_format",
            Self::WrongTime(_) => "wrong_time",
            Self::Replayed => "replayed",
            Self::Full => "full",
        }
    }
}

impl Ledger {
    /// Takes a report as it came: its body, what signs it, and the keys that count. `now` is what the companion's clocks
    /// show.
    ///
    /// # Errors
    /// A report that is refused changes nothing but the tally.
    pub fn take(
        &mut self,
        body: &[u8],
        signature: Option<&[u8]>,
        keys: &[ReportKey],
        wall: WallTime,
        now: Moment,
    ) -> Result<Taken, Refusal> {
        let result = admission::authenticate(body, signature, keys).and_then(|is_authentic| match is_authentic {
            admission::Authenticity::Proved => self.keep(body, wall, now).map(Taken::Kept),
            admission::Authenticity::Unknown => Ok(Taken::Counted),
        });
        match &result {
            Ok(Taken::Kept(_)) => add_one(&mut self.tally.accepted),
            Ok(Taken::Counted) => add_one(&mut self.tally.counted_only),
            Err(refusal) => add_one(self.tally.refused.entry(refusal.reason()).or_default()),
        }
        result
    }

    fn keep(&mut self, body: &[u8], wall: WallTime, now: Moment) -> Result<WorkerName, Refusal> {
        let report = admission::read(body)?;
        admission::check_time(&report, wall)?;
        let name = WorkerName::of(&report);

        match self.workers.get(&name) {
            Some(known) if report.sequence <= known.newest.report.sequence => return Err(Refusal::Replayed),
            None if self.workers.len() >= MOST_WORKERS => return Err(Refusal::Full),
            _ => {}
        }
        let silence = Duration::from_secs(report.interval_s).saturating_mul(INTERVALS);
        let entry = Entry {
            newest: Reporting { report, received: wall },
            silent_at: after(now, silence),
            forget_at: after(now, silence.max(REPLAY_MEMORY)),
            is_silent: false,
        };
        self.workers.insert(name.clone(), entry);
        Ok(name)
    }

    /// The workers that have been silent for too long by `now`, each once. From then on they aren't shown.
    pub fn fall_silent(&mut self, now: Moment) -> Vec<WorkerName> {
        let mut silent = Vec::new();
        for (name, entry) in &mut self.workers {
            if entry.silent_at <= now && !entry.is_silent {
                entry.is_silent = true;
                silent.push(name.clone());
            }
        }
        self.workers.retain(|_, entry| entry.forget_at > now);
        silent
    }

    /// The workers that report, in order of their nodes.
    pub fn workers(&self) -> impl Iterator<Item = (&WorkerName, &Reporting)> {
        self.workers.iter().filter(|(_, entry)| !entry.is_silent).map(|(name, entry)| (name, &entry.newest))
    }

    /// The nodes that report, each once, however many workers and instances do so for it.
    pub fn nodes(&self) -> impl Iterator<Item = ReportingNode> {
        let speaking: Vec<_> = self.workers().collect();
        let nodes = speaking.chunk_by(|(one, _), (other, _)| one.node == other.node);
        nodes.filter_map(|instances| ReportingNode::of(instances.iter().copied())).collect::<Vec<_>>().into_iter()
    }

    /// The node of this name, while it reports.
    pub fn node(&self, name: &str) -> Option<ReportingNode> {
        let first = WorkerName { node: name.to_owned(), worker: String::new() };
        let entries = self.workers.range(first..).take_while(|(worker, _)| worker.node == name);
        ReportingNode::of(entries.filter(|(_, entry)| !entry.is_silent).map(|(worker, entry)| (worker, &entry.newest)))
    }

    /// The newest report of a worker.
    pub fn newest(&self, name: &WorkerName) -> Option<&Reporting> {
        self.workers.get(name).map(|entry| &entry.newest)
    }

    /// What became of all reports so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

impl WorkerName {
    fn of(report: &Report) -> Self {
        let node = report.kong_node_id.as_ref().or(report.node.as_ref()).unwrap_or(&report.worker).clone();
        Self { node, worker: report.worker.clone() }
    }
}

fn add_one(count: &mut u64) {
    *count = count.saturating_add(1);
}

fn after(now: Moment, time: Duration) -> Moment {
    Moment::after_start(now.since(Moment::default()).saturating_add(time))
}
