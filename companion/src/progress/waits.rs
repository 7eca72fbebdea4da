//! Steps where there is no terminal: a line in the log once something has kept a command waiting, so that whoever runs it
//! from a script knows for what.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Subscriber, info};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// What is over sooner is not worth a line.
const LONG: Duration = Duration::from_secs(2);
/// How often it is looked at.
const EVERY: Duration = Duration::from_millis(100);

/// Says in the log what a command waits for.
#[derive(Clone, Debug, Default)]
pub struct Waits(Arc<Mutex<Going>>);

#[derive(Debug, Default)]
struct Going {
    /// In the order in which they began.
    steps: Vec<Step>,
    is_watched: bool,
}

#[derive(Debug)]
struct Step {
    id: Id,
    what: String,
    began: Instant,
    was_said: bool,
}

impl Waits {
    fn going(&self) -> MutexGuard<'_, Going> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Going {
    /// What is waited for, if that is to be said now: the innermost of what goes on, once.
    fn due_now(&mut self, now: Instant) -> Option<String> {
        let newest = self.steps.last_mut()?;
        if newest.was_said || now.duration_since(newest.began) < LONG {
            return None;
        }
        newest.was_said = true;
        Some(newest.what.clone())
    }
}

fn watch(watched: &Weak<Mutex<Going>>) {
    loop {
        thread::sleep(EVERY);
        let Some(going) = watched.upgrade() else { return };
        // The log is written after the lock is given back.
        let waited_for = going.lock().unwrap_or_else(PoisonError::into_inner).due_now(Instant::now());
        if let Some(what) = waited_for {
            info!("still waiting after {} s: {what}", LONG.as_secs());
        }
    }
}

impl<S: Subscriber> Layer<S> for Waits {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut what = What::default();
        attributes.record(&mut what);
        let mut going = self.going();
        going.steps.push(Step { id: id.clone(), what: what.0, began: Instant::now(), was_said: false });
        if !std::mem::replace(&mut going.is_watched, true) {
            let watched = Arc::downgrade(&self.0);
            thread::spawn(move || watch(&watched));
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.going().steps.retain(|step| step.id != id);
    }
}

#[derive(Default)]
struct What(String);

impl Visit for What {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "doing" {
            // A key of an object, or an address, whose letters are others' choice.
            self.0 = format!("{value:?}").chars().filter(|c| !c.is_control()).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use lifeboat_runtime::progress::step;

    #[test]
    fn what_is_waited_for_is_said_once_and_only_the_innermost() {
        let waits = Waits::default();
        // Asked by the test, so that nothing depends on time.
        waits.going().is_watched = true;
        let subscriber = tracing_subscriber::registry().with(waits.clone());
        tracing::subscriber::with_default(subscriber, || {
            let later = || Instant::now() + LONG;
            let _verifying = step("verifying");
            let reading = step("reading a\u{1b}[2Jb");
            assert_eq!(waits.going().due_now(Instant::now()), None);
            assert_eq!(waits.going().due_now(later()).as_deref(), Some("reading a[2Jb"));
            assert_eq!(waits.going().due_now(later()), None);
            drop(reading);
            assert_eq!(waits.going().due_now(later()).as_deref(), Some("verifying"));
        });
    }
}
