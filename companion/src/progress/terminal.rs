//! Steps on a terminal: one line below the log, once something has taken longer than a second, and gone when it is over.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{DecimalBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Context;

/// What is over sooner is not worth a look.
const LONG: Duration = Duration::from_secs(1);
/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(100);
/// Between two steps of one command there may be nothing to say for so long.
const PAUSE: Duration = Duration::from_millis(500);

/// Shows steps on the terminal that standard error is.
#[derive(Clone)]
pub struct Terminal(Arc<Mutex<Shown>>);

#[derive(Default)]
struct Shown {
    /// In the order in which they began.
    steps: Vec<(Id, Doing)>,
    /// When something began, after nothing had gone on.
    busy_since: Option<Instant>,
    idle_since: Option<Instant>,
    line: Option<ProgressBar>,
    is_drawn_by_somebody: bool,
}

/// A step, as it was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Doing {
    what: String,
    counts_bytes: bool,
    done: u64,
    of: Option<u64>,
}

impl Terminal {
    /// If standard error is one that can take a line back.
    pub fn of_standard_error() -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        (stderr().is_terminal() && !is_dumb).then(|| Self(Arc::default()))
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: &Id, doing: Doing) {
        let mut shown = self.shown();
        shown.steps.push((id.clone(), doing));
        let now = Instant::now();
        shown.goes_on(now);
        if !shown.is_drawn_by_somebody {
            shown.is_drawn_by_somebody = true;
            let watched = Arc::downgrade(&self.0);
            thread::spawn(move || draw_now_and_then(&watched));
        }
    }
}

fn draw_now_and_then(watched: &Weak<Mutex<Shown>>) {
    loop {
        thread::sleep(EVERY);
        let Some(shown) = watched.upgrade() else { return };
        shown.lock().unwrap_or_else(PoisonError::into_inner).draw(Instant::now());
    }
}

impl Shown {
    fn goes_on(&mut self, now: Instant) {
        if self.idle_since.take().is_some_and(|idle| now.duration_since(idle) > PAUSE) {
            self.busy_since = None;
        }
        self.busy_since.get_or_insert(now);
    }

    /// At once, since what comes next may be a result on the same terminal.
    fn ends(&mut self, id: &Id, now: Instant) {
        self.steps.retain(|(other, _)| other != id);
        if self.steps.is_empty() {
            self.idle_since = Some(now);
            if let Some(line) = self.line.take() {
                line.finish_and_clear();
            }
        }
    }

    fn draw(&mut self, now: Instant) {
        let Some(elapsed) = self.busy_since.map(|since| now.duration_since(since)) else { return };
        if self.steps.is_empty() || elapsed < LONG {
            return;
        }
        let counted = self.steps.iter().map(|(_, doing)| doing).find(|doing| doing.of.is_some_and(|of| of > 0));
        let (length, position) = counted.map_or((None, 0), |doing| (doing.of, doing.done));
        let (style, message) = (style(counted), self.message());
        let line = self.line.get_or_insert_with(|| {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            line.with_style(style.clone()).with_message(message.clone()).with_elapsed(elapsed)
        });
        line.set_style(style);
        match length {
            Some(length) => line.set_length(length),
            None => line.unset_length(),
        }

        line.set_position(position);
        line.set_message(message);
        line.tick();
    }

    fn message(&self) -> String {
        let mut has_bar = false;
        self.steps.iter().fold(String::new(), |mut text, (_, doing)| {
            let comma = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{comma}{}", doing.what);
            match doing.of {
                // Beside the bar.
                Some(of) if of > 0 && !has_bar => has_bar = true,
                Some(of) if doing.counts_bytes => {
                    let _ = write!(text, " ({} of {})", DecimalBytes(doing.done), DecimalBytes(of));
                }
                Some(of) => {
                    let _ = write!(text, " ({} of {of})", doing.done);
                }
                None => {}
            }
            text
        })
    }
}

// Without colours: what moves is seen anyway.
fn style(counted: Option<&Doing>) -> ProgressStyle {
    let template = match counted {
        None => "{spinner} {elapsed} {wide_msg}",
        Some(Doing { counts_bytes: true, .. }) => {
            "{spinner} {elapsed} [{bar:16}] {decimal_bytes} of {decimal_total_bytes} {wide_msg}"
        }
        Some(_) => "{spinner} {elapsed} [{bar:16}] {pos} of {len} {wide_msg}",
    };
    ProgressStyle::with_template(template).expect("these are valid").progress_chars("=> ").tick_chars("|/-\\ ")
}

impl<S: Subscriber> Layer<S> for Terminal {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        let mut doing = Doing::default();
        attributes.record(&mut doing);
        self.begin(id, doing);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some((_, doing)) = self.shown().steps.iter_mut().find(|(other, _)| other == id) {
            values.record(doing);
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.shown().ends(&id, Instant::now());
    }
}

impl Visit for Doing {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "done" => self.done = value,
            "of" => self.of = Some(value),
            _ => {}
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "bytes" {
            self.counts_bytes = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "doing" {
            // A key of an object, or an address, whose letters are others' choice.
            self.what = format!("{value:?}").chars().filter(|c| !c.is_control()).collect();
        }
    }
}

/// Where the log goes: to standard error, above the line that is drawn.
#[derive(Clone)]
pub struct LogWriter(pub Option<Terminal>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            None => stderr().write(bytes),
            Some(terminal) => {
                let shown = terminal.shown();
                match &shown.line {
                    Some(line) => line.suspend(|| stderr().write(bytes)),
                    None => stderr().write(bytes),
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use lifeboat_runtime::progress::{step, transfer};

    fn watched(work: impl FnOnce(&Terminal)) {
        let terminal = Terminal(Arc::default());
        // Drawn by the test, so that nothing depends on time.
        terminal.shown().is_drawn_by_somebody = true;
        let subscriber = tracing_subscriber::registry().with(terminal.clone());
        tracing::subscriber::with_default(subscriber, || work(&terminal));
    }

    #[test]
    fn steps_are_shown_in_the_order_in_which_they_began_until_they_end() {
        watched(|terminal| {
            let verifying = step("verifying");
            let reading = transfer(format_args!("reading {}", "a\u{1b}[2Jb"));
            assert_eq!(terminal.shown().message(), "verifying, reading a[2Jb");
            reading.reached(1_000_000, 58_000_000);
            assert_eq!(terminal.shown().message(), "verifying, reading a[2Jb");
            verifying.reached(3, 7);
            assert_eq!(terminal.shown().message(), "verifying, reading a[2Jb (1.00 MB of 58.00 MB)");
            drop(reading);
            assert_eq!(terminal.shown().message(), "verifying");
            drop(verifying);
            assert!(terminal.shown().steps.is_empty());
        });
    }

    #[test]
    fn only_what_takes_longer_than_a_second_is_drawn_and_pauses_between_steps_count() {
        watched(|terminal| {
            let began = Instant::now();
            let first = step("first");
            terminal.shown().draw(began + LONG / 2);
            assert!(terminal.shown().line.is_none());
            drop(first);
            let second = step("second");
            terminal.shown().draw(began + 2 * LONG);
            assert!(terminal.shown().line.is_some());
            drop(second);
            assert!(terminal.shown().line.is_none(), "it stays on the terminal");

            // As if nothing had been done for long.
            terminal.shown().idle_since = began.checked_sub(2 * PAUSE);
            let third = step("third");
            terminal.shown().draw(Instant::now());
            assert!(terminal.shown().line.is_none());
            drop(third);
        });
    }
}
