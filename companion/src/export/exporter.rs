//! The exporter: the driver of the machine that decides which snapshot the manifest names. What it wants done at the store
//! is the clerk's; here are the events that it is told of, and the one thing that is under way.

use std::collections::VecDeque;
use std::future::pending;
use std::path::PathBuf;
use std::pin::pin;

use futures::FutureExt;
use futures::future::BoxFuture;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::Received;
use lifeboat_core::export::election::{ElectionSetting, Event as ElectionEvent};
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Action, Doubt, Event, Leadership, NewestState, Notice, Publisher, Rules};
use lifeboat_core::manifest::Manifest;
use lifeboat_core::object_key::SnapshotId;
use lifeboat_core::outage::Outages;
use lifeboat_node_cache::{Image, NodePrefix};
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
use super::{BackupNode, CacheImages, Newest, SchemaFetcher, lost_payload, publication_log};
use crate::admin::Admin;
use crate::archive::Archive;
use crate::observation::{ExportRecorder, Trace};
use crate::settings::{Rulebook, StoreSettings};

/// Publishes what is received.
#[derive(Debug)]
pub struct Exporter {
    /// Not here while it works.
    clerk: Option<SnapshotWriter>,
    rules: Rules,
    /// Where what a configuration may lose changes, if it can while this works.
    rulebook: Option<Rulebook>,
    election: ElectionSetting,
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
    keeper: Publisher,
    campaign: ElectionDriver,
    fence: Fence,
    clerk: Option<SnapshotWriter>,
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
    thinner: Pruner,
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
    /// The manifest that names it.
    pub fn manifest(&self) -> &Manifest {
        let (Self::New(manifest) | Self::Already(manifest)) = self;
        manifest
    }

    /// Whether it was published now.
    pub fn is_new(&self) -> bool {
        matches!(self, Self::New(_))
    }

    /// The same manifest, for who has published it with more.
    pub fn manifest_mut(&mut self) -> &mut Manifest {
        let (Self::New(manifest) | Self::Already(manifest)) = self;
        manifest
    }
}

impl Exporter {
    /// An exporter of what `node` receives.
    pub fn new(archive: Archive, node: &BackupNode, rules: Rules, clock: Clock) -> Self {
        let clerk = SnapshotWriter::new(archive, node.author(), clock);
        let (election, recorder) = (ElectionSetting::Auto, ExportRecorder::new(node.version, clock));
        let (images, schemas) = (ImageDesk::default(), SchemaIntake::default());
        Self {
            clerk: Some(clerk),
            rules,
            rulebook: None,
            election,
            hearing: None,
            images,
            schemas,
            others: Vec::new(),
            outages: Outages::default(),
            clock,
            recorder,
        }
    }

    /// The same, which tells there what happens.
    pub fn observed_by(self, recorder: ExportRecorder) -> Self {
        let clerk = self.clerk.map(|clerk| clerk.observed_by(recorder.clone()));
        Self { clerk, recorder, ..self }
    }

    /// The same, one of several of which one leads.
    pub fn electing(self, election: ElectionSetting) -> Self {
        Self { election, ..self }
    }

    /// The same, for which what a configuration may lose is what is said there, from the next decision on.
    pub fn ruled_by(self, rulebook: Rulebook) -> Self {
        Self { rulebook: Some(rulebook), ..self }
    }

    /// The same, told by the relay of this process what nodes run.
    pub fn hearing(self, hearing: ObservationReceiver) -> Self {
        Self { hearing: Some(hearing), ..self }
    }

    /// The same, which also gives these stores what it publishes, after the first one has it.
    pub fn mirrored_in(self, others: Vec<StoreSettings>) -> Self {
        Self { others, ..self }
    }

    /// Who takes images of the cache of the node on `prefix` for what this publishes, working below `temporary`.
    pub fn images_of(&self, prefix: NodePrefix, temporary: PathBuf) -> CacheImages {
        let version = self.clerk.as_ref().expect("it doesn't work yet").version();
        self.images.images(prefix, version, temporary, self.clock)
    }

    /// Who fetches the control plane's schemas for what this publishes. What fails with the control plane is said there.
    pub fn schemas_from(&self, admin: Admin, control_plane: &Outages) -> SchemaFetcher {
        let version = self.clerk.as_ref().expect("it doesn't work yet").version();
        self.schemas.fetcher(admin, version, self.clock).beside(control_plane, &self.outages)
    }

    /// Keeps an image with what was exported, if it is of that, and gives the manifest that names it.
    pub async fn keep_image(&mut self, id: SnapshotId, image: Image) -> Result<Option<Manifest>, StorageError> {
        self.clerk.as_mut().expect("it works only in `run`").keep_image(id, image).await
    }

