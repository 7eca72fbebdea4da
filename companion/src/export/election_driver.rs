//! The driver of the election's machine. It tests the store's conditional writes, and chooses accordingly how a leader
//! is elected. It reads and writes what the machine asks for, and opens and closes the fence of the archive into which
//! the exporter writes.

mod may_lead;

use futures::FutureExt;
use futures::future::BoxFuture;
use lifeboat_core::backoff::Backoff;
use lifeboat_core::export::election::{
    Action, Candidate, ConditionalWrites, DEATH, Election, ElectionSetting, Event, NO_LEASE_RETRY, NoLease, Notice,
    PROBE_RETRY, REQUEST_LIMIT, Strategy,
};
use lifeboat_core::export::publisher::Leadership;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::outage::OutageLog;
use lifeboat_core::time::Moment;
use lifeboat_runtime::background::or_pending;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::rng;
use lifeboat_storage::{Conditions, Fence, Open, Operation, StorageError, Tag};
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use super::clearance::ClearanceDriver;
use super::probing::{Others, Probed, probe, say as say_what_they_are_worth};
use super::under_way;
use crate::archive::{Archive, Author, KnownRegistrations};
use crate::observation::ExportRecorder;

/// How often the test of a store's conditional writes is repeated while it proves nothing. A store that never answers
/// them counts as one without them.
const UNCLEAR_TRIES: u32 = 5;

/// What the election tells the exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ElectionOutput {
    /// Who leads.
    Lead(Leadership),
    /// It has ended, after it was told to stop.
    Over,
}

/// The election as one exporter takes part in it.
pub(super) struct ElectionDriver {
    /// Where the backups are.
    archive: Archive,
    /// Where the election is held.
    home: Archive,
    clearance: ClearanceDriver,
    /// Until when this exporter may lead without asking the store of the backups anew.
    cleared: Open,
    /// A leadership that waits until the store of the backups has cleared it.
    held: Option<Leadership>,
    /// What is to be logged once it leads.
    unsaid: Option<Notice>,
    /// Another store in which the election is held; then this exporter takes part in no election.
    barred: Option<String>,
    is_stopping: bool,
    author: Author,
    setting: ElectionSetting,
    clock: Clock,
    fence: Fence,
    stage: Stage,
    work: Option<BoxFuture<'static, Done>>,
    known: KnownRegistrations,
    /// What happened to the link before the election began.
    link: Option<Event<Tag>>,
    shown: u64,
    /// The election is held up.
    outage: OutageLog,
    /// Whether it was logged that this exporter leads, and it still does.
    has_said_that_it_leads: bool,
    recorder: ExportRecorder,
}

enum Stage {
    Probing {
        backoff: Backoff,
        next: Moment,
    },
    Running(Box<Election<Tag>>),
    /// The election is held elsewhere.
    Barred,
    Over,
}

enum Done {
    Probed(Result<Probed, StorageError>),
    Event(Result<Event<Tag>, StorageError>),
    Registrations(Result<(Event<Tag>, KnownRegistrations), StorageError>),
}

impl ElectionDriver {
    /// Begins when it is asked for its next outputs. `archive` must have no fence. The election is held in `elsewhere`,
    /// or beside the backups.
    pub(super) fn new(
        archive: Archive,
        elsewhere: Option<Archive>,
        author: Author,
        setting: ElectionSetting,
        clock: Clock,
        fence: Fence,
    ) -> Self {
        let own = elsewhere.as_ref().map(|home| home.place().to_owned());
        let clearance = ClearanceDriver::new(archive.clone(), author.version, own, clock);
        let (next, recorder) = (clock.now(), ExportRecorder::new(author.version, clock));
        let stage = Stage::Probing { backoff: PROBE_RETRY, next };

        Self {
            home: elsewhere.unwrap_or_else(|| archive.clone()),
            archive,
            clearance,
            cleared: Open::Never,
            held: None,
            unsaid: None,
            barred: None,
            is_stopping: false,
            author,
            setting,
            clock,
            fence,
            stage,
            work: None,
            known: KnownRegistrations::default(),
            link: None,
            shown: 0,
            outage: OutageLog::default(),
            has_said_that_it_leads: false,
            recorder,
        }
    }

