//! What `release`, `rollback`, `pin` and `unpin` have in common: an operator opens the store, changes what is published, and
//! is told what that means.

use anyhow::Context;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;

use super::configuration::version;
use super::confirm::{Ask, confirm, numbers_that_change, publish_again};
use super::envelope::manifest_of;
use super::{Failure, stdout};
use crate::archive::{Author, Operator, Pick, Published};
use crate::cli::Output;
use crate::export::{BackupNode, mirror_once};
use crate::settings::{ReleaseSettings, Source, StoreSettings, names};

/// The store that an operator decides in, and as whom.
#[derive(Debug)]
pub(super) struct Choice {
    command: &'static str,
    pub(super) archive: Operator,
    pub(super) author: Author,
    store: StoreSettings,
    /// `--storage URL`, if the store was named so: whoever pastes a command needs it, too.
    storage_flag: String,
}

impl Choice {
    /// Opens the store for the version of Kong that was given, or else the only one of which there are backups, for a
    /// command of this name.
    pub(super) async fn open(command: &'static str, source: &Source) -> Result<Self, Failure> {
        let settings = ReleaseSettings::read(source)?;
        let archive = Operator::open_existing(&settings.store).map_err(anyhow::Error::from)?;
        let author = BackupNode::new(version(&archive, settings.version).await?).author();
        let flag = source.get(names::KONG_CLUSTER_FALLBACK_CONFIG_STORAGE.variable()).filter(|given| given.is_argument);
        let storage_flag = flag.map(|given| format!(" {} {}", given.name, given.value)).unwrap_or_default();
        Ok(Self { command, archive, author, store: settings.store, storage_flag })
    }

    /// The archive, once it is known how its store is to be written to.
    pub(super) async fn prepared(&self) -> Result<&Operator, Failure> {
        let prepared = self.archive.prepare_to_write(&self.author).await;
        prepared.map_err(anyhow::Error::from).context("nothing was changed")?;
        Ok(&self.archive)
    }

    /// What is published now, as our keys accept it.
    pub(super) async fn published(&self) -> Result<Option<Manifest>, Failure> {
        let published = self.archive.published(self.version()).await.map_err(anyhow::Error::from)?;
        Ok(published.map(|published| (*published.manifest).clone()))
    }

    /// Says what publishing this snapshot changes, and asks. Gives back what is published before.
    ///
    /// # Errors
    /// There is no such snapshot, or the answer was no.
    pub(super) async fn before_publishing(&self, sequence: u64, ask: Ask) -> Result<Option<Manifest>, Failure> {
        let before = self.published().await?;
        let picked = self.archive.pick(self.version(), Pick::Sequence(sequence)).await;
        let after = picked.map_err(anyhow::Error::from).context("nothing was changed")?.manifest;

        let what = match &before {
            Some(before) => format!(
                "snapshot {sequence} of Kong {} in {} would be published instead of snapshot {}: {}. New nodes are then \
                 restored from it",
                self.version(),
                self.place(),
                before.sequence,
                numbers_that_change(&before.counts, &after.counts)
            ),
            None => format!("snapshot {sequence} of Kong {} in {} would be published", self.version(), self.place()),
        };
        confirm(&what, ask).await?;
        Ok(before)
    }

    /// Prints the command that publishes again what was published before.
    pub(super) fn say_how_to_undo(&self, before: Option<&Manifest>, output: Output) -> Result<(), Failure> {
        before.map_or(Ok(()), |before| self.say_undoing(&publish_again(before), output))
    }

    /// Prints this command, given without `lifeboat`, as the one that takes back what was done. JSON has no place for it.
    pub(super) fn say_undoing(&self, command: &str, output: Output) -> Result<(), Failure> {
        if output == Output::Json {
            return Ok(());
        }
        let line = format!("to undo this: lifeboat {command} --kong-version {}{}", self.version(), self.storage_flag);
        Ok(stdout::line(&line).map_err(anyhow::Error::from)?)
    }

    /// The store's name for people.
    pub(super) fn place(&self) -> &str {
        self.archive.place()
    }

    /// The version of Kong that is decided for.
    pub(super) fn version(&self) -> KongVersion {
        self.author.version
    }

    /// Makes sure that the snapshot which is published now stays so, and prints it: its manifest, or what `text` says of it.
    /// Then other stores get it.
    pub(super) async fn say(
        &self,
        published: &Published,
        output: Output,
        text: impl FnOnce(&Manifest) -> String,
    ) -> Result<(), Failure> {
        let manifest: &Manifest = &published.manifest;
        let text = match output {
            Output::Json => manifest_of(self.command, manifest),
            Output::Table => text(manifest),
        };
        self.archive.look_again(self.version(), published).await.map_err(anyhow::Error::from)?;
        stdout::line(&text).map_err(anyhow::Error::from)?;
        mirror_once(&self.archive, &self.store, &self.author).await;
        Ok(())
    }
}
