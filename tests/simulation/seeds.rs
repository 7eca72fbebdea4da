//! Many worlds, on all processors, and what to do with one that has gone wrong: tell how to play it again.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use lifeboat_runtime::lock::Locked;
use tracing::subscriber::{NoSubscriber, with_default};

use super::mutations::Mistake;
use super::world::{Outcome, Tally, play_with};

/// Set to a seed that was printed, to play that world only, with all that its exporters log.
pub(crate) const REPLAY: &str = "LIFEBOAT_SIMULATION_SEED";
/// Set to a number, to play so many worlds.
pub(crate) const SEEDS: &str = "LIFEBOAT_SIMULATION_SEEDS";

/// A world that has gone wrong.
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) what: String,
    pub(crate) log: String,
}

/// What came of many worlds.
pub(crate) struct Played {
    pub(crate) tally: Tally,
    /// The one with the lowest seed of those that were found before all stopped.
    pub(crate) failure: Option<Failure>,
}

impl Failure {
    /// What is wrong, how it came about, and how to see it again.
    pub(crate) fn report(&self) -> String {
        let Self { seed, what, log } = self;
        format!(
            "seed {seed}: {what}\n{log}\nseed {seed}: {what}\nto play it again: {REPLAY}={seed} cargo test -p \
             lifeboat-tests --test simulation in_every_world"
        )
    }
}

/// The number in this variable of the environment.
pub(crate) fn number_in(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Plays the worlds of these seeds until one goes wrong, all with the same mistake or without one.
pub(crate) fn play_all(seeds: Range<u64>, mistake: Option<Mistake>) -> Played {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let failure: Mutex<Option<Failure>> = Mutex::new(None);

    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end || failure.locked().is_some() {
            return;
        }
        match play_quietly(seed, mistake) {
            Ok(played) => *tally.locked() += played,
            Err(found) => {
                let mut failure = failure.locked();
                if failure.as_ref().is_none_or(|other| other.seed > found.seed) {
                    *failure = Some(found);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(work);
        }
    });

    let (tally, failure) = (*tally.locked(), failure.locked().take());
    Played { tally, failure }
}

// Nobody reads what exporters log here, and writing it would take most of the time.
fn play_quietly(seed: u64, mistake: Option<Mistake>) -> Result<Tally, Failure> {
    let play = AssertUnwindSafe(|| play_with(seed, mistake));
    let played = catch_unwind(|| with_default(NoSubscriber::default(), play));
    match played {
        Ok(Outcome { violation: None, tally, .. }) => Ok(tally),
        Ok(Outcome { violation: Some(what), log, .. }) => Err(Failure { seed, what, log: log.short() }),
        Err(panic) => Err(Failure { seed, what: format!("a panic: {}", words(&*panic)), log: String::new() }),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}