    /// The same, but it records there what happens.
    pub(super) fn observed_by(self, recorder: ExportRecorder) -> Self {
        Self { recorder, ..self }
    }

    /// The same, but its outage is logged together with others of the same cause.
    pub(super) fn beside(self, outage: OutageLog) -> Self {
        Self { outage, ..self }
    }

    /// The next outputs. Loses nothing when it is dropped before it is ready.
    pub(super) async fn next(&mut self) -> Vec<ElectionOutput> {
        let (clock, wake_at) = (self.clock, self.wake_at());
        tokio::select! {
            biased;
            done = under_way(&mut self.work) => self.done(done),
            found = self.clearance.next() => self.found(found),
            () = or_pending(wake_at.map(|moment| clock.reach(moment))) => self.tick(),
        }
    }

    /// Tells of something that happened elsewhere.
    pub(super) fn tell(&mut self, event: Event<Tag>) -> Vec<ElectionOutput> {
        self.is_stopping |= matches!(event, Event::Stop);
        if let Event::LinkUp | Event::LinkDown = event {
            self.link = Some(event.clone());
        }
        if let Stage::Running(_) = self.stage {
            return self.handle(event);
        }
        match event {
            Event::ManifestEpoch(epoch) => self.shown = self.shown.max(epoch),
            Event::Stop => {
                self.stage = Stage::Over;
                self.work = None;
                return vec![ElectionOutput::Over];
            }
            _ => {}
        }
        Vec::new()
    }

    fn wake_at(&self) -> Option<Moment> {
        match &self.stage {
            _ if self.work.is_some() => None,
            Stage::Probing { next, .. } => Some(*next),
            Stage::Running(election) => election.wake_at(),
            Stage::Barred | Stage::Over => None,
        }
    }

    fn tick(&mut self) -> Vec<ElectionOutput> {
        match self.stage {
            Stage::Probing { .. } => {
                let (home, author) = (self.home.clone(), self.author.clone());
                let backups = self.is_elsewhere().then(|| self.archive.clone());
                let probing = async move { Done::Probed(probe(&home, backups.as_ref(), &author).await) };
                self.work = Some(probing.boxed());
                Vec::new()
            }
            Stage::Running(_) => self.handle(Event::Tick),
            Stage::Barred | Stage::Over => Vec::new(),
        }
    }

    fn done(&mut self, done: Done) -> Vec<ElectionOutput> {
        let event = match done {
            Done::Probed(probed) => return self.probed(probed),
            Done::Event(event) => event,
            Done::Registrations(Ok((event, known))) => {
                self.known = known;
                Ok(event)
            }
            Done::Registrations(Err(error)) => Err(error),
        };

        let event = match event {
            Ok(event) => {
                self.goes_on();
                event
            }
            Err(error) => self.failed(&error),
        };
        self.handle(event)
    }

