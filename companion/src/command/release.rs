//! `lifeboat release`: publishes a snapshot that was held.

use anyhow::Context;

use super::choice::Choice;
use super::{Failure, Output};
use crate::clock::Clock;
use crate::settings::Source;

/// Publishes the held snapshot with this sequence, or else the newest held one.
pub async fn release(source: &Source, sequence: Option<u64>, output: Output, clock: Clock) -> Result<(), Failure> {
    let choice = Choice::open(source).await?;
    let released = choice.archive.release(&choice.author, sequence, clock.wall()).await;
    let released = released.map_err(anyhow::Error::from).context("nothing was released")?;
    choice.say(&released, output, |manifest| {
        format!(
            "released configuration {} of Kong {} as snapshot {} in {}: {} services, {} routes. New nodes are restored from \
             it from now on",
            manifest.config_hash,
            choice.version(),
            manifest.sequence,
            choice.place(),
            manifest.counts.get("services"),
            manifest.counts.get("routes"),
        )
    })
    .await
}
