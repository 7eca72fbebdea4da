//! What `release`, `rollback`, `pin` and `unpin` have in common: an operator opens the store, changes what is published, and
//! is told what that means.

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;

use super::configuration::version;
use super::{Failure, Output, stdout};
use crate::archive::{Archive, Author, Published};
use crate::keep::{BackupNode, mirror_once};
use crate::settings::{ReleaseSettings, Source, StoreSettings};

/// The store that an operator decides in, and as whom.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) archive: Archive,
    pub(super) author: Author,
    store: StoreSettings,
}

impl Choice {
    /// Opens the store for the version of Kong that was given, or else the only one of which there are backups.
    pub(super) async fn open(source: &Source) -> Result<Self, Failure> {
        let settings = ReleaseSettings::read(source)?;
        let archive = Archive::open(&settings.store).map_err(anyhow::Error::from)?;
        let author = BackupNode::new(version(&archive, settings.version).await?).author();
        Ok(Self { archive, author, store: settings.store })
    }

    /// The store's name for people.
    pub(super) fn place(&self) -> &str {
        self.archive.place()
    }

    /// The version of Kong that is decided for.
    pub(super) fn version(&self) -> KongVersion {
        self.author.version
    }

    /// Prints which snapshot is published now: its manifest, or what `text` says of it. Then other stores get it.
    pub(super) async fn say(
        &self,
        published: &Published,
        output: Output,
        text: impl FnOnce(&Manifest) -> String,
    ) -> Result<(), Failure> {
        let manifest: &Manifest = &published.manifest;
        let text = match output {
            Output::Json => serde_json::to_string_pretty(manifest).map_err(anyhow::Error::from)?,
            Output::Table => text(manifest),
        };
        stdout::line(&text).map_err(anyhow::Error::from)?;
        mirror_once(&self.archive, &self.store, self.version()).await;
        Ok(())
    }
}