    fn probed(&mut self, probed: Result<Probed, StorageError>) -> Vec<ElectionOutput> {
        let is_elsewhere = self.is_elsewhere();
        let Stage::Probing { backoff, next } = &mut self.stage else { return Vec::new() };
        let place = self.home.place();
        let strategy = match probed {
            // Not yet: an exporter that chose another strategy than the others would lead beside their leader.
            Ok(Probed { conditions, others: Others::Unknown, of_backups })
                if (conditions.are_undecided() || of_backups.as_ref().is_some_and(Conditions::are_undecided))
                    && self.setting != ElectionSetting::None
                    && backoff.failures() < UNCLEAR_TRIES =>
            {
                let wait = backoff.next_wait(rng::random());
                *next = self.clock.now() + wait;
                if let Some(lasted) = self.outage.failed("undecided", self.clock.now()) {
                    warn!(
                        "not publishing yet{lasted}: could not determine whether {place} honours conditional writes \
                         ({conditions}). Trying again in {:.0} s",
                        wait.as_secs_f64()
                    );
                }
                return Vec::new();
            }
            Ok(Probed { conditions, others, of_backups }) => {
                say_what_they_are_worth(place, &conditions);
                if let Some(of_backups) = &of_backups {
                    say_what_they_are_worth(self.archive.place(), of_backups);
                }
                // A lease is worth nothing if the store of the backups lets a former leader write.
                let fences = of_backups.as_ref().is_none_or(Conditions::swap_is_compared);
                let writes = match (conditions.lease_possible() || others == Others::HaveALease) && fences {
                    true => ConditionalWrites::Hold,
                    false => ConditionalWrites::DoNotHold,
                };
                self.setting.choose(writes)
            }
            // The credentials may have rights for the backups alone.
            Err(error @ StorageError::Denied { .. }) if self.setting == ElectionSetting::None => {
                warn!("could not determine whether this store honours conditional writes: {error}");
                Ok(Strategy::Alone)
            }
            Err(error @ StorageError::Denied { .. }) if self.setting == ElectionSetting::Auto && !is_elsewhere => {
                warn!(
                    "no leader can be elected: {error}. This exporter goes on as if it were the only one: give it \
                     that right, or let only one exporter write here and set LIFEBOAT_ELECTION=none"
                );
                Ok(Strategy::Alone)
            }
            Err(error) => {
                self.recorder.election_failed(&error);
                let wait = backoff.next_wait(rng::random());
                *next = self.clock.now() + wait;
                let (attempt, seconds) = (backoff.failures(), wait.as_secs_f64());
                match self.outage.failed(error.class(), self.clock.now()) {
                    Some(lasted) => error!(
                        attempt,
                        store = place,
                        "not publishing yet{lasted}: {error}. Trying again in {seconds:.0} s"
                    ),
                    None => debug!(attempt, store = place, "not publishing yet: {error}"),
                }
                return Vec::new();
            }
        };

        match strategy {
            Ok(strategy) => self.begin(strategy),
            Err(no_lease @ NoLease) => {
                *next = self.clock.now() + NO_LEASE_RETRY;
                if let Some(lasted) = self.outage.failed("no lease", self.clock.now()) {
                    error!("nothing is published to {place}{lasted}: {no_lease}");
                }
                Vec::new()
            }
        }
    }

    fn begin(&mut self, strategy: Strategy) -> Vec<ElectionOutput> {
        self.goes_on();
        self.recorder.elects_by(strategy);
        match strategy {
            Strategy::Lease => info!("the exporter that leads is elected by a lease in {}", self.home.place()),
            Strategy::Registry if self.is_elsewhere() => warn!(
                "the exporter that has been registered longest in {} leads, since conditional writes are missing there or in {}: \
                 two may lead for a short time",
                self.home.place(),
                self.archive.place()
            ),
            Strategy::Registry => warn!(
                "the exporter that has been registered longest in {} leads: this store has no conditional writes that a \
                 lease could rest on, so two may lead for a short time",
                self.archive.place()
            ),
            Strategy::Alone => {}
        }

        let mut election = Election::new(strategy, candidate(&self.author), self.clock.now());
        // Neither has an effect before its first tick.
        let known = self.link.clone().into_iter().chain([Event::ManifestEpoch(self.shown)]);
        let told: Vec<_> = known.flat_map(|event| election.handle(event, self.clock.now(), rng::random())).collect();
        self.stage = Stage::Running(Box::new(election));
        self.act(told)
    }

    fn handle(&mut self, event: Event<Tag>) -> Vec<ElectionOutput> {
        let Stage::Running(election) = &mut self.stage else { return Vec::new() };
        let actions = election.handle(event, self.clock.now(), rng::random());
        self.act(actions)
    }

    fn act(&mut self, actions: Vec<Action<Tag>>) -> Vec<ElectionOutput> {
        let mut outputs = Vec::new();
        for action in actions {
            match action {
                Action::Lead(leadership) => {
                    let leadership = self.cleared(leadership);
                    self.fence.set(Open::from(&leadership));
                    self.recorder.leadership(&leadership);
                    outputs.push(ElectionOutput::Lead(leadership));
                }
                Action::Notify(notice) => {
                    self.say(&notice);
                    match &notice {
                        Notice::Follows { leader: host } | Notice::StepsDown { to: host } => {
                            self.recorder.follows(host)
                        }
                        Notice::LeaderIsDead { .. } => self.recorder.lost_its_leader(),
                        Notice::Leads { .. } | Notice::Deposed => {}
                    }
                }
                Action::Finish if self.barred.is_some() && !self.is_stopping => self.wait_for_the_mark_to_go(),
                Action::Finish => {
                    self.stage = Stage::Over;
                    outputs.push(ElectionOutput::Over);
                }
                action => self.work = Some(self.request(action)),
            }
        }
        outputs
    }

