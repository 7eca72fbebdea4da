//! `lifeboat rollback` and `lifeboat unpin`: an operator chooses what is published, and takes that back.

use lifeboat_core::manifest::Manifest;

use super::configuration::version;
use super::{Failure, Output, stdout};
use crate::archive::{Archive, Author, Stay};
use crate::clock::Clock;
use crate::keep::BackupNode;
use crate::settings::{ReleaseSettings, Source};

/// Publishes an old snapshot as a new one that stays.
pub async fn rollback(source: &Source, sequence: u64, stay: Stay, output: Output, clock: Clock) -> Result<(), Failure> {
    let (archive, author) = open(source).await?;
    let chosen = archive.roll_back(&author, sequence, stay, clock.wall()).await.map_err(anyhow::Error::from)?;
    let until = match stay {
        Stay::UntilItChanges => "until the control plane's configuration changes",
        Stay::UntilUnpinned => "until lifeboat unpin",
    };
    let manifest = &*chosen.manifest;
    let text = format!(
        "snapshot {sequence} of Kong {} is published as snapshot {}, configuration {}, in {}. New nodes are restored from it \
         {until}",
        manifest.kong_version,
        manifest.sequence,
        manifest.config_hash,
        archive.place()
    );
    print(manifest, &text, output)
}

/// Ends the pin of what is published.
pub async fn unpin(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let (archive, author) = open(source).await?;
    let unpinned = archive.unpin(&author, clock.wall()).await.map_err(anyhow::Error::from)?;
    let manifest = &*unpinned.manifest;
    let text = format!(
        "snapshot {} of Kong {} is not pinned any more in {}: an exporter replaces it by what the control plane sends, \
         within a few minutes",
        manifest.sequence,
        manifest.kong_version,
        archive.place()
    );
    print(manifest, &text, output)
}

/// The store that an operator decides in, and as whom.
pub(super) async fn open(source: &Source) -> Result<(Archive, Author), Failure> {
    let settings = ReleaseSettings::read(source)?;
    let archive = Archive::open(&settings.store).map_err(anyhow::Error::from)?;
    let author = BackupNode::new(version(&archive, settings.version).await?).author();
    Ok((archive, author))
}

/// Says which snapshot is published now.
pub(super) fn print(manifest: &Manifest, text: &str, output: Output) -> Result<(), Failure> {
    let text = match output {
        Output::Json => serde_json::to_string_pretty(manifest).map_err(anyhow::Error::from)?,
        Output::Table => text.to_owned(),
    };
    Ok(stdout::line(&text).map_err(anyhow::Error::from)?)
}
