//! `lifeboat release`: publishes a snapshot that was held.

use anyhow::Context;

use super::rollback::{open, print};
use super::{Failure, Output};
use crate::clock::Clock;
use crate::settings::Source;

/// Publishes the held snapshot with this sequence, or else the newest held one.
pub async fn release(source: &Source, sequence: Option<u64>, output: Output, clock: Clock) -> Result<(), Failure> {
    let (archive, author) = open(source).await?;
    let released = archive.release(&author, sequence, clock.wall()).await;
    let manifest = released.map_err(anyhow::Error::from).context("nothing was released")?.manifest;
    let text = format!(
        "released configuration {} of Kong {} as snapshot {} in {}: {} services, {} routes. New nodes are restored from it \
         from now on",
        manifest.config_hash,
        manifest.kong_version,
        manifest.sequence,
        archive.place(),
        manifest.counts.get("services"),
        manifest.counts.get("routes"),
    );
    print(&manifest, &text, output)
}