    /// Keeps the schemas of the control plane that has this Admin API with what was exported, and gives the manifest that
    /// names them.
    pub async fn keep_schemas(&mut self, admin: &Admin) -> Result<Option<Manifest>, NotKept> {
        let json = fetched(admin).await?;
        let clerk = self.clerk.as_mut().expect("it works only in `run`");
        clerk.keep_schemas(json).await?;
        Ok(clerk.published().cloned())
    }

    /// Publishes until it is told to stop; what is waiting then is still written. All that it does is done in this one
    /// future: who drops it has stopped it.
    pub async fn run(self, newest: Newest, stop: CancellationToken) {
        let (clerk, clock) = (self.clerk.expect("it doesn't work yet"), self.clock);
        let (archive, author) = clerk.desk();
        let (fence, version) = (Fence::new(clock), author.version);

        // Who no longer leads deletes nothing either.
        let thinning = archive.clone().fenced(fence.clone());
        let (mirrors, mirroring) = Mirrors::new(&archive, self.others.clone(), &author, &fence, clock, &self.recorder);
        let mut mirroring = pin!(mirroring);

        let mut run = Run {
            keeper: Publisher::new(self.rules, clock.now()),
            campaign: ElectionDriver::new(archive, author, self.election, clock, fence.clone())
                .observed_by(self.recorder.clone())
                .beside(self.outages.another()),
            outage: StoreOutage::new(self.outages.another(), clock),
            place: clerk.place().to_owned(),
            clerk: Some(clerk.mirrored_in(self.others).fenced(fence.clone())),
            thinner: Pruner::new(thinning, version, clock),
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
            run.thinner.received(run.keeper.newest());
            let events = tokio::select! {
                biased;
                // First: what has come before the end is still written.
                events = run.newest.events(&mut run.line) => events,
                words = run.campaign.next() => run.hear(words),
                done = under_way(&mut run.work) => vec![run.done(done)],
                () = stop.cancelled(), if !is_stopping => {
                    is_stopping = true;
                    vec![Event::Stop]
                }
                offer = run.images.offered(), if run.clerk.is_some() => {
                    run.keep_image(offer);
                    Vec::new()
                }
                fetched = run.schemas.next(), if run.clerk.is_some() => {
                    run.keep_schemas(fetched);
                    Vec::new()
                }
                guard = changed(&mut run.rulebook) => vec![Event::Guard(guard)],
                Some((link, news)) = heard(&mut run.hearing) => vec![Event::Node(link, news)],
                () = run.thinner.turn() => Vec::new(),
                () = &mut mirroring => unreachable!("it ends with those who tell it what is published"),
                () = wake(run.clock, &run.keeper) => vec![Event::Tick],
            };
            run.take(events);
            run.recorder.newest_state(run.keeper.newest(), run.keeper.newest_state());
            run.recorder.nodes_differ(run.keeper.nodes_that_differ());
            run.recorder.payload(run.keeper.payload_loss().map(|loss| lost_payload::explained(&run.place, &loss)));
        }
    }

    /// Publishes one configuration that somebody has asked a control plane for, unless it is the published one already,
    /// sealed and signed as it would be now.
    ///
    /// # Errors
    /// [`ExportError::NotPublished`] when it is held, or an operator has pinned another one.
    pub async fn export(&mut self, received: &Received) -> Result<Exported, ExportError> {
        let clerk = self.clerk.as_mut().expect("it works only in `run`");
        let rules = Rules { doubt: Doubt::Nothing, ..self.rules };

        let mut keeper = Publisher::new(rules, self.clock.now());
        let first =
            [Event::Leadership(Leadership::Alone), Event::LinkUp, Event::Received(received.clone()), Event::Stop];
        let mut actions = Vec::new();
        for event in first {
            actions.extend(keeper.handle(event, self.clock.now(), rng::random()));
        }

        let mut is_new = false;
        while let Some(action) = actions.pop() {
            match action {
                Action::Notify(_) | Action::Reconnect | Action::Recheck { .. } | Action::Finish => {}
                action => {
                    let publishes = matches!(action, Action::Publish { .. });
                    if !matches!(action, Action::Glance | Action::Look | Action::ReadBack) {
                        clerk.probe().await?;
                    }
                    let event = clerk.perform(action).await.inspect_err(publication_log::log_failure)?;
                    is_new |= publishes;
                    actions.extend(keeper.handle(event, self.clock.now(), rng::random()));
                }
            }
        }

        match (keeper.newest_state(), clerk.published()) {
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
                && self.clerk.as_ref().is_some_and(SnapshotWriter::keys_have_changed)
            {
                events.extend(self.handle(Event::KeysChanged));
            }
            if let Some(news) = of_interest_to_the_election(&event) {
                let words = self.campaign.tell(news);
                events.extend(self.hear(words));
            }
            events.extend(self.handle(event));
        }
    }

