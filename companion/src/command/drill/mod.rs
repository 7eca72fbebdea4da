//! `lifeboat drill`: an outage, rehearsed with the settings of `lifeboat run`, while the live relays and exporters go on.

mod report;

use std::io;
use std::path::Path;

use anyhow::Context;
use lifeboat_core::export::drill::DrillOutcome;
use lifeboat_runtime::clock::Clock;

use super::stopped::unless_stopped;
use super::{Failure, stdout};
use crate::cli;
use crate::cli::Output;
use crate::drill::{Drill, Drilled, textfile};
use crate::settings::{DrillSettings, Reader, Source};
use crate::terminal::terminal_width;

/// Rehearses, prints what came of it, and fails afterwards if a node was not restored.
pub async fn drill(source: &Source, asked: &cli::Drill, clock: Clock) -> Result<(), Failure> {
    let settings = DrillSettings::read(source, asked.program())?;
    let drill = Drill::new(settings, clock);

    if let Err(failure) = drill.check_program().await {
        let mut reader = Reader::new(source);
        reader.wrong(format!("--kong: {} ({})", failure.reason, failure.cure));
        return Err(Failure::Settings(reader.into_problems()));
    }
    let drilled = unless_stopped(async {
        let versions = match drill.versions().await {
            Ok(versions) => versions,
            Err(failure) => {
                if let Some(path) = &asked.metrics_file {
                    written(path, textfile::write_failure(path, &failure, clock.wall()))?;
                }
                return Err(anyhow::anyhow!("{} ({})", failure.reason, failure.cure).into());
            }
        };
        Ok(drill.run(&versions).await)
    })
    .await?;

    let text = match asked.output {
        Output::Json => report::as_json(&drilled, clock.wall()),
        Output::Table => report::as_table(&drilled, clock.wall(), terminal_width()),
    };
    stdout::line(&text).map_err(anyhow::Error::from)?;
    if let Some(path) = &asked.metrics_file {
        written(path, textfile::write(path, &drilled))?;
    }
    verdict(&drilled)
}

fn written(path: &Path, result: io::Result<()>) -> anyhow::Result<()> {
    result.with_context(|| format!("--metrics-file: {} can't be written", path.display()))
}

fn verdict(drilled: &Drilled) -> Result<(), Failure> {
    match drilled.outcome() {
        DrillOutcome::Passed => Ok(()),
        DrillOutcome::Inconclusive => {
            Err(anyhow::anyhow!("it could not be told whether a new data plane would be restored").into())
        }
        DrillOutcome::Failed => {
            let failed = drilled.versions.iter().filter(|version| !version.passed()).count();
            Err(anyhow::anyhow!("{failed} of {} versions of Kong could not be restored", drilled.versions.len()).into())
        }
    }
}
