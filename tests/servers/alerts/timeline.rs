//! What was scraped, laid out on a time of Prometheus' own: each minute one sample of each series, for as long as a state is
//! to last. Which alerts fire at which minute, promtool says.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Deref;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use lifeboat_tests::page::Page;
use serde_json::{Value, json};

use super::super::installed::of_repository;

/// Where there is no sample in promtool's notation.
const NOTHING: &str = "_";

/// What `/metrics` said, and when.
pub(super) struct Scrape {
    page: Page,
    at: SystemTime,
}

impl Scrape {
    /// Said a moment ago.
    pub(super) fn of(page: Page) -> Self {
        Self { page, at: SystemTime::now() }
    }

    /// As it was said.
    pub(super) fn text(&self) -> &str {
        &self.page.body
    }

    // Each series as Prometheus would name it, with its number in seconds since the scrape where that is a time.
    fn samples(&self, instance: &str) -> impl Iterator<Item = (String, f64)> {
        let at = self.at.duration_since(UNIX_EPOCH).expect("the clock was set").as_secs_f64();
        self.page.series().map(move |(series, number)| {
            let number: f64 = number.parse().expect("a sample is a number");
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let comma = if labels == "}" { "" } else { "," };
            let number = if name.ends_with("_timestamp_seconds") { number - at } else { number };
            (format!("{name}{{instance=\"{instance}\"{comma}{labels}"), number)
        })
    }
}

impl Deref for Scrape {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

/// A course of events.
#[derive(Default)]
pub(super) struct Timeline {
    minutes: u64,
    /// When the state that lasts now has begun.
    since: u64,
    series: BTreeMap<String, Vec<String>>,
    fires: Vec<(u64, Vec<String>)>,
}

impl Timeline {
    /// From now on these instances, and no others, are as they were when they were scraped, for so many minutes.
    pub(super) fn holds(&mut self, scrapes: &[(&str, &Scrape)], minutes: u64) {
        self.since = self.minutes;
        self.goes_on(scrapes, minutes);
    }

    /// The state that lasts goes on: times lie ever further back.
    pub(super) fn goes_on(&mut self, scrapes: &[(&str, &Scrape)], minutes: u64) {
        for (instance, scrape) in scrapes {
            for (series, number) in scrape.samples(instance) {
                let number = if is_time(&series) { number + (self.since * 60) as f64 } else { number };
                for minute in self.minutes..self.minutes + minutes {
                    self.set(&series, minute, number);
                }
            }
        }
        self.minutes += minutes;
    }

    /// What an instance counted between two scrapes, it counts in each of the minutes that follow.
    pub(super) fn grows(&mut self, instance: &str, earlier: &Scrape, later: &Scrape, minutes: u64) {
        let before: BTreeMap<String, f64> = earlier.samples(instance).collect();
        for (series, number) in later.samples(instance) {
            let counts = series.split('{').next().is_some_and(|name| name.ends_with("_total"));
            let grows_by = if counts { number - before.get(&series).copied().unwrap_or(number) } else { 0.0 };
            let begin = if is_time(&series) { number + (self.minutes * 60) as f64 } else { number };
            for passed in 0..minutes {
                self.set(&series, self.minutes + passed, begin + grows_by * passed as f64);
            }
        }
        self.minutes += minutes;
    }

    /// By now exactly these alerts fire.
    pub(super) fn fires(&mut self, alerts: &[&str]) {
        self.fires.push((self.minutes - 1, alerts.iter().map(ToString::to_string).collect()));
    }

    /// Asks promtool.
    ///
    /// # Panics
    /// When it says otherwise: with what fires instead.
    #[track_caller]
    pub(super) fn check(&self) {
        if let Err(says) = self.verdict() {
            panic!("{says}");
        }
    }

    /// What promtool says if it disagrees.
    pub(super) fn verdict(&self) -> Result<(), String> {
        let series: Vec<Value> = self.series.iter().map(|(series, values)| self.input(series, values)).collect();
        let asked: Vec<Value> = self.fires.iter().map(|(minute, alerts)| expected(*minute, alerts)).collect();
        let test = json!({ "interval": "1m", "input_series": series, "promql_expr_test": asked });
        let rules = of_repository("deploy/prometheus/lifeboat.rules.yml").canonicalize().expect("the rules are there");
        let file = json!({ "rule_files": [rules], "evaluation_interval": "1m", "tests": [test] });
        // YAML takes JSON as it is.
        let mut written = tempfile::Builder::new().suffix(".yml").tempfile().expect("there is room");
        written.write_all(file.to_string().as_bytes()).expect("there is room");
        promtool(&["test", "rules", written.path().to_str().expect("its name is plain")], "")
    }

    fn input(&self, series: &str, values: &[String]) -> Value {
        let mut values = values.to_vec();
        values.resize(self.minutes as usize, NOTHING.to_owned());
        json!({ "series": series, "values": values.join(" ") })
    }

    fn set(&mut self, series: &str, minute: u64, number: f64) {
        let values = self.series.entry(series.to_owned()).or_default();
        values.resize(minute as usize, NOTHING.to_owned());
        values.push(number.to_string());
    }
}

fn is_time(series: &str) -> bool {
    series.split('{').next().is_some_and(|name| name.ends_with("_timestamp_seconds"))
}

fn expected(minute: u64, alerts: &[String]) -> Value {
    let samples: Vec<Value> =
        alerts.iter().map(|alert| json!({ "labels": format!("{{alertname=\"{alert}\"}}"), "value": 1 })).collect();
    json!({
        "expr": "group by (alertname) (ALERTS{alertstate=\"firing\"})",
        "eval_time": format!("{minute}m"),
        "exp_samples": samples,
    })
}

/// Runs the promtool that the rules' own tests run.
///
/// # Errors
/// What it says when it isn't content.
pub(super) fn promtool(arguments: &[&str], input: &str) -> Result<(), String> {
    let found = Command::new(of_repository("deploy/prometheus/promtool")).stderr(Stdio::inherit()).output();
    let found = String::from_utf8(found.expect("deploy/prometheus/promtool can be started").stdout);
    let mut command = Command::new(found.expect("paths here are plain text").trim());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("deploy/prometheus/promtool has found it");
    child.stdin.take().expect("it was asked for").write_all(input.as_bytes()).expect("it reads all of it");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    if output.status.success() && !said.contains("no help text") { Ok(()) } else { Err(said) }
}
