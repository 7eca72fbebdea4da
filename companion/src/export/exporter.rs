//! The exporter: the driver of the machine that decides which snapshot the manifest names. The snapshot writer does
//! what the machine wants done at the store. This file tells the machine of events, and has the one action that is
//! under way.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::pin::pin;

use futures::FutureExt;
use futures::future::BoxFuture;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::Received;
use lifeboat_core::export::election::{ElectionSetting, Event as ElectionEvent};
use lifeboat_core::export::publisher::{Action, Doubt, Event, Leadership, NewestState, Notice, Publisher, Rules};
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::SnapshotId;
use lifeboat_core::outage::Outages;
use lifeboat_node_cache::{Image, NodePrefix};
use lifeboat_runtime::background::or_pending;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::rng;
use lifeboat_storage::{Fence, StorageError, Tag};
use tokio_util::sync::CancellationToken;

use super::cache_images::{ImageDesk, Offer};
use super::election_driver::{ElectionDriver, ElectionOutput};
use super::mirror::Mirrors;
use super::newest::Line;
use super::observations::ObservationReceiver;
use super::pruner::Pruner;
use super::schemas::{FetchedSchemas, NotKept, SchemaIntake, fetched};
use super::snapshot_writer::SnapshotWriter;
use super::store_outage::StoreOutage;
use super::{BackupNode, CacheImages, Newest, SchemaFetcher, payload_messages, publication_log, under_way};
use crate::admin::Admin;
use crate::archive::Archive;
use crate::observation::{ExportRecorder, Trace};
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

type Work = BoxFuture<'static, (SnapshotWriter, Result<Event, StorageError>)>;

struct Run {
    publisher: Publisher,
    election: ElectionDriver,
    fence: Fence,
    writer: Option<SnapshotWriter>,
    work: Option<Work>,
    /// What the machine has asked for and is not begun yet.
    next: Option<Action>,
    newest: Newest,
    line: Line,
    rulebook: Option<Rulebook>,
    hearing: Option<ObservationReceiver>,
    images: ImageDesk,
    schemas: SchemaIntake,
    mirrors: Mirrors,
    pruner: Pruner,
    clock: Clock,
    place: String,
    outage: StoreOutage,
    failure: Option<StorageError>,
    /// What this exporter has published last.
    written: Option<ConfigHash>,
    progress: Progress,
    recorder: ExportRecorder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Working,
    /// Nothing is left to write; the election is told.
    Leaving,
    Over,
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

    /// Publishes until it is told to stop; a configuration that is waiting then is still written. It does everything in
    /// this one future: dropping the future stops everything.
    pub async fn run(self, newest: Newest, stop: CancellationToken) {
        let (writer, clock) = (self.writer.expect("it doesn't work yet"), self.clock);
        let (archive, author) = writer.archive_and_author();
        let (fence, version) = (Fence::new(clock), author.version);

        // An exporter that no longer leads deletes nothing either.
        let pruning = archive.clone().fenced(fence.clone());
        let (mirrors, mirroring) = Mirrors::new(&archive, self.others.clone(), &author, &fence, clock, &self.recorder);
        let mut mirroring = pin!(mirroring);

        let mut run = Run {
            publisher: Publisher::new(self.rules, clock.now()),
            election: ElectionDriver::new(archive, self.elsewhere, author, self.election, clock, fence.clone())
                .observed_by(self.recorder.clone())
                .beside(self.outages.another()),
            outage: StoreOutage::new(self.outages.another(), clock),
            place: writer.place().to_owned(),
            writer: Some(writer.mirrored_in(self.others).fenced(fence.clone())),
            pruner: Pruner::new(pruning, version, clock),
            fence,
            work: None,
            next: None,
            newest,
            line: Line::Down,
            rulebook: self.rulebook,
            hearing: self.hearing,
            images: self.images,
            schemas: self.schemas,
            mirrors,
            clock,
            failure: None,
            written: None,
            progress: Progress::Working,
            recorder: self.recorder,
        };

        let mut is_stopping = false;
        while run.progress != Progress::Over {
            run.pruner.received(run.publisher.newest());
            let events = tokio::select! {
                biased;
                // First: what has come before the end is still written.
                events = run.newest.events(&mut run.line) => events,
                outputs = run.election.next() => run.hear(outputs),
                done = under_way(&mut run.work) => vec![run.done(done)],
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    vec![Event::Stop]
                }
                offer = run.images.offered(), if run.writer.is_some() => {
                    run.keep_image(offer);
                    Vec::new()
                }
                fetched = run.schemas.next(), if run.writer.is_some() => {
                    run.keep_schemas(fetched);
                    Vec::new()
                }
                rules = or_pending(run.rulebook.as_mut().map(Rulebook::changed)) => vec![Event::Guard(rules.guard)],
                Some((link, news)) = or_pending(run.hearing.as_mut().map(ObservationReceiver::next)) => {
                    vec![Event::Node(link, news)]
                }
                () = run.pruner.turn() => Vec::new(),
                () = &mut mirroring => unreachable!("it ends with those who tell it what is published"),
                () = or_pending(run.publisher.wake_at().map(|moment| run.clock.reach(moment))) => vec![Event::Tick],
            };
            run.take(events);
            run.recorder.newest_state(run.publisher.newest(), run.publisher.newest_state());
            run.recorder.nodes_differ(run.publisher.nodes_that_differ());
            run.recorder
                .payload(run.publisher.payload_loss().map(|loss| payload_messages::explained(&run.place, &loss)));
        }
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

impl Run {
    /// Tells the machines of events and does what they want.
    fn take(&mut self, events: Vec<Event>) {
        let mut events = VecDeque::from(events);
        while let Some(event) = events.pop_front() {
            if let Event::Received(_) = event
                && self.writer.as_ref().is_some_and(SnapshotWriter::keys_have_changed)
            {
                events.extend(self.handle(Event::KeysChanged));
            }
            if let Some(news) = of_interest_to_the_election(&event) {
                let outputs = self.election.tell(news);
                events.extend(self.hear(outputs));
            }
            events.extend(self.handle(event));
        }
    }

