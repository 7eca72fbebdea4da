//! The exporter: what it is made of, and how it exports one configuration that a control plane was asked for. A machine
//! in `core` decides which snapshot the manifest names, and the snapshot writer does what the machine wants done at the
//! store.

mod run;

use std::path::PathBuf;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::Received;
use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::export::publisher::{Action, Doubt, Event, Leadership, NewestState, Publisher, Rules};
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::SnapshotId;
use lifeboat_core::outage::Outages;
use lifeboat_node_cache::{Image, NodePrefix};
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::rng;
use lifeboat_storage::StorageError;

use super::cache_images::ImageDesk;
use super::observations::ObservationReceiver;
use super::schemas::{NotKept, SchemaIntake, fetched};
use super::snapshot_writer::SnapshotWriter;
use super::{BackupNode, CacheImages, SchemaFetcher, publication_log};
use crate::admin::Admin;
use crate::archive::Archive;
use crate::observation::ExportRecorder;
use crate::settings::{Rulebook, StoreSettings};

/// Publishes what is received.
#[derive(Debug)]
pub struct Exporter {
    /// `None` while it works: then the work under way has it.
    writer: Option<SnapshotWriter>,
    rules: Rules,
    /// Where the rules change, such as how much a configuration may lose; none if they can't change while this runs.
    rulebook: Option<Rulebook>,
    election: ElectionSetting,
    /// Where the election is held, if not with the backups.
    elsewhere: Option<Archive>,
    hearing: Option<ObservationReceiver>,
    images: ImageDesk,
    schemas: SchemaIntake,
    others: Vec<StoreSettings>,
    /// Of the first store.
    outages: Outages,
    clock: Clock,
    recorder: ExportRecorder,
}

/// What became of a configuration that was exported once.
#[derive(Clone, Debug)]
pub enum Exported {
    /// It was published now.
    New(Manifest),
    /// It was the published one already; nothing was written.
    Already(Manifest),
}

/// Why a configuration that was exported once is not the published one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It may not be published now.
    #[error("configuration {hash} is not published: {}", .state.reason())]
    NotPublished {
        /// Kong's name for it.
        hash: ConfigHash,
        /// Why.
        state: NewestState,
    },
}

impl Exported {
    /// The manifest that names the configuration.
    pub fn manifest(&self) -> &Manifest {
        let (Self::New(manifest) | Self::Already(manifest)) = self;
        manifest
    }

    /// Whether it was published now.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }

    /// The same manifest, for a caller that has published it again with more in it.
    pub fn manifest_mut(&mut self) -> &mut Manifest {
        let (Self::New(manifest) | Self::Already(manifest)) = self;
        manifest
    }
}

impl Exporter {
    /// An exporter of what `node` receives.
    pub fn new(archive: Archive, node: &BackupNode, rules: Rules, clock: Clock) -> Self {
        let writer = SnapshotWriter::new(archive, node.author(), clock);
        let (election, recorder) = (ElectionSetting::Auto, ExportRecorder::new(node.version, clock));
        let (images, schemas) = (ImageDesk::default(), SchemaIntake::default());

        Self {
            writer: Some(writer),
            rules,
            rulebook: None,
            election,
            elsewhere: None,
            hearing: None,
            images,
            schemas,
            others: Vec::new(),
            outages: Outages::default(),
            clock,
            recorder,
        }
    }

    /// The same, but it records there what happens.
    pub fn observed_by(self, recorder: ExportRecorder) -> Self {
        let writer = self.writer.map(|writer| writer.observed_by(recorder.clone()));
        Self { writer, recorder, ..self }
    }

    /// The same, as one of several exporters, which elect a leader.
    pub fn electing(self, election: ElectionSetting) -> Self {
        Self { election, ..self }
    }

    /// The same, but its election is held in this store, if one is given.
    pub fn electing_in(self, elsewhere: Option<Archive>) -> Self {
        Self { elsewhere, ..self }
    }

