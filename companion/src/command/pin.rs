//! `lifeboat pin` and `lifeboat unpin`: an operator makes what is published stay, and takes that back.

use anyhow::Context;

use super::choice::Choice;
use super::{Failure, Output};
use crate::clock::Clock;
use crate::settings::Source;

/// Makes what is published stay, or the snapshot with this sequence, until it is unpinned.
pub async fn pin(source: &Source, sequence: Option<u64>, output: Output, clock: Clock) -> Result<(), Failure> {
    let choice = Choice::open(source).await?;
    let pinned = choice.archive.pin(&choice.author, sequence, clock.wall()).await;
    let pinned = pinned.map_err(anyhow::Error::from).context("nothing was pinned")?;
    choice.say(&pinned, output, |manifest| {
        let (version, published) = (choice.version(), manifest.sequence);
        let pinned = match sequence.filter(|asked| *asked != published) {
            Some(asked) => format!("snapshot {asked} of Kong {version} is published as snapshot {published} and pinned"),
            None => format!("snapshot {published} of Kong {version} is pinned"),
        };
        format!(
            "{pinned} in {}, configuration {}. New nodes are restored from it, and exporters publish nothing else, whatever \
             the control plane sends, until lifeboat unpin",
            choice.place(),
            manifest.config_hash,
        )
    })
    .await
}

/// Ends the pin of what is published.
pub async fn unpin(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let choice = Choice::open(source).await?;
    let unpinned = choice.archive.unpin(&choice.author, clock.wall()).await;
    let unpinned = unpinned.map_err(anyhow::Error::from).context("nothing was changed")?;
    choice.say(&unpinned, output, |manifest| {
        format!(
            "snapshot {} of Kong {} is not pinned any more in {}: an exporter replaces it by what the control plane sends, \
             within a few minutes",
            manifest.sequence,
            choice.version(),
            choice.place()
        )
    })
    .await
}
