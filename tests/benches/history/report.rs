//! What was counted, as a table, and whether it grows where it must not.

use std::process::ExitCode;
use std::time::Duration;

use lifeboat_fakes::store::RequestCounts;

/// What something has cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    put: u64,
    list: u64,
    get: u64,
    head: u64,
    delete: u64,
    processor: Duration,
}

/// What was measured with so many snapshots in the history.
pub(crate) struct Measured {
    pub(crate) snapshots: u64,
    pub(crate) start: Cost,
    pub(crate) publication: Cost,
    pub(crate) list: Cost,
    pub(crate) newest: Cost,
    /// Turn by turn, how many were deleted and what that took.
    pub(crate) pruning: Vec<(usize, Cost)>,
}

impl Cost {
    pub(crate) fn new(before: RequestCounts, after: RequestCounts, processor: Duration) -> Self {
        let RequestCounts { put, get, head, list, delete, .. } = after.since(before);
        Self { put, list, get, head, delete, processor }
    }

    /// The median by the number of requests.
    pub(crate) fn median(mut costs: Vec<Self>) -> Self {
        costs.sort_by_key(Self::requests);
        let processor = costs.iter().map(|cost| cost.processor).sum::<Duration>() / costs.len() as u32;
        Self { processor, ..costs[costs.len() / 2] }
    }

    fn requests(&self) -> u64 {
        self.put + self.list + self.get + self.head + self.delete
    }

    fn row(&self, what: &str, with_processor: bool) -> String {
        let Self { put, list, get, head, delete, .. } = self;
        let processor = match with_processor {
            true => format!("{} ms", self.processor.as_millis()),
            false => String::new(),
        };
        format!("| {what} | {} | {list} | {get} | {head} | {put} | {delete} | {processor} |", self.requests())
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
pub(crate) fn begin() {
    println!("| snapshots | what | requests | LIST | GET | HEAD | PUT | DELETE | processor time |");
    println!("|---|---|---|---|---|---|---|---|---|");
}

#[expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]
pub(crate) fn print(measured: Option<&Measured>) {
    let Some(Measured { snapshots, start, publication, list, newest, pruning }) = measured else { return };
    let mut rows = vec![
        start.row("an exporter starts and publishes", true),
        publication.row("one publication", true),
        list.row("`lifeboat list`", true),
        newest.row("`lifeboat list --newest 20`", true),
    ];
    for (turn, (gone, cost)) in pruning.iter().enumerate() {
        rows.push(cost.row(&format!("pruning, turn {}: {gone} deleted", turn + 1), false));
    }
    rows.iter().for_each(|row| println!("| {snapshots} {row}"));
}

/// Whether what must not grow is the same for the longest history as for the shortest.
pub(crate) fn verdict(all: &[Measured]) -> ExitCode {
    let (Some(short), Some(long)) = (all.first(), all.last()) else { return ExitCode::FAILURE };
    let is_independent = |cost: fn(&Measured) -> Cost| {
        let ((short, long), kinds) = ((cost(short), cost(long)), |cost: Cost| (cost.list, cost.get, cost.put));
        kinds(short) == kinds(long)
    };
    let is_good = is_independent(|measured| measured.publication) && is_independent(|measured| measured.newest);
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