    /// The same, but `rulebook` says how much a configuration may lose, from the next decision on.
    pub fn ruled_by(self, rulebook: Rulebook) -> Self {
        Self { rulebook: Some(rulebook), ..self }
    }

    /// The same, told by the relay of this process what nodes run.
    pub fn hearing(self, hearing: ObservationReceiver) -> Self {
        Self { hearing: Some(hearing), ..self }
    }

    /// The same, but it also copies what it publishes to these stores, after the first one has it.
    pub fn mirrored_in(self, others: Vec<StoreSettings>) -> Self {
        Self { others, ..self }
    }

    /// Takes images of the cache of the node on `prefix` for what this publishes, working below `temporary`.
    pub fn images_of(&self, prefix: NodePrefix, temporary: PathBuf) -> CacheImages {
        let version = self.writer.as_ref().expect("it doesn't work yet").version();
        self.images.images(prefix, version, temporary, self.clock)
    }

    /// Fetches the control plane's schemas for what this publishes. A failure that comes from the control plane is
    /// logged with the others in `control_plane`.
    pub fn schemas_from(&self, admin: Admin, control_plane: &Outages) -> SchemaFetcher {
        let version = self.writer.as_ref().expect("it doesn't work yet").version();
        self.schemas.fetcher(admin, version, self.clock).beside(control_plane, &self.outages)
    }

    /// Keeps an image with what was exported, if it is of that, and gives the manifest that names it.
    pub async fn keep_image(&mut self, id: SnapshotId, image: Image) -> Result<Option<Manifest>, StorageError> {
        self.writer.as_mut().expect("it works only in `run`").keep_image(id, image).await
    }

    /// Keeps the schemas of the control plane that has this Admin API with what was exported, and gives the manifest that
    /// names them.
    pub async fn keep_schemas(&mut self, admin: &Admin) -> Result<Option<Manifest>, NotKept> {
        let json = fetched(admin).await?;
        let writer = self.writer.as_mut().expect("it works only in `run`");
        writer.keep_schemas(json).await?;
        Ok(writer.published().cloned())
    }

    /// Publishes one configuration that a control plane was asked for. Writes nothing if that is the published one
    /// already, sealed and signed with the present keys.
    ///
    /// # Errors
    /// [`ExportError::NotPublished`] when it is held, or an operator has pinned another one.
    pub async fn export(&mut self, received: &Received) -> Result<Exported, ExportError> {
        let writer = self.writer.as_mut().expect("it works only in `run`");
        let rules = Rules { doubt: Doubt::Nothing, ..self.rules };

        let mut publisher = Publisher::new(rules, self.clock.now());
        let first =
            [Event::Leadership(Leadership::Alone), Event::LinkUp, Event::Received(received.clone()), Event::Stop];
        let mut actions = Vec::new();
        for event in first {
            actions.extend(publisher.handle(event, self.clock.now(), rng::random()));
        }

        let mut is_new = false;
        while let Some(action) = actions.pop() {
            match action {
                Action::Notify(_) | Action::Reconnect | Action::Recheck { .. } | Action::Finish => {}
                action => {
                    let publishes = matches!(action, Action::Publish { .. });
                    if !matches!(action, Action::Glance | Action::Look | Action::ReadBack) {
                        writer.probe().await?;
                    }
                    let event = writer.perform(action).await.inspect_err(publication_log::log_failure)?;
                    is_new |= publishes;
                    actions.extend(publisher.handle(event, self.clock.now(), rng::random()));
                }
            }
        }

        match (publisher.newest_state(), writer.published()) {
            (NewestState::Published, Some(manifest)) if is_new => Ok(Exported::New(manifest.clone())),
            (NewestState::Published, Some(manifest)) => Ok(Exported::Already(manifest.clone())),
            (state, _) => Err(ExportError::NotPublished { hash: received.config_hash, state }),
        }
    }
}
