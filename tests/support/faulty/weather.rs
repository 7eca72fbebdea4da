//! Which fault comes next. The same seed makes the same faults, request by request; how long Lifeboat waits between two
//! tries is drawn elsewhere, so their times differ.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::Method;
use object_store::client::HttpRequest;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Fault;

/// What the network and the store are like, now and until it changes.
#[derive(Clone, Debug)]
pub struct Weather(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: StdRng,
    /// How many of a hundred requests something happens to.
    severity: u32,
    /// What happens to every request, if that is the same.
    always: Option<Fault>,
    /// Faults that come in a row.
    spell: VecDeque<Fault>,
    played: u64,
    has_been_late: bool,
}

impl Weather {
    /// Nothing goes wrong.
    pub fn fair() -> Self {
        Self::of(0, 0, None)
    }

    /// The weather of a seed: from hardly anything to a fault in two of three requests.
    pub fn of_seed(seed: u64) -> Self {
        let weather = Self::fair();
        weather.turn(seed);
        weather
    }

    /// From now on it is the weather of another seed.
    pub fn turn(&self, seed: u64) {
        let severity = StdRng::seed_from_u64(seed ^ 0x5eed).random_range(2..66);
        *self.state() = State::new(seed, severity, None);
    }

    /// This happens to every request.
    pub fn always(fault: Fault) -> Self {
        Self::of(0, 100, Some(fault))
    }

    /// These happen one after the other, then nothing more.
    pub fn first(faults: impl IntoIterator<Item = Fault>) -> Self {
        let weather = Self::fair();
        weather.state().spell.extend(faults);
        weather
    }

    fn of(seed: u64, severity: u32, always: Option<Fault>) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed, severity, always))))
    }

    /// From now on this happens to every request.
    pub fn turn_to(&self, fault: Fault) {
        *self.state() = State::new(0, 100, Some(fault));
    }

    /// Nothing goes wrong from now on.
    pub fn clear_up(&self) {
        let mut state = self.state();
        (state.severity, state.always) = (0, None);
        state.spell.clear();
    }

    /// How many faults there were.
    pub fn played(&self) -> u64 {
        self.state().played
    }

    /// Whether a request arrived after its sender had given it up.
    pub fn has_been_late(&self) -> bool {
        self.state().has_been_late
    }

    pub(super) fn next(&self, request: &HttpRequest) -> Option<Fault> {
        let mut state = self.state();
        let fault = state.next(request);
        state.played += u64::from(fault.is_some());
        state.has_been_late |= matches!(fault, Some(Fault::Late(_)));
        fault
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it is locked")
    }
}

impl State {
    fn new(seed: u64, severity: u32, always: Option<Fault>) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self { random, severity, always, spell: VecDeque::new(), played: 0, has_been_late: false }
    }

    fn next(&mut self, request: &HttpRequest) -> Option<Fault> {
        if let Some(fault) = self.spell.pop_front().or(self.always) {
            return Some(fault);
        }
        if self.random.random_range(0..100) >= self.severity {
            return None;
        }
        let headers = request.headers();
        let is_conditional = headers.contains_key("if-match") || headers.contains_key("if-none-match");
        let is_write = request.method() == Method::PUT;
        Some(self.draw(is_write, is_conditional))
    }

    fn draw(&mut self, is_write: bool, is_conditional: bool) -> Fault {
        let seconds = |random: &mut StdRng, range| Duration::from_secs(random.random_range(range));
        match self.random.random_range(0..20) {
            0 => self.in_a_row(Fault::UnknownHost),
            1 => self.in_a_row(Fault::Refused),
            2 => Fault::ResetBefore,
            3 | 4 => Fault::ResetAfter,
            5 => Fault::Ignored,
            6 => Fault::NeverAnswered,
            // A request without a condition that arrives late would undo what was written since, wherever it is sent.
            7 if is_write && is_conditional => Fault::Late(seconds(&mut self.random, 1..40)),
            7 | 8 => Fault::Slow(seconds(&mut self.random, 1..40)),
            9 => self.in_a_row(Fault::Answers(429, "TooManyRequests")),
            10 => self.in_a_row(Fault::Answers(503, "SlowDown")),
            11 => Fault::AsksToWait(503, seconds(&mut self.random, 0..90)),
            12 => Fault::AsksToWaitUntil(seconds(&mut self.random, 0..30)),
            13 => Fault::FailsAfter([500, 502, 503, 504][self.random.random_range(0..4)]),
            14 => Fault::Answers(500, "InternalError"),
            15 if is_conditional => self.in_a_row(Fault::Answers(409, "ConditionalRequestConflict")),
            15 => self.in_a_row(Fault::Answers(400, "ExpiredToken")),
            16 => self.in_a_row(Fault::ClockBehind(Duration::from_secs(1_200))),
            17 => Fault::CutOff,
            18 => [Fault::ResetInBody, Fault::Stalled][self.random.random_range(0..2)],
            _ => [Fault::Trickling, Fault::Endless][usize::from(self.random.random_range(0..4) == 0)],
        }
    }

    fn in_a_row(&mut self, fault: Fault) -> Fault {
        let more = self.random.random_range(0..4);
        self.spell.extend(std::iter::repeat_n(fault, more));
        fault
    }
}
