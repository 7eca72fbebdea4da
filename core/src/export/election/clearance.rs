//! In which store the election is held, and what keeps two elections in two stores from having two leaders: the elected
//! exporter needs a [`Clearance`].
//!
//! Usually the election is held beside the backups: the *usual* election. An exporter that elects elsewhere
//! (`LIFEBOAT_ELECTION_STORAGE`) first writes a mark beside the backups, once. Then it waits until the usual election
//! has been silent for [`DEATH`], after which a lease is dead. An exporter that elects beside the backups looks for a
//! mark after it was elected. So at least one of the two sees the other: either the mark was there when the second one
//! looked, or the second one's lease was there when the first one looked. A mark never expires by itself.

use serde::{Deserialize, Serialize};

use super::times::{DEATH, USUAL_WATCH};
use crate::time::Moment;

/// The format that this code writes.
const FORMAT: u32 = 1;

/// `lifeboat/election.json`: where the election is held, if it isn't beside the backups. Not in `election/`, where everything
/// may expire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The format that it is written in: 1.
    pub format: u32,
    /// The store and the prefix in it.
    pub storage: String,
}

impl Mark {
    /// A mark of this store.
    pub fn new(storage: &str) -> Self {
        Self { format: FORMAT, storage: storage.to_owned() }
    }
}

/// The objects of the usual election, each with the store's name for its version. These change as long as an exporter
/// takes part.
pub type Usual<T> = Vec<(String, T)>;

/// What was found of the usual election, and since when that is known to be unchanged.
pub type Unchanged<T> = (Usual<T>, Moment);

/// What is to be done next at the store of the backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the mark.
    ReadMark,
    /// Write it, if there is none.
    WriteMark(Mark),
    /// See what lies in the usual election.
    LookAtUsual,
    /// Nothing before this moment: other exporters may still be leaving.
    WaitUntil(Moment),
    /// The elected exporter may lead.
    Lead,
    /// The elected exporter may not lead: the election is held in this other store.
    Elsewhere(String),
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    /// The mark, or that there is none.
    Mark(Option<Mark>),
    /// The mark is written, or another exporter was quicker: it is read next.
    MarkWritten,
    /// What lies in the usual election.
    Usual(Usual<T>),
}

/// Whether the exporter that was elected in one store may lead. Begun anew with each leadership that follows a gap.
#[derive(Debug)]
pub struct Clearance<T> {
    /// Where this exporter's election is held; beside the backups, if that isn't said.
    own: Option<String>,
    next: Next,
    usual: Option<Unchanged<T>>,
}

impl<T: PartialEq> Clearance<T> {
    /// For an election that is held in `own`, or beside the backups. `usual` is what an earlier clearance knew: a usual
    /// election that has long been silent is not waited for again with each leadership.
    pub fn new(own: Option<String>, usual: Option<Unchanged<T>>) -> Self {
        Self { own, next: Next::ReadMark, usual }
    }

    /// The usual election at the last look, if there is one.
    pub fn usual(&self) -> Option<&Unchanged<T>> {
        self.usual.as_ref().filter(|(found, _)| !found.is_empty())
    }

    /// What is to be done.
    pub fn next(&self) -> &Next {
        &self.next
    }

    /// Whether this exporter waits for others that take part in the usual election.
    pub fn is_waiting_for_others(&self) -> bool {
        matches!(self.next, Next::WaitUntil(_))
    }

    /// A moment that was waited for has come.
    pub fn tick(&mut self, now: Moment) {
        if matches!(self.next, Next::WaitUntil(until) if until <= now) {
            self.next = Next::LookAtUsual;
        }
    }

    /// What came of what was to be done.
    pub fn saw(&mut self, seen: Seen<T>, now: Moment) {
        self.next = match (seen, &self.own) {
            (Seen::Mark(None), None) => Next::Lead,
            (Seen::Mark(None), Some(own)) => Next::WriteMark(Mark::new(own)),
            (Seen::Mark(Some(mark)), Some(own)) if mark.storage == *own => Next::LookAtUsual,
            (Seen::Mark(Some(mark)), _) => Next::Elsewhere(mark.storage),
            (Seen::MarkWritten, _) => Next::ReadMark,
            (Seen::Usual(found), _) => self.after(found, now),
        };
    }

