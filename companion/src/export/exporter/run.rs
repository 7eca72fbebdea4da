//! The driver of the exporter while it runs: it tells the machine of events, and has the one action that is under way.

use std::collections::VecDeque;
use std::pin::pin;

use futures::FutureExt;
use futures::future::BoxFuture;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::election::Event as ElectionEvent;
use lifeboat_core::export::publisher::{Action, Event, NewestState, Notice, Publisher};
use lifeboat_runtime::background::or_pending;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::rng;
use lifeboat_storage::{Fence, StorageError, Tag};
use tokio_util::sync::CancellationToken;

use super::Exporter;
use crate::export::cache_images::{ImageDesk, Offer};
use crate::export::election_driver::{ElectionDriver, ElectionOutput};
use crate::export::mirror::Mirrors;
use crate::export::newest::Line;
use crate::export::observations::ObservationReceiver;
use crate::export::pruner::Pruner;
use crate::export::schemas::{FetchedSchemas, SchemaIntake};
use crate::export::snapshot_writer::SnapshotWriter;
use crate::export::store_outage::StoreOutage;
use crate::export::{Newest, payload_messages, publication_log, under_way};
use crate::observation::{ExportRecorder, Trace};
use crate::settings::Rulebook;

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

impl Exporter {
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
            run.show();
        }
    }
}

impl Run {
    // Tells the machines of events and does what they want.
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

    fn show(&self) {
        let (publisher, recorder) = (&self.publisher, &self.recorder);
        recorder.newest_state(publisher.newest(), publisher.newest_state());
        recorder.nodes_differ(publisher.nodes_that_differ());
        recorder.payload(publisher.payload_loss().map(|loss| payload_messages::explained(&self.place, &loss)));
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
