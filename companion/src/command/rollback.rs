//! `lifeboat rollback`: an operator chooses an older snapshot to be published.

use anyhow::Context;
use lifeboat_runtime::clock::Clock;

use super::Failure;
use super::choice::Choice;
use super::confirm::Ask;
use crate::archive::Stay;
use crate::cli::Output;
use crate::settings::Source;

/// Publishes an old snapshot as a new one that stays.
pub async fn rollback(
    source: &Source,
    sequence: u64,
    stay: Stay,
    ask: Ask,
    output: Output,
    clock: Clock,
) -> Result<(), Failure> {
    let choice = Choice::open("rollback", source).await?;
    let before = choice.before_publishing(sequence, ask).await?;

    let chosen = choice.prepared().await?.roll_back(&choice.author, sequence, stay, clock.wall()).await;
    let chosen = chosen.map_err(anyhow::Error::from).context("nothing was changed")?;
    let until = match stay {
        Stay::UntilItChanges => "until the control plane's configuration changes",
        Stay::UntilUnpinned => "until lifeboat unpin",
    };
    choice
        .say(&chosen, output, |manifest| {
            format!(
                "snapshot {sequence} of Kong {} is published as snapshot {}, configuration {}, in {}. New nodes are \
                 restored from it {until}",
                choice.version(),
                manifest.sequence,
                manifest.config_hash,
                choice.place()
            )
        })
        .await?;
    choice.say_how_to_undo(before.as_ref(), output)
}
