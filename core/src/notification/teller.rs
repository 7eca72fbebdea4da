//! Which states are told, and when: each when it begins and when it ends, one message a minute at most. What is told is what
//! has lasted: a state that passes before it could be told is not. Two that follow each other closely are one.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use super::{Attempt, Details, State, Subject};
use crate::backoff::{Backoff, spread};
use crate::time::{Moment, WallTime};

/// At most one message is sent in this time, whatever it is about and however often it is tried.
const BETWEEN: Duration = Duration::from_secs(60);
/// What is gone for so long has ended. What comes and goes would otherwise be told each time.
const SETTLES: Duration = Duration::from_secs(60);
/// How long a message that did not arrive waits, at first and at most.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(2 * 60), Duration::from_secs(15 * 60));
/// How often a message is tried, at most: for about an hour and a half.
const MOST_TRIES: u32 = 10;
/// More are not followed: nodes say of which version they are, and each version is a state of its own.
const MOST: usize = 64;

/// What is told, and when.
#[derive(Clone, Debug, Default)]
pub struct Teller {
    known: BTreeMap<Subject, Known>,
    /// When the next message may be sent.
    free: Moment,
}

/// A message that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub subject: Subject,
    /// Whether that begins or ends.
    pub phase: Phase,
    /// When it was first seen: the same in both messages.
    pub began: WallTime,
    /// What else is said.
    pub details: Details,
}

/// What happens to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has begun, and lasts.
    Begins,
    /// It is over.
    Ends {
        /// Since when.
        ended: WallTime,
    },
}

/// What becomes of a message after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It arrived.
    Told,
    /// It is tried again, unless the state changes first.
    Again,
    /// It was tried often enough.
    GivenUp,
}

#[derive(Clone, Debug)]
struct Known {
    is_there: bool,
    /// Since when it is there, or is not.
    since: Moment,
    /// Whether it counts: it has lasted long enough, and has not been gone for long.
    lasts: bool,
    began: WallTime,
    gone: WallTime,
    details: Details,
    told: Told,
    due: Moment,
    again: Backoff,
}

/// What the receiver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing.
    Nothing,
    /// That it began, perhaps: an attempt failed, and may have arrived all the same.
    Perhaps,
    /// That it began.
    Begun,
}

impl Teller {
    /// These states are there at `now`, and no others. `chance` lies in `0.0..1.0`.
    pub fn observe(&mut self, there: &BTreeMap<Subject, Details>, now: Moment, wall: WallTime, chance: f64) {
        for (subject, details) in there {
            let has_room = self.known.len() < MOST;
            match self.known.entry(*subject) {
                Entry::Occupied(mut known) => known.get_mut().details = *details,
                Entry::Vacant(place) if has_room => {
                    place.insert(Known::new(*details, now, wall));
                }
                Entry::Vacant(_) => {}
            }
        }

        for (subject, known) in &mut self.known {
            known.changes(there.contains_key(subject), now, wall);
            known.settles(subject.state, now, chance);
        }
        self.known.retain(|_, known| known.is_there || known.lasts || known.told != Told::Nothing);
    }

    /// The most urgent message that may be sent now.
    pub fn next(&self, now: Moment) -> Option<Notice> {
        if now < self.free {
            return None;
        }
        self.known.iter().filter(|(_, known)| now >= known.due).find_map(|(subject, known)| {
            let phase = known.pending()?;
            Some(Notice { subject: *subject, phase, began: known.began, details: known.details })
        })
    }

    /// A message that [`next`](Self::next) gave was sent, and that attempt ended so at `now`.
    pub fn sent(&mut self, notice: &Notice, attempt: Attempt, now: Moment, chance: f64) -> Afterwards {
        self.free = now + BETWEEN;
        let Some(known) = self.known.get_mut(&notice.subject) else { return Afterwards::Told };

        let is_last = known.again.failures() + 1 >= MOST_TRIES;
        let (told, afterwards) = match (notice.phase, attempt) {
            (Phase::Begins, Attempt::Delivered) => (Told::Begun, Afterwards::Told),
            (Phase::Ends { .. }, Attempt::Delivered) => (Told::Nothing, Afterwards::Told),
            // That it ends is told all the same.
            (Phase::Begins, Attempt::Failed) if is_last => (Told::Begun, Afterwards::GivenUp),
            (Phase::Ends { .. }, Attempt::Failed) if is_last => (Told::Nothing, Afterwards::GivenUp),
            (Phase::Begins, Attempt::Failed) => (Told::Perhaps, Afterwards::Again),
            (Phase::Ends { .. }, Attempt::Failed) => (known.told, Afterwards::Again),
        };
        known.told = told;
        match afterwards {
            Afterwards::Again => known.due = now + known.again.next_wait(chance),
            Afterwards::Told | Afterwards::GivenUp => known.again.reset(),
        }

        self.known.retain(|_, known| known.is_there || known.lasts || known.told != Told::Nothing);
        afterwards
    }
}

