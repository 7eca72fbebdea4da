//! In which store the election is held, and what keeps two elections in two stores from having two leaders.
//!
//! Usually it is held beside the backups. Whoever holds it elsewhere (`LIFEBOAT_ELECTION_STORAGE`) first writes a mark beside
//! the backups, once, and then waits until the usual election has been silent for as long as kills a lease. Whoever holds it
//! beside the backups looks for a mark after it was elected. So of the two at least one sees the other: the mark was there when
//! the second looked, or its lease was there when the first did. A mark never ends by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::DEATH;
use crate::time::Moment;

/// The format that this code writes.
const FORMAT: u32 = 1;
/// How often a mark is looked at again, and by whom it bars.
pub const AGAIN: Duration = Duration::from_secs(60);
/// How often the usual election is looked at while it is waited for to end.
const LOOK: Duration = Duration::from_secs(5);

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

/// What lies in the usual election, by the store's names for versions of objects: it changes as long as anybody takes part.
pub type Usual<T> = Vec<(String, T)>;

/// What is to be done next at the store of the backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the mark.
    ReadMark,
    /// Write it, if there is none.
    WriteMark(Mark),
    /// See what lies in the usual election.
    LookAtUsual,
    /// Nothing before this moment: others are about to be gone.
    WaitUntil(Moment),
    /// Whoever was elected may lead.
    Lead,
    /// Whoever was elected may not lead: the election is held in this other store.
    Elsewhere(String),
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    /// The mark, or that there is none.
    Mark(Option<Mark>),
    /// That it is written, or that another was quicker: what is there is read.
    MarkWritten,
    /// What lies in the usual election.
    Usual(Usual<T>),
}

/// Whether whoever was elected in one store may lead. Begun anew with each leadership that doesn't follow another without a gap.
#[derive(Debug)]
pub struct Clearance<T> {
    /// Where this exporter's election is held; beside the backups, if that isn't said.
    own: Option<String>,
    next: Next,
    usual: Option<(Usual<T>, Moment)>,
}

impl<T: PartialEq> Clearance<T> {
    /// For an election that is held in `own`, or beside the backups.
    pub fn new(own: Option<String>) -> Self {
        Self { own, next: Next::ReadMark, usual: None }
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

    // What has not changed for as long as kills a lease is dead, by this exporter's own clock; and so is what isn't there.
    fn after(&mut self, found: Usual<T>, now: Moment) -> Next {
        let since = match &self.usual {
            Some((before, since)) if *before == found => *since,
            _ => now,
        };
        let is_dead = found.is_empty() || now.since(since) >= DEATH;
        self.usual = Some((found, since));
        if is_dead { Next::Lead } else { Next::WaitUntil(now + LOOK) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "s3://small/kong";

    fn at(seconds: u64) -> Moment {
        Moment::default() + Duration::from_secs(seconds)
    }

    fn usual(tags: &[u32]) -> Seen<u32> {
        Seen::Usual(tags.iter().map(|tag| ("election/leader.json".to_owned(), *tag)).collect())
    }

    fn elsewhere() -> Clearance<u32> {
        Clearance::new(Some(OWN.to_owned()))
    }

    #[test]
    fn beside_the_backups_a_mark_alone_decides() {
        let mut clearance = Clearance::<u32>::new(None);
        assert_eq!(*clearance.next(), Next::ReadMark);
        clearance.saw(Seen::Mark(None), at(0));
        assert_eq!(*clearance.next(), Next::Lead);
        let mut clearance = Clearance::<u32>::new(None);
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
