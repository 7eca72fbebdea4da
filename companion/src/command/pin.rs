//! `lifeboat pin` and `lifeboat unpin`: an operator makes what is published stay, and takes that back.

use anyhow::Context;
use lifeboat_core::manifest::Pin;
use lifeboat_runtime::clock::Clock;

use super::Failure;
use super::choice::Choice;
use super::confirm::{Ask, confirm};
use crate::archive::ChoiceError;
use crate::cli::Output;
use crate::settings::Source;

/// Makes what is published stay, or the snapshot with this sequence, until it is unpinned.
pub async fn pin(
    source: &Source,
    sequence: Option<u64>,
    ask: Ask,
    output: Output,
    clock: Clock,
) -> Result<(), Failure> {
    let choice = Choice::open("pin", source).await?;
    let before = choice.published().await?;
    let another = sequence.filter(|asked| before.as_ref().is_none_or(|before| before.sequence != *asked));
    match (another, &before) {
        (Some(another), _) => drop(choice.before_publishing(another, ask).await?),
        (None, Some(before)) => {
            let what = format!(
                "snapshot {} of Kong {} in {} would stay published, whatever the control plane sends, until lifeboat unpin",
                before.sequence,
                choice.version(),
                choice.place()
            );
            confirm(&what, ask).await?;
        }
        // There is nothing to pin, which is said below.
        (None, None) => {}
    }

    let pinned = choice.prepared().await?.pin(&choice.author, sequence, clock.wall()).await;
    let pinned = pinned.map_err(anyhow::Error::from).context("nothing was pinned")?;
    choice
        .say(&pinned, output, |manifest| {
            let (version, published) = (choice.version(), manifest.sequence);
            let pinned = match another {
                Some(asked) => {
                    format!("snapshot {asked} of Kong {version} is published as snapshot {published} and pinned")
                }
                None => format!("snapshot {published} of Kong {version} is pinned"),
            };
            format!(
                "{pinned} in {}, configuration {}. New nodes are restored from it, and exporters publish nothing else, \
                 whatever the control plane sends, until lifeboat unpin",
                choice.place(),
                manifest.config_hash,
            )
        })
        .await?;

    match before {
        Some(before) if another.is_none() && before.pin.is_none() => choice.say_undoing("unpin", output),
        before => choice.say_how_to_undo(before.as_ref(), output),
    }
}

/// Ends the pin of what is published.
pub async fn unpin(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let choice = Choice::open("unpin", source).await?;
    let before = choice.published().await?;
    let unpinned = match choice.prepared().await?.unpin(&choice.author, clock.wall()).await {
        Err(error @ ChoiceError::NotPinned { .. }) => return Err(Failure::NothingToDo(error.to_string())),
        unpinned => unpinned.map_err(anyhow::Error::from).context("nothing was changed")?,
    };
    choice
        .say(&unpinned, output, |manifest| {
            format!(
                "snapshot {} of Kong {} is not pinned any more in {}: an exporter replaces it by what the control plane \
                 sends, within a few minutes",
                manifest.sequence,
                choice.version(),
                choice.place()
            )
        })
        .await?;

    // A pin until unpinned can be set again on the very snapshot, one until a change only by publishing it once more.
    match before {
        Some(before) if before.pin == Some(Pin::Unpin) => choice.say_undoing("pin", output),
        before => choice.say_how_to_undo(before.as_ref(), output),
    }
}
