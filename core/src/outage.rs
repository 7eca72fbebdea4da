//! When an outage that lasts is said again. It is said at once, then at growing intervals with its duration so far, and
//! once when it ends. What fails beside it, for the same reason most likely, is said once and when it ends. Pure: the time
//! is an argument, and what is said is the caller's.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::time::Moment;

/// How long after an outage was said it is said again, at first. This doubles.
const FIRST_INTERVAL: Duration = Duration::from_secs(2 * 60);
/// No interval is longer.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// What fails again this soon after its end is the same outage: what comes and goes must not fill the log.
const SAME_OUTAGE: Duration = Duration::from_secs(60);
/// What has not failed for this long, though nobody said that it works, has ended unnoticed. Longer than anybody waits
/// before the next try.
const FORGOTTEN: Duration = Duration::from_secs(30 * 60);
/// Another cause of the same outage is said at once, unless that many were said already.
const CAUSES: usize = 3;

/// What fails together: what is done at one store, or what one control plane is asked for. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct Outages(Arc<Mutex<Group>>);

#[derive(Debug, Default)]
struct Group {
    next_id: u64,
    /// From the one that began first.
    outages: Vec<Outage>,
}

/// One thing that may fail for a while. Once it is dropped, its outage is nobody's any more.
#[derive(Debug)]
pub struct OutageLog {
    id: u64,
    group: Outages,
}

#[derive(Debug)]
struct Outage {
    id: u64,
    began: Moment,
    failed: Moment,
    /// When it ended, if it has.
    ended: Option<Moment>,
    /// When it is to be said again.
    due: Moment,
    interval: Duration,
    causes: Vec<String>,
    /// Whether it was said since it began or came back: only then its end is.
    is_said: bool,
}

/// An outage is to be said now. As text it is what comes after the name of what fails: nothing at first, ` (for 3 min)` later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mention {
    /// For how long there has been an outage.
    pub lasted: Lasted,
    /// Whether it is said for the first time.
    pub is_first: bool,
}

/// How long an outage has lasted, for people: `45 s`, `3 min`, `1 h 10 min`, `2 d 3 h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lasted(pub Duration);