    fn handle(&mut self, event: Event) -> Vec<Event> {
        let mut events = Vec::new();
        for action in self.keeper.handle(event, self.clock.now(), rng::random()) {
            match action {
                Action::Notify(notice) => self.say(notice),
                Action::Reconnect => self.newest.reconnect(),
                Action::Recheck { shown } => {
                    let words = self.campaign.tell(ElectionEvent::Recheck { shown });
                    events.extend(self.hear(words));
                }
                // First the keeper, then the election: who waits to take over finds everything written.
                Action::Finish if self.progress == Progress::Working => {
                    self.progress = Progress::Leaving;
                    let words = self.campaign.tell(ElectionEvent::Stop);
                    events.extend(self.hear(words));
                }
                Action::Finish => {}
                action => self.begin(action),
            }
        }
        events
    }

    fn hear(&mut self, words: Vec<ElectionOutput>) -> Vec<Event> {
        let mut events = Vec::new();
        for word in words {
            match word {
                ElectionOutput::Lead(leadership) => events.push(Event::Leadership(leadership)),
                ElectionOutput::Over => self.progress = Progress::Over,
            }
        }
        events
    }

    // While an image is being kept, what the machine asks for waits.
    fn begin(&mut self, action: Action) {
        let Some(mut clerk) = self.clerk.take() else {
            self.next = Some(action);
            return;
        };
        self.recorder.attempted();
        self.outage.attempts(&action);
        let work = async move {
            let result = clerk.perform(action).await;
            (clerk, result)
        };
        self.work = Some(work.boxed());
    }

    // At the store like everything else, and nothing that the machine has asked for.
    fn keep_image(&mut self, Offer { id, image, answer }: Offer) {
        let mut clerk = self.clerk.take().expect("it was looked for");
        let work = async move {
            let kept = clerk.keep_image(id, image).await;
            let event = if kept.is_ok() { Event::Tick } else { Event::Conflict };
            // Who offered it may have ended.
            let _ = answer.send(kept.map(drop));
            (clerk, Ok(event))
        };
        self.work = Some(work.boxed());
    }

    // Likewise.
    fn keep_schemas(&mut self, FetchedSchemas { json, answer }: FetchedSchemas) {
        // Whoever doesn't lead writes nothing: whoever does fetches them too.
        if !self.fence.is_open() {
            let _ = answer.send(Ok(false));
            return;
        }
        let mut clerk = self.clerk.take().expect("it was looked for");
        let work = async move {
            let kept = clerk.keep_schemas(json).await;
            let event = if kept.is_ok() { Event::Tick } else { Event::Conflict };
            let _ = answer.send(kept);
            (clerk, Ok(event))
        };
        self.work = Some(work.boxed());
    }

    fn done(&mut self, (clerk, result): (SnapshotWriter, Result<Event, StorageError>)) -> Event {
        match &result {
            Ok(_) => self.recorder.succeeded(clerk.published()),
            Err(error) => self.recorder.failed(error),
        }

        let event = match result {
            Ok(event) => {
                self.outage.succeeded(&self.place);
                if let Event::Written(named) = &event {
                    self.written = Some(named.config_hash);
                    self.thinner.written();
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

        self.mirrors.published(clerk.current().filter(|_| self.fence.is_open()));
        // Who doesn't lead would take images for nothing.
        self.images.want(if self.fence.is_open() { clerk.lacks_an_image() } else { None });
        self.clerk = Some(clerk);

        match self.next.take() {
            Some(action) => {
                self.begin(action);
                Event::Tick
            }
            None => event,
        }
    }

    fn say(&mut self, notice: Notice) {
        let newest = self.keeper.newest();
        match notice {
            Notice::Already(hash) => publication_log::log_already(hash),
            Notice::NewestState(NewestState::Published) if newest == self.written => {}
            Notice::NewestState(now) => publication_log::log(newest, &now),
            Notice::PayloadLost(loss) => lost_payload::log_loss(&self.place, &loss),
            Notice::PayloadIsBack => lost_payload::log_back(&self.place),
            Notice::TryingAgain { retry_in } => {
                if let Some(error) = self.failure.take() {
                    self.outage.failed(&self.place, self.keeper.waiting(), &error, retry_in);
                }
            }
        }
    }
}

// Both machines go by the same link and the same manifest.
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

async fn under_way(work: &mut Option<Work>) -> (SnapshotWriter, Result<Event, StorageError>) {
    match work {
        Some(future) => {
            let done = future.await;
            *work = None;
            done
        }
        None => pending().await,
    }
}

async fn heard(hearing: &mut Option<ObservationReceiver>) -> Option<super::observations::Testimony> {
    match hearing {
        Some(ObservationReceiver(receiver)) => receiver.recv().await,
        None => pending().await,
    }
}

async fn changed(rulebook: &mut Option<Rulebook>) -> ShrinkGuard {
    match rulebook {
        Some(rulebook) => rulebook.changed().await.guard,
        None => pending().await,
    }
}

async fn wake(clock: Clock, keeper: &Publisher) {
    match keeper.wake_at() {
        Some(moment) => clock.reach(moment).await,
        None => pending().await,
    }
}
