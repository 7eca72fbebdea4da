//! What a configuration costs by its size: the most memory and the processor time that the program takes to export it, to
//! restore a node from it, to import, to compare and to verify it, for 1, 10, 100 and 500 MB of JSON.
//!
//! Run by `cargo bench -p lifeboat-tests --no-default-features --bench sizes`, with sizes after `--` for some of them; the
//! largest needs some 5 GB of memory and several minutes. The configurations are consumers with two keys each. Every figure is one
//! process's: memory is `VmHWM`, processor time that of all its threads, so neither depends much on what else the machine
//! does. Ends with an error if a limit is not kept.

mod report;
mod stage;

use std::process::ExitCode;
use std::time::Duration;

use self::report::Report;
use self::stage::{Given, Stage};

/// Megabytes of JSON, and how many consumers make them.
const SIZES: [(&str, usize); 4] = [("1", 1_900), ("10", 19_000), ("100", 190_000), ("500", 1_000_000)];
/// Longer than a relay goes by what it has fetched.
const FETCHED_ANEW: Duration = Duration::from_secs(6);
/// Nothing that is measured takes nearly as long.
const HUNG: Duration = Duration::from_secs(15 * 60);

fn main() -> ExitCode {
    tokio::runtime::Runtime::new().expect("a runtime can be started").block_on(measure())
}

async fn measure() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |size: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == size);
    let mut report = Report::default();
    for (size, consumers) in SIZES {
        if is_wanted(size) {
            of_size(consumers, &mut report).await;
        }
    }
    report.verdict()
}

async fn of_size(consumers: usize, report: &mut Report) {
    let stage = Stage::begin().await;
    let first = Given::generate(consumers, 1);
    stage.push(&first);

    let exporter = stage.exporter();
    exporter.says_within(HUNG, &format!("published configuration {}", first.hash)).await;
    report.begin(&first, stage.program_itself().await);
    report.exporter("an exporter publishes the first", exporter.usage().expect("it runs"));

    let (relay, address) = stage.relay().await;
    report.relay_begins(relay.usage().expect("it runs"));
    let _node = stage.restored(address, &first).await;
    report.relay("a relay that restores a node", relay.usage().expect("it runs"));

    let second = Given::generate(consumers, 2);
    let before = exporter.usage().expect("it runs").processor;
    stage.push(&second);
    exporter.says_within(HUNG, &format!("published configuration {}", second.hash)).await;
    report.exporter("an exporter publishes the next", exporter.usage().expect("it runs").since(before));
    drop(exporter);

    let before = relay.usage().expect("it runs").processor;
    // What a relay has fetched just now, it gives to whoever comes soon.
    tokio::time::sleep(FETCHED_ANEW).await;
    let _another = stage.restored(address, &second).await;
    report.relay_that_fetches("a relay that fetches a newer one", relay.usage().expect("it runs").since(before));
    drop(relay);

    report.difference("`lifeboat diff`", stage.command(["diff", "1", "2", "--output", "json"]).await);
    report.command("`lifeboat verify`", stage.command(["verify"]).await);
    // Of this Kong the cache is made of the configuration itself.
    report.command("`lifeboat export`, once", stage.export_once(&first).await);
    report.command("`lifeboat import`", stage.import().await);
}
