//! What was measured, as a table, and whether it is good enough.

use std::process::ExitCode;
use std::time::Duration;

use super::steps::Steps;

/// Publishing may take this often what a bare PUT and a bare GET take …
const LIMIT: f64 = 2.0;
/// … and this much more.
const ALLOWANCE: Duration = Duration::from_millis(20);

/// One round of one size.
pub(crate) struct Measured {
    /// Bytes of JSON.
    pub(crate) json: u64,
    /// Bytes as they are stored.
    pub(crate) payload: u64,
    /// From the push until the manifest names it.
    pub(crate) published: Duration,
    /// A bare PUT.
    pub(crate) put: Duration,
    /// A bare GET.
    pub(crate) get: Duration,
    /// What the program said meanwhile.
    pub(crate) steps: Steps,
}

/// All rounds of one size.
#[derive(Default)]
pub(crate) struct Size(Vec<Measured>);

impl Size {
    pub(crate) fn add(&mut self, measured: Measured) {
        self.0.push(measured);
    }

    fn median(&self, time: impl Fn(&Measured) -> Duration) -> f64 {
        median(self.0.iter().map(time).collect())
    }

    /// How often publishing, less the allowance, takes what the bare requests take.
    fn ratio(&self) -> f64 {
        let bare = self.median(|round| round.put + round.get);
        (self.median(|round| round.published) - ALLOWANCE.as_secs_f64() * 1e3).max(0.0) / bare
    }

    /// The program's lines in order, with the median of when they came.
    fn steps(&self) -> Vec<(&str, f64)> {
        let Some(first) = self.0.first() else { return Vec::new() };
        let times = |name: &str| {
            let of_round = |round: &Measured| round.steps.0.iter().find(|(other, _)| other == name).map(|(_, at)| *at);
            self.0.iter().filter_map(of_round).collect()
        };
        first.steps.0.iter().map(|(name, _)| (name.as_str(), median(times(name)))).collect()
    }
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
pub(crate) fn print(sizes: &[Size], rounds: usize) -> ExitCode {
    println!("medians of {rounds} interleaved rounds, in milliseconds; fastest in brackets\n");
    println!("| JSON | compressed | published | bare PUT | bare GET | (published - 20 ms) / (PUT + GET) | limit |");
    println!("|---|---|---|---|---|---|---|");
    let megabytes = |bytes: u64| format!("{:.2} MB", bytes as f64 / 1e6);
    for size in sizes {
        let Some(first) = size.0.first() else { continue };
        let time = |time: fn(&Measured) -> Duration| {
            let fastest = size.0.iter().map(time).min().unwrap_or_default();
            format!("{:.1} ({:.1})", size.median(time), fastest.as_secs_f64() * 1e3)
        };
        let (json, payload) = (megabytes(first.json), megabytes(first.payload));
        let (published, put, get) = (time(|round| round.published), time(|round| round.put), time(|round| round.get));
        println!("| {json} | {payload} | {published} | {put} | {get} | {:.2} | {LIMIT} |", size.ratio());
    }
    for size in sizes {
        println!(
            "\n{} of JSON: after the push, the program said",
            megabytes(size.0.first().map_or(0, |first| first.json))
        );
        for (name, at) in size.steps() {
            println!("{at:9.1} ms  {name}");
        }
    }
    let is_good = sizes.iter().all(|size| size.ratio() <= LIMIT);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