    fn request(&self, action: Action<Tag>) -> BoxFuture<'static, Done> {
        let (archive, version, mut known) = (self.home.clone(), self.author.version, self.known.clone());
        let place = archive.place().to_owned();
        let done = async move {
            match action {
                Action::ReadLease => Done::Event(archive.lease(version).await.map(Event::LeaseFound)),
                Action::WriteLease { record, over } => {
                    Done::Event(match archive.write_lease(version, &record, over).await {
                        Err(StorageError::Conflict { .. }) => Ok(Event::LeaseConflict),
                        written => written.map(Event::LeaseWritten),
                    })
                }
                Action::Register(registration) => {
                    Done::Event(archive.register(version, &registration).await.map(|()| Event::Registered))
                }
                Action::ReadRegistrations => {
                    let read = archive.registrations(version, &mut known).await;
                    Done::Registrations(read.map(|all| (Event::Registrations(all), known)))
                }
                Action::Lead(_) | Action::Notify(_) | Action::Finish => unreachable!("it isn't done at the store"),
            }
        };

        let late = move |_| {
            let (key, what) = (ObjectKeys::new(version).election(), Operation::Get);
            let reason = format!("no answer within {} s", REQUEST_LIMIT.as_secs());
            Done::Event(Err(StorageError::Unavailable { place, key, what, reason }))
        };
        async move { timeout(REQUEST_LIMIT, done).await.unwrap_or_else(late) }.boxed()
    }

    // It is tried again every two seconds.
    fn failed(&mut self, error: &StorageError) -> Event<Tag> {
        self.recorder.election_failed(error);
        let store = self.home.place();
        match self.outage.failed(error.class(), self.clock.now()) {
            Some(lasted) => {
                warn!(store, "the leader can't be elected{lasted}: {error}. It is tried again");
            }
            None => debug!(store, "the leader can't be elected: {error}"),
        }
        Event::Failed
    }

    fn say(&mut self, notice: &Notice) {
        if matches!(notice, Notice::Leads { .. }) && self.cleared == Open::Never {
            self.unsaid = Some(notice.clone());
            return;
        }
        let said = std::mem::replace(&mut self.has_said_that_it_leads, matches!(notice, Notice::Leads { .. }));
        match notice {
            // It has found a higher epoch in the manifest, so its own has grown. That changes nothing for anybody.
            Notice::Leads { epoch } if said => debug!(epoch, "this exporter leads, now in epoch {epoch}"),
            notice => say(notice),
        }
    }

    fn goes_on(&self) {
        // While it may not lead, it is no good news that the election in its own place works again.
        if self.barred.is_some() || self.held.is_some() {
            return;
        }
        self.recorder.election_goes_on();
        if let Some(lasted) = self.outage.works(self.clock.now()) {
            info!(store = self.home.place(), "the leader can be elected again, after {lasted}");
        }
    }
}

fn candidate(author: &Author) -> Candidate {
    Candidate { node_id: author.exporter.node_id.clone(), hostname: author.exporter.hostname.clone() }
}

fn say(notice: &Notice) {
    match notice {
        Notice::Leads { epoch } => info!(epoch, "this exporter leads, in epoch {epoch}: what it receives is published"),
        Notice::Follows { leader } => {
            info!("the exporter on {leader} leads; this one watches and takes over if it ends")
        }
        Notice::LeaderIsDead { leader } => {
            warn!(
                "the exporter on {leader}, which leads, has not renewed its lease for {} s: this exporter takes over",
                DEATH.as_secs()
            );
        }
        Notice::Deposed => warn!("this exporter no longer leads: another one has taken over"),
        Notice::StepsDown { to } => {
            warn!("this exporter reaches no control plane, and leaves the lead to the one on {to}, which does");
        }
    }
}
