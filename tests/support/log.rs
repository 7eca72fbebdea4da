//! What Lifeboat logs in one scenario, at every level, whichever of the scenario's threads logs it. Each scenario sees
//! only its own lines, though all run in one process.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Once};

use tokio::sync::watch;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

thread_local! {
    static CURRENT: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// A scenario's log.
#[derive(Clone, Default)]
pub struct Log(Arc<watch::Sender<String>>);

impl Log {
    /// Takes what this thread logs from now on.
    pub fn attach(&self) {
        static GLOBAL: Once = Once::new();
        GLOBAL.call_once(|| {
            // The store is of the cast: what it sees of a request is not what Lifeboat logs.
            let all_but_the_store =
                Targets::new().with_default(LevelFilter::TRACE).with_target("s3s", LevelFilter::OFF);
            let log = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(OfThisThread);
            let subscriber = tracing_subscriber::registry().with(all_but_the_store).with(log);
            tracing::subscriber::set_global_default(subscriber).expect("nobody else sets one in these tests");
        });
        CURRENT.set(Some(self.clone()));
    }

    /// The log of the scenario that runs in this thread.
    ///
    /// # Panics
    /// Outside a scenario.
    pub fn current() -> Self {
        CURRENT.with_borrow(Clone::clone).expect("only scenarios have a log")
    }

    /// All lines so far.
    pub fn text(&self) -> String {
        self.0.borrow().clone()
    }

    /// Which lines have this in them.
    pub fn lines_with(&self, part: &str) -> Vec<String> {
        self.0.borrow().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// Waits until a line has all of these parts, and returns it. There is no time-out: the scenario has one.
    pub async fn wait_for(&self, parts: &[&str]) -> String {
        let found =
            |text: &str| text.lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned);
        let mut lines = self.0.subscribe();
        let text = lines.wait_for(|text| found(text).is_some()).await.expect("the sender is in self");
        found(&text).expect("it has just been found")
    }

    /// Waits until this many lines have this in them.
    pub async fn wait_for_count(&self, part: &str, count: usize) {
        let mut lines = self.0.subscribe();
        let enough = |text: &String| text.lines().filter(|line| line.contains(part)).count() >= count;
        lines.wait_for(enough).await.expect("the sender is in self");
    }
}

struct OfThisThread;

impl MakeWriter<'_> for OfThisThread {
    type Writer = Writer;

    fn make_writer(&self) -> Writer {
        Writer(CURRENT.with_borrow(Clone::clone))
    }
}

struct Writer(Option<Log>);

// One call is one event: what formats it writes it whole.
impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(Log(text)) = &self.0 {
            text.send_modify(|text| text.push_str(&String::from_utf8_lossy(line)));
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
