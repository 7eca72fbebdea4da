//! What was measured, as it comes, and whether it is good enough.

use std::process::ExitCode;

use lifeboat_tests::program::Usage;

use super::stage::Given;

/// The most memory, as a multiple of the JSON: of an exporter, and of a comparison, which has two configurations.
const EXPORTER: f64 = 2.5;
const DIFFERENCE: f64 = 3.0;
/// As a multiple of the compressed configuration: of a relay, and of one that has the earlier one while it fetches a newer.
const RELAY: f64 = 1.2;
const RELAY_FETCHING: f64 = 2.2;

/// Below this there are no limits.
const SMALL: f64 = 50e6;

#[derive(Default)]
pub(crate) struct Report {
    /// What the program takes without any configuration, which is most of it for small ones.
    program: f64,
    /// What a relay takes that has served nobody.
    relay: f64,
    json: f64,
    compressed: f64,
    beyond: usize,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
    pub(crate) fn begin(&mut self, given: &Given, program: u64) {
        (self.json, self.compressed) = (given.json as f64, given.compressed() as f64);
        if self.program == 0.0 {
            println!(
                "| JSON | what | at its peak | less the program (or the relay) itself, times | of | limit | processor time | of 100 MB |"
            );
            println!("|---|---|---|---|---|---|---|---|");
        }
        self.program = program as f64;
        let (json, compressed, program) = (self.json / 1e6, self.compressed / 1e6, self.program / 1e6);
        println!("| {json:.0} MB | compressed: {compressed:.1} MB; the program itself: {program:.0} MB | | | | | | |");
    }

    pub(crate) fn exporter(&mut self, what: &str, usage: Usage) {
        self.row(what, usage, (self.program, "JSON", self.json), Some(EXPORTER));
    }

    pub(crate) fn difference(&mut self, what: &str, usage: Usage) {
        self.row(what, usage, (self.program, "JSON", self.json), Some(DIFFERENCE));
    }

    pub(crate) fn command(&mut self, what: &str, usage: Usage) {
        self.row(what, usage, (self.program, "JSON", self.json), None);
    }

    /// That has served nobody yet.
    #[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
    pub(crate) fn relay_begins(&mut self, usage: Usage) {
        self.relay = usage.peak as f64;
        println!("| {:.0} MB | a relay itself: {:.0} MB | | | | | | |", self.json / 1e6, self.relay / 1e6);
    }

    pub(crate) fn relay(&mut self, what: &str, usage: Usage) {
        self.row(what, usage, (self.relay, "compressed", self.compressed), Some(RELAY));
    }

    pub(crate) fn relay_that_fetches(&mut self, what: &str, usage: Usage) {
        self.row(what, usage, (self.relay, "compressed", self.compressed), Some(RELAY_FETCHING));
    }

    #[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
    fn row(&mut self, what: &str, usage: Usage, (itself, unit, bytes): (f64, &str, f64), limit: Option<f64>) {
        let (peak, seconds) = (usage.peak as f64, usage.processor.as_secs_f64());
        let times = (peak - itself) / bytes;
        // Of a small one, buffers are more than the configuration.
        self.beyond += usize::from(limit.is_some_and(|limit| times > limit && self.json > SMALL));

        let (json, peak, limit) = (self.json / 1e6, peak / 1e6, limit.map_or(String::new(), |limit| limit.to_string()));
        let each = seconds / (self.json / 1e8);
        println!(
            "| {json:.0} MB | {what} | {peak:.0} MB | {times:.2} | {unit} | {limit} | {seconds:.2} s | {each:.2} s |"
        );
    }

    pub(crate) fn verdict(&self) -> ExitCode {
        if self.beyond == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
