//! `lifeboat release`: publishes a snapshot that was held.

use anyhow::Context;
use lifeboat_runtime::clock::Clock;

use super::Failure;
use super::choice::Choice;
use super::confirm::Ask;
use crate::archive::ReleaseError;
use crate::cli::Output;
use crate::settings::Source;

/// Publishes the held snapshot with this sequence, or else the newest held one.
pub async fn release(
    source: &Source,
    sequence: Option<u64>,
    ask: Ask,
    output: Output,
    clock: Clock,
) -> Result<(), Failure> {
    let choice = Choice::open("release", source).await?;
    let sequence = choice.archive.held_sequence(&choice.author, sequence).await.map_err(not_released)?;
    let before = choice.before_publishing(sequence, ask).await?;

    // What was said is what is released, also if something else was held meanwhile.
    let released = choice.prepared().await?.release(&choice.author, Some(sequence), clock.wall()).await;
    let released = released.map_err(not_released)?;
    choice
        .say(&released, output, |manifest| {
            format!(
                "released configuration {} of Kong {} as snapshot {} in {}: {}, {}. New nodes are restored from it from now \
                 on",
                manifest.config_hash,
                choice.version(),
                manifest.sequence,
                choice.place(),
                manifest.counts.services(),
                manifest.counts.routes(),
            )
        })
        .await?;
    choice.say_how_to_undo(before.as_ref(), output)
}

fn not_released(error: ReleaseError) -> Failure {
    match error {
        ReleaseError::NothingHeld { .. } => Failure::NothingToDo(error.to_string()),
        error => Failure::Failed(Err::<(), _>(error).context("nothing was released").unwrap_err()),
    }
}