    fn handle(&mut self, event: Event) -> Vec<Event> {
        let mut events = Vec::new();
        for action in self.publisher.handle(event, self.clock.now(), rng::random()) {
            match action {
                Action::Notify(notice) => self.say(notice),
                Action::Reconnect => self.newest.reconnect(),
                Action::Recheck { shown } => {
                    let outputs = self.election.tell(ElectionEvent::Recheck { shown });
                    events.extend(self.hear(outputs));
                }
                // First the publisher, then the election, so that the exporter that takes over finds everything
                // written.
                Action::Finish if self.progress == Progress::Working => {
                    self.progress = Progress::Leaving;
                    let outputs = self.election.tell(ElectionEvent::Stop);
                    events.extend(self.hear(outputs));
                }
                Action::Finish => {}
                action => self.begin(action),
            }
        }
        events
    }

    fn hear(&mut self, outputs: Vec<ElectionOutput>) -> Vec<Event> {
        let mut events = Vec::new();
        for word in outputs {
            match word {
                ElectionOutput::Lead(leadership) => events.push(Event::Leadership(leadership)),
                ElectionOutput::Over => self.progress = Progress::Over,
            }
        }
        events
    }

    // While an image is being kept, what the machine asks for waits.
    fn begin(&mut self, action: Action) {
        let Some(mut writer) = self.writer.take() else {
            self.next = Some(action);
            return;
        };
        self.recorder.attempted();
        self.outage.attempts(&action);
        let work = async move {
            let result = writer.perform(action).await;
            (writer, result)
        };
        self.work = Some(work.boxed());
    }

    // Runs at the store in turn with everything else, but the machine has not asked for it.
    fn keep_image(&mut self, Offer { id, image, answer }: Offer) {
        let mut writer = self.writer.take().expect("it was looked for");
        let work = async move {
            let kept = writer.keep_image(id, image).await;
            let event = if kept.is_ok() { Event::Tick } else { Event::Conflict };
            // The task that offered the image may have ended.
            let _ = answer.send(kept.map(drop));
            (writer, Ok(event))
        };
        self.work = Some(work.boxed());
    }

    // Likewise.
    fn keep_schemas(&mut self, FetchedSchemas { json, answer }: FetchedSchemas) {
        // An exporter that doesn't lead writes nothing; the leader fetches schemas itself.
        if !self.fence.is_open() {
            let _ = answer.send(Ok(false));
            return;
        }
        let mut writer = self.writer.take().expect("it was looked for");
        let work = async move {
            let kept = writer.keep_schemas(json).await;
            let event = if kept.is_ok() { Event::Tick } else { Event::Conflict };
            let _ = answer.send(kept);
            (writer, Ok(event))
        };
        self.work = Some(work.boxed());
    }

    fn done(&mut self, (writer, result): (SnapshotWriter, Result<Event, StorageError>)) -> Event {
        match &result {
            Ok(_) => self.recorder.succeeded(writer.published()),
            Err(error) => self.recorder.failed(error),
        }

        let event = match result {
            Ok(event) => {
                self.outage.succeeded(&self.place);
                if let Event::Written(named) = &event {
                    self.written = Some(named.config_hash);
                    self.pruner.written();
                }
                event
            }
            Err(error @ StorageError::Conflict { .. }) => {
                publication_log::log_failure(&error);
                self.outage.succeeded(&self.place);
                self.recorder.noticed_another_exporter(Trace::Manifest);
                Event::Conflict
            }
            Err(error) => {
                self.failure = Some(error);
                Event::Failed
            }
        };

        self.mirrors.published(writer.current().filter(|_| self.fence.is_open()));
        // Only the leader wants images: it alone can keep them.
        self.images.want(if self.fence.is_open() { writer.lacks_an_image() } else { None });
        self.writer = Some(writer);

        match self.next.take() {
            Some(action) => {
                self.begin(action);
                Event::Tick
            }
            None => event,
        }
    }

    fn say(&mut self, notice: Notice) {
        let newest = self.publisher.newest();
        match notice {
            Notice::Already(hash) => publication_log::log_already(hash),
            Notice::NewestState(NewestState::Published) if newest == self.written => {}
            Notice::NewestState(now) => publication_log::log(newest, &now),
            Notice::PayloadLost(loss) => payload_messages::log_loss(&self.place, &loss),
            Notice::PayloadIsBack => payload_messages::log_back(&self.place),
            Notice::TryingAgain { retry_in } => {
                if let Some(error) = self.failure.take() {
                    self.outage.failed(&self.place, self.publisher.waiting(), &error, retry_in);
                }
            }
        }
    }
}

// Both machines need to know of the same link and the same manifest.
fn of_interest_to_the_election(event: &Event) -> Option<ElectionEvent<Tag>> {
    match event {
        Event::LinkUp => Some(ElectionEvent::LinkUp),
        Event::LinkDown => Some(ElectionEvent::LinkDown),
        Event::Glanced { published: Some(named), .. }
        | Event::Written(named)
        | Event::Looked { published: Some(named), .. } => Some(ElectionEvent::ManifestEpoch(named.epoch)),
        _ => None,
    }
}