impl Outages {
    /// One more thing that fails together with the others.
    pub fn another(&self) -> OutageLog {
        let mut group = self.lock();
        group.next_id += 1;
        OutageLog { id: group.next_id, group: self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, Group> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}

impl Default for OutageLog {
    fn default() -> Self {
        Outages::default().another()
    }
}

impl OutageLog {
    /// It failed. `cause` names the kind of failure, not its details. Gives what is to be said of it, if anything is.
    pub fn failed(&self, cause: &str, now: Moment) -> Option<Mention> {
        let mut group = self.group.lock();
        group.outages.retain(|outage| !outage.is_forgotten(now));
        let Some(at) = group.position(self.id) else {
            group.outages.push(Outage::new(self.id, cause, now));
            return Some(Mention { lasted: Lasted(Duration::ZERO), is_first: true });
        };
        let is_oldest = group.outages.iter().take(at).all(|earlier| earlier.ended.is_some());
        group.outages[at].failed(cause, is_oldest, now)
    }

    /// It works. Gives how long it has not, if that was said.
    pub fn works(&self, now: Moment) -> Option<Lasted> {
        let mut group = self.group.lock();
        let at = group.position(self.id)?;
        let outage = &mut group.outages[at];
        if outage.ended.is_some() {
            return None;
        }
        outage.ended = Some(now);
        std::mem::take(&mut outage.is_said).then_some(Lasted(now - outage.began))
    }

    /// Whether it has failed and has not worked since.
    pub fn lasts(&self) -> bool {
        let group = self.group.lock();
        group.position(self.id).is_some_and(|at| group.outages[at].ended.is_none())
    }
}

impl Drop for OutageLog {
    fn drop(&mut self) {
        self.group.lock().outages.retain(|outage| outage.id != self.id);
    }
}

impl Group {
    fn position(&self, id: u64) -> Option<usize> {
        self.outages.iter().position(|outage| outage.id == id)
    }
}

impl Outage {
    fn new(id: u64, cause: &str, now: Moment) -> Self {
        Self {
            id,
            began: now,
            failed: now,
            ended: None,
            due: now + FIRST_INTERVAL,
            interval: FIRST_INTERVAL,
            causes: vec![cause.to_owned()],
            is_said: true,
        }
    }

    fn failed(&mut self, cause: &str, is_oldest: bool, now: Moment) -> Option<Mention> {
        self.failed = now;
        self.ended = None;
        let is_another_cause = self.causes.len() < CAUSES && !self.causes.iter().any(|known| known == cause);
        if is_another_cause {
            self.causes.push(cause.to_owned());
        }

        // What began later most likely follows from what began first, which says for both that it lasts.
        let is_due = is_oldest && self.due <= now;
        if is_due {
            self.interval = (self.interval * 2).min(LONGEST_INTERVAL);
            self.due = now + self.interval;
        }
        if !is_due && !is_another_cause {
            return None;
        }
        self.is_said = true;
        Some(Mention { lasted: Lasted(now - self.began), is_first: false })
    }

    fn is_forgotten(&self, now: Moment) -> bool {
        match self.ended {
            Some(ended) => now - ended > SAME_OUTAGE,
            None => now - self.failed > FORGOTTEN,
        }
    }
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_first { Ok(()) } else { write!(f, " (for {})", self.lasted) }
    }
}

impl fmt::Display for Lasted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        match seconds {
            0..60 => write!(f, "{seconds} s"),
            60..3600 => write!(f, "{minutes} min"),
            3600..172_800 => write!(f, "{hours} h {} min", minutes % 60),
            _ => write!(f, "{} d {} h", hours / 24, hours % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    // What is said of an outage that is noticed each `every` seconds until `until`: seconds and text.
    fn said(log: &OutageLog, every: u64, until: u64) -> Vec<(u64, String)> {
        let moments = (0..until).step_by(every as usize);
        moments.filter_map(|second| Some((second, log.failed("refused", at(second))?.to_string()))).collect()
    }

    #[test]
    fn an_outage_is_said_at_growing_intervals_with_its_duration_and_its_end() {
        let log = OutageLog::default();
        let all = said(&log, 5, 3600);
        let minutes: Vec<u64> = all.iter().map(|(second, _)| second / 60).collect();
        assert_eq!(minutes, [0, 2, 6, 14, 24, 34, 44, 54]);
        assert_eq!((all[0].1.as_str(), all[1].1.as_str()), ("", " (for 2 min)"));
        assert_eq!(log.works(at(3600)).unwrap().to_string(), "1 h 0 min");
        assert_eq!(log.works(at(3601)), None);
    }

    #[test]
    fn what_fails_beside_an_outage_is_said_once_and_when_it_ends() {
        let outages = Outages::default();
        let (first, second) = (outages.another(), outages.another());
        assert!(first.failed("refused", at(0)).is_some());
        assert_eq!(said(&second, 1, 1200).len(), 1);
        // Now it is the oldest.
        assert_eq!(first.works(at(1200)), Some(Lasted(Duration::from_secs(1200))));
        assert_eq!(second.failed("refused", at(1210)).unwrap().to_string(), " (for 20 min)");
        assert_eq!(second.works(at(1220)), Some(Lasted(Duration::from_secs(1220))));
    }

    #[test]
    fn another_cause_is_said_at_once_but_not_each_of_many() {
        let log = OutageLog::default();
        let causes = ["refused", "503", "refused", "slow", "denied", "503"];
        let said: Vec<bool> =
            (0..).zip(causes).map(|(second, cause)| log.failed(cause, at(second)).is_some()).collect();
        assert_eq!(said, [true, true, false, true, false, false]);
    }

    #[test]
    fn what_comes_and_goes_is_one_outage() {
        let log = OutageLog::default();
        let mut lines = 0;
        for second in (0..3600).step_by(20) {
            lines += usize::from(log.failed("refused", at(second)).is_some());
            lines += usize::from(log.works(at(second + 10)).is_some());
        }
        assert_eq!(lines, 16, "each mention, and its end");
        assert!(log.failed("refused", at(3600 + 61)).unwrap().is_first, "after a minute without one it is another");
    }

    #[test]
    fn an_outage_that_nobody_notices_for_long_is_another_one() {
        let log = OutageLog::default();
        assert!(log.failed("refused", at(0)).unwrap().is_first);
        assert!(!log.failed("refused", at(1800)).unwrap().is_first);
        assert!(log.failed("refused", at(1800 + 1801)).unwrap().is_first);
    }

    #[test]
    fn what_is_dropped_holds_nobody_back() {
        let outages = Outages::default();
        let (first, second) = (outages.another(), outages.another());
        first.failed("refused", at(0));
        second.failed("refused", at(1));
        assert_eq!(second.failed("refused", at(300)), None);
        drop(first);
        assert!(second.failed("refused", at(301)).is_some());
    }

    #[test]
    fn durations_are_said_as_people_do() {
        let texts = [0, 59, 60, 3599, 3600, 4200, 172_799, 172_800 + 3 * 3600]
            .map(|seconds| Lasted(Duration::from_secs(seconds)).to_string());
        assert_eq!(texts, ["0 s", "59 s", "1 min", "59 min", "1 h 0 min", "1 h 10 min", "47 h 59 min", "2 d 3 h"]);
    }
}
