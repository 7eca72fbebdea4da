//! What becomes of one request on its way to the store and back, and of who sent it.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::plan::Plan;

/// How long a write is on its way where nothing keeps it from replacing a newer one, in milliseconds.
const MOST_WITHOUT_CONDITIONS: u64 = 4_000;

/// The way of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// Until it takes effect, if it ever does.
    pub(crate) to_store: Option<Duration>,
    /// Until the answer is there after that.
    pub(crate) to_client: Duration,
    pub(crate) answer: Answer,
    /// How long after the first time it takes effect a second time.
    pub(crate) again: Option<Duration>,
    pub(crate) stored: Stored,
}

/// What the client hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What came of it.
    True,
    /// That something went wrong; the request may have taken effect.
    Failure,
    /// Nothing.
    None,
}

/// How a write's bytes get to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    Whole,
    Damaged,
}

/// What becomes of an exporter at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It dies before the request leaves.
    DieBefore,
    /// It dies once the request has left.
    DieAfter,
    /// It stands still before the request leaves, which it does when it goes on.
    PauseBefore(Duration),
    /// It stands still once the request has left.
    PauseAfter(Duration),
}

/// What a request is about, as far as its fate depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Reading,
    /// Who leads.
    Election,
    /// Where that is decided.
    Mark,
    /// A backup.
    Backup,
    /// The one object of a backup that is written last of those that must not be lost.
    Manifest,
}

/// The weather between exporters and store.
pub(crate) struct Weather {
    random: StdRng,
    sky: Sky,
    fault_every: u32,
    step_every: u32,
    damages: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sky {
    Rough,
    /// Nothing goes wrong, and some writes take long.
    Sluggish,
    Calm,
}

impl Weather {
    pub(crate) fn new(plan: &Plan, random: &mut StdRng) -> Self {
        let Plan { fault_every, step_every, damages, .. } = *plan;
        Self { random: StdRng::seed_from_u64(random.random()), sky: Sky::Rough, fault_every, step_every, damages }
    }

    /// From now on nothing goes wrong.
    pub(crate) fn clear_up(&mut self) {
        self.sky = Sky::Calm;
    }

    /// From now on nothing goes wrong, and one of four manifests is a while on its way: so long that others write meanwhile.
    pub(crate) fn only_slow_down(&mut self) {
        self.sky = Sky::Sluggish;
    }

    pub(crate) fn is_rough(&self) -> bool {
        self.sky == Sky::Rough
    }

    /// What becomes of who sends a request.
    pub(crate) fn step(&mut self, about: About) -> Option<Step> {
        let every = match about {
            About::Manifest | About::Mark => self.step_every.div_ceil(2),
            About::Backup => self.step_every,
            About::Election => self.step_every.saturating_mul(12),
            About::Reading => self.step_every.saturating_mul(40),
        };
        if self.sky != Sky::Rough || self.random.random_range(0..every) != 0 {
            return None;
        }
        let pause = Duration::from_millis(self.random.random_range(1_000..100_000));
        Some(match self.random.random_range(0..6) {
            0 => Step::DieBefore,
            1 => Step::DieAfter,
            2 | 3 => Step::PauseBefore(pause),
            _ => Step::PauseAfter(pause),
        })
    }

    /// The way of a request.
    pub(crate) fn course(&mut self, about: About) -> Course {
        let mut course = Course {
            to_store: Some(self.milliseconds(2..40)),
            to_client: self.milliseconds(2..30),
            answer: Answer::True,
            again: None,
            stored: Stored::Whole,
        };
        if self.sky == Sky::Sluggish && about == About::Manifest && self.random.random_range(0..4) == 0 {
            course.to_store = Some(self.milliseconds(40..MOST_WITHOUT_CONDITIONS));
        }
        if self.sky != Sky::Rough {
            return course;
        }
        if self.random.random_range(0..self.fault_every) == 0 {
            self.disturb(&mut course);
        }
        if about == About::Backup && self.damages > 0 && self.random.random_range(0..8) == 0 {
            self.damages -= 1;
            course.stored = Stored::Damaged;
        }
        course
    }

    /// The way of a request from a client that is cut off.
    pub(crate) fn no_way(&mut self) -> Course {
        let answer = if self.random.random() { Answer::Failure } else { Answer::None };
        let to_client = self.milliseconds(2..3_000);
        Course { to_store: None, to_client, answer, again: None, stored: Stored::Whole }
    }

    /// Without conditional writes nothing keeps an old write from replacing a newer one, if it arrives late enough.
    pub(crate) fn spare_what_nothing_protects(&mut self, course: &mut Course) {
        course.to_store = course.to_store.map(|delay| delay.min(Duration::from_millis(MOST_WITHOUT_CONDITIONS)));
        course.again = None;
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.random.random_range(0..limit)
    }

    fn disturb(&mut self, course: &mut Course) {
        match self.random.random_range(0..10) {
            0 => (course.to_store, course.answer) = (None, Answer::Failure),
            1 => (course.to_store, course.answer) = (None, Answer::None),
            2 | 3 => course.answer = Answer::Failure,
            4 => course.answer = Answer::None,
            5 => course.to_store = Some(self.milliseconds(500..25_000)),
            6 => course.to_client = self.milliseconds(500..25_000),
            // Nobody waits so long for an answer.
            7 | 8 => course.to_store = Some(self.milliseconds(25_000..150_000)),
            _ => course.again = Some(self.milliseconds(10..60_000)),
        }
    }

    fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.random_range(range))
    }
}