    // An election is dead if its objects have not changed for DEATH, by this exporter's own clock, or if it has none.
    fn after(&mut self, found: Usual<T>, now: Moment) -> Next {
        let since = match &self.usual {
            Some((before, since)) if *before == found => *since,
            _ => now,
        };
        let is_dead = found.is_empty() || now.since(since) >= DEATH;
        self.usual = Some((found, since));
        if is_dead { Next::Lead } else { Next::WaitUntil(now + USUAL_WATCH) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OWN: &str = "s3://small/kong";

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn usual(tags: &[u32]) -> Seen<u32> {
        Seen::Usual(tags.iter().map(|tag| ("election/leader.json".to_owned(), *tag)).collect())
    }

    fn elsewhere() -> Clearance<u32> {
        Clearance::new(Some(OWN.to_owned()), None)
    }

    #[test]
    fn beside_the_backups_a_mark_alone_decides() {
        let mut clearance = Clearance::<u32>::new(None, None);
        assert_eq!(*clearance.next(), Next::ReadMark);
        clearance.saw(Seen::Mark(None), at(0));
        assert_eq!(*clearance.next(), Next::Lead);
        let mut clearance = Clearance::<u32>::new(None, None);
        clearance.saw(Seen::Mark(Some(Mark::new(OWN))), at(0));
        assert_eq!(*clearance.next(), Next::Elsewhere(OWN.to_owned()));
    }

    #[test]
    fn elsewhere_nobody_leads_before_the_mark_is_read_back() {
        let mut clearance = elsewhere();
        clearance.saw(Seen::Mark(None), at(0));
        assert_eq!(*clearance.next(), Next::WriteMark(Mark::new(OWN)));
        clearance.saw(Seen::MarkWritten, at(0));
        assert_eq!(*clearance.next(), Next::ReadMark);
        // Another was quicker.
        clearance.saw(Seen::Mark(Some(Mark::new("s3://another/kong"))), at(0));
        assert_eq!(*clearance.next(), Next::Elsewhere("s3://another/kong".to_owned()));
    }

    #[test]
    fn elsewhere_the_usual_election_must_have_been_silent_for_as_long_as_kills_a_lease() {
        let mut clearance = elsewhere();
        clearance.saw(Seen::Mark(Some(Mark::new(OWN))), at(0));
        let mut now = 0;
        // It is renewed twice, and then no more.
        for tag in [1, 1, 2, 2, 3, 3, 3, 3, 3, 3] {
            assert_eq!(*clearance.next(), Next::LookAtUsual);
            clearance.saw(usual(&[tag]), at(now));
            assert!(clearance.is_waiting_for_others(), "{now}");
            now += 5;
            clearance.tick(at(now));
        }
        // It has been the same since the 20th second.
        clearance.saw(usual(&[3]), at(now));
        assert_eq!((now, clearance.next()), (50, &Next::Lead));
    }

    #[test]
    fn a_usual_election_that_was_silent_before_is_not_waited_for_again() {
        let mut clearance = elsewhere();
        clearance.saw(Seen::Mark(Some(Mark::new(OWN))), at(0));
        clearance.saw(usual(&[1]), at(0));
        for (tag, expected) in [(1, Next::Lead), (2, Next::WaitUntil(at(35)))] {
            let mut later = Clearance::new(Some(OWN.to_owned()), clearance.usual().cloned());
            later.saw(Seen::Mark(Some(Mark::new(OWN))), at(30));
            assert_eq!(*later.next(), Next::LookAtUsual, "it is looked at all the same");
            later.saw(usual(&[tag]), at(30));
            assert_eq!(*later.next(), expected, "{tag}");
        }
    }

    #[test]
    fn where_there_was_no_election_nobody_is_waited_for() {
        let mut clearance = elsewhere();
        clearance.saw(Seen::Mark(Some(Mark::new(OWN))), at(0));
        clearance.saw(usual(&[]), at(0));
        assert_eq!(*clearance.next(), Next::Lead);
    }

    #[test]
    fn a_mark_is_written_in_the_form_that_other_versions_read() {
        let json = serde_json::to_string(&Mark::new(OWN)).unwrap();
        assert_eq!(json, r#"{"format":1,"storage":"s3://small/kong"}"#);
        assert_eq!(serde_json::from_str::<Mark>(&json.replace('}', r#","later":1}"#)).unwrap(), Mark::new(OWN));
    }
}
