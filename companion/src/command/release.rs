//! `lifeboat release`: publishes a snapshot that was held.

use anyhow::Context;

use super::configuration::version;
use super::{Failure, Output, stdout};
use crate::archive::Archive;
use crate::clock::Clock;
use crate::keep::BackupNode;
use crate::settings::{ReleaseSettings, Source};

/// Publishes the held snapshot with this sequence, or else the newest held one.
pub async fn release(source: &Source, sequence: Option<u64>, output: Output, clock: Clock) -> Result<(), Failure> {
    let settings = ReleaseSettings::read(source)?;
    let archive = Archive::open(&settings.store).map_err(anyhow::Error::from)?;
    let version = version(&archive, settings.version).await?;
    let author = BackupNode::new(version).author();
    let released = archive.release(&author, sequence, clock.wall()).await;
    let manifest = released.map_err(anyhow::Error::from).context("nothing was released")?.manifest;
    let text = match output {
        Output::Json => serde_json::to_string_pretty(&*manifest).map_err(anyhow::Error::from)?,
        Output::Table => format!(
            "released configuration {} of Kong {} as snapshot {} in {}: {} services, {} routes. New nodes are restored from \
             it from now on",
            manifest.config_hash,
            manifest.kong_version,
            manifest.sequence,
            archive.place(),
            manifest.counts.get("services"),
            manifest.counts.get("routes"),
        ),
    };
    Ok(stdout::line(&text).map_err(anyhow::Error::from)?)
}