impl Known {
    fn new(details: Details, now: Moment, wall: WallTime) -> Self {
        Self {
            is_there: true,
            since: now,
            lasts: false,
            began: wall,
            gone: wall,
            details,
            told: Told::Nothing,
            due: now,
            again: AGAIN,
        }
    }

    fn changes(&mut self, is_there: bool, now: Moment, wall: WallTime) {
        if self.is_there == is_there {
            return;
        }
        (self.is_there, self.since) = (is_there, now);
        if !is_there {
            self.gone = wall;
        } else if !self.lasts && self.told == Told::Nothing {
            self.began = wall;
        }
    }

    fn settles(&mut self, state: State, now: Moment, chance: f64) {
        let long_enough = if self.is_there { state.lasts_before_it_is_told() } else { SETTLES };
        if self.is_there != self.lasts && now - self.since >= long_enough {
            self.lasts = self.is_there;
            self.due = now + spread(Duration::ZERO, state.spread(), chance);
            self.again.reset();
        }
    }

    fn pending(&self) -> Option<Phase> {
        match (self.lasts, self.told) {
            (true, Told::Nothing | Told::Perhaps) => Some(Phase::Begins),
            (false, Told::Begun | Told::Perhaps) => Some(Phase::Ends { ended: self.gone }),
            (true, Told::Begun) | (false, Told::Nothing) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use proptest::prelude::*;

    use super::super::Of;
    use super::*;
    use crate::kong::version::KongVersion;

    const HELD: Subject = of(State::Held);
    const FAILING: Subject = of(State::ExportFailing);

    const fn of(state: State) -> Subject {
        Subject { state, of: Of::Version(Some(KongVersion::new(3, 9, 1))) }
    }

    fn at(second: u64) -> Moment {
        Moment::after_start(Duration::from_secs(second))
    }

    fn wall(second: u64) -> WallTime {
        WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(second))
    }

    /// A receiver, and what it is told: second, state, and whether that begins.
    struct Scene {
        teller: Teller,
        second: u64,
        answers: Attempt,
        told: Vec<(u64, State, bool)>,
        gave_up: usize,
    }

    impl Scene {
        fn new() -> Self {
            let (teller, answers) = (Teller::default(), Attempt::Delivered);
            Self { teller, second: 0, answers, told: Vec::new(), gave_up: 0 }
        }

        fn lasts(&mut self, seconds: u64, there: &[Subject]) {
            let there = there.iter().map(|subject| (*subject, Details::default())).collect();
            for second in self.second..self.second + seconds {
                self.teller.observe(&there, at(second), wall(second), 0.0);
                if let Some(notice) = self.teller.next(at(second)) {
                    self.told.push((second, notice.subject.state, notice.phase == Phase::Begins));
                    let afterwards = self.teller.sent(&notice, self.answers, at(second), 1.0);
                    self.gave_up += usize::from(afterwards == Afterwards::GivenUp);
                }
            }
            self.second += seconds;
        }
    }

    #[test]
    fn a_state_is_told_when_it_begins_and_when_it_ends_and_not_between() {
        let mut scene = Scene::new();
        scene.lasts(100, &[]);
        scene.lasts(5_000, &[HELD]);
        scene.lasts(5_000, &[]);
        assert_eq!(scene.told, [(100, State::Held, true), (5_160, State::Held, false)]);
        scene.lasts(10, &[HELD]);
        assert_eq!(scene.told.len(), 3, "it begins again");
        scene.lasts(100, &[]);
        assert!(scene.teller.known.is_empty(), "what has ended and was told is forgotten");
    }

    #[test]
    fn what_passes_soon_is_not_told_and_what_comes_and_goes_is_one() {
        let mut scene = Scene::new();
        scene.lasts(299, &[FAILING]);
        scene.lasts(300, &[]);
        assert_eq!(scene.told, []);
        for _ in 0..100 {
            scene.lasts(30, &[HELD]);
            scene.lasts(59, &[]);
        }
        assert_eq!(scene.told, [(599, State::Held, true)]);
    }

    #[test]
    fn one_message_a_minute_the_most_urgent_first() {
        let mut scene = Scene::new();
        let all = State::ALL.map(of);
        scene.lasts(1_000, &all);
        let states: Vec<State> = scene.told.iter().map(|(_, state, _)| *state).collect();
        assert_eq!(scene.told.len(), all.len());
        assert_eq!(states[..4], [State::Held, State::NodesServedFromStore, State::BackupGone, State::DrillFailing]);
        assert!(scene.told.windows(2).all(|two| two[1].0 - two[0].0 >= 60), "{:?}", scene.told);
    }

    #[test]
    fn a_message_that_does_not_arrive_is_tried_ten_times_and_its_end_is_told_all_the_same() {
        let mut scene = Scene::new();
        scene.answers = Attempt::Failed;
        scene.lasts(100_000, &[HELD]);
        assert_eq!((scene.told.len(), scene.gave_up), (10, 1));
        let waits: Vec<u64> = scene.told.windows(2).map(|two| two[1].0 - two[0].0).collect();
        assert_eq!(waits, [120, 240, 480, 900, 900, 900, 900, 900, 900]);
        scene.lasts(100_000, &[]);
        assert_eq!((scene.told.len(), scene.gave_up), (20, 2));
        assert!(scene.told[10..].iter().all(|(_, _, begins)| !begins));
        assert!(scene.teller.known.is_empty());
    }

    #[test]
    fn what_ended_before_it_could_be_told_is_told_only_if_an_attempt_may_have_arrived() {
        let mut scene = Scene::new();
        // Another message takes the minute.
        scene.lasts(1, &[HELD]);
        let drill = of(State::DrillFailing);
        scene.lasts(30, &[HELD, drill]);
        scene.lasts(200, &[HELD]);
        assert_eq!(
            scene.told,
            [(0, State::Held, true), (60, State::DrillFailing, true), (120, State::DrillFailing, false)]
        );

        let mut scene = Scene::new();
        scene.answers = Attempt::Failed;
        scene.lasts(50, &[HELD]);
        scene.answers = Attempt::Delivered;
        scene.lasts(500, &[]);
        assert_eq!(scene.told, [(0, State::Held, true), (110, State::Held, false)]);
    }

    #[test]
    fn both_messages_name_the_same_beginning() {
        let mut teller = Teller::default();
        let there = BTreeMap::from([(HELD, Details::default())]);
        teller.observe(&there, at(7), wall(7), 0.0);
        let begins = teller.next(at(7)).unwrap();
        teller.sent(&begins, Attempt::Delivered, at(7), 0.0);
        teller.observe(&BTreeMap::new(), at(500), wall(500), 0.0);
        teller.observe(&BTreeMap::new(), at(560), wall(560), 0.0);
        let ends = teller.next(at(560)).unwrap();
        assert_eq!((begins.began, ends.began), (wall(7), wall(7)));
        assert_eq!(ends.phase, Phase::Ends { ended: wall(500) });
    }

    #[test]
    fn many_states_are_not_followed_without_end() {
        let version = |patch| Of::Version(Some(KongVersion::new(3, 9, patch)));
        let subject = |patch| Subject { state: State::NodesServedFromStore, of: version(patch) };
        let there = (0..1_000).map(|patch| (subject(patch), Details::default())).collect();
        let mut teller = Teller::default();
        teller.observe(&there, at(0), wall(0), 0.0);
        assert_eq!(teller.known.len(), MOST);
    }

    proptest! {
        /// Whatever comes and goes, and whatever the receiver does: what it has taken is a beginning, an end, a beginning …
        #[test]
        fn beginnings_and_ends_take_turns(steps in prop::collection::vec((any::<bool>(), any::<bool>(), 1u64..200), 1..60)) {
            let mut scene = Scene::new();
            let mut taken = Vec::new();
            for (is_there, answers, seconds) in steps {
                scene.answers = if answers { Attempt::Delivered } else { Attempt::Failed };
                let before = scene.told.len();
                scene.lasts(seconds, if is_there { &[HELD] } else { &[] });
                if answers {
                    taken.extend(scene.told[before..].iter().map(|(_, _, begins)| *begins));
                }
            }
            prop_assert!(scene.told.windows(2).all(|two| two[1].0 - two[0].0 >= 60));
            // An end that was given up is never taken, and an end may be told of a beginning that perhaps arrived.
            let is_begun_twice = taken.windows(2).any(|two| two == [true, true]);
            prop_assert!(scene.gave_up > 0 || !is_begun_twice, "{taken:?}");
        }
    }
}
