//! What was measured, as it comes, and whether it is good enough.

use std::process::ExitCode;

#[derive(Default)]
pub(crate) struct Report {
    lines: usize,
    beyond: usize,
}

impl Report {
    #[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
    pub(crate) fn add(&mut self, what: &str, value: f64, unit: &str, limit: Option<f64>) {
        if self.lines == 0 {
            println!("| what | measured | limit |\n|---|---|---|");
        }
        self.lines += 1;
        self.beyond += usize::from(limit.is_some_and(|limit| value > limit));
        println!("| {what} | {value:.2} {unit} | {} |", limit.map_or(String::new(), |limit| format!("{limit} {unit}")));
    }

    pub(crate) fn verdict(&self) -> ExitCode {
        if self.beyond == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// The value that so many percent do not exceed; 50 is the median.
pub(crate) fn at_percent(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * percent / 100]
}
