//! The simulated store as it is in itself: at one moment a request takes effect, and what it did is checked at once. How a
//! request gets here and back is in `store`.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::export::election::clearance::Mark;
use lifeboat_core::object_key::ObjectKeys;
use object_store::{PutMode, UpdateVersion};
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::VERSION;
use super::checks::Checks;
use super::clients::{Client, ClientId, Command, Commands, Kind};
use super::faults::{About, Course, Step, Weather};
use super::log::Log;
use super::mutations::Deception;
use super::objects::{Objects, Stored, Tags};
use super::places::{OnePlace, Place};
use super::plan::{Conditions, Deleting, Plan};

/// The store. Clones are one.
#[derive(Clone)]
pub(crate) struct Site {
    begin: Instant,
    state: Arc<Mutex<State>>,
    violated: Arc<Notify>,
}

/// All that is known of the store and of who talks to it.
pub(crate) struct State {
    plan: Plan,
    pub(crate) objects: Objects,
    pub(crate) weather: Weather,
    pub(crate) checks: Checks,
    pub(crate) log: Log,
    pub(crate) deception: Deception,
    clients: Vec<Client>,
    one_place: OnePlace,
    /// Until then nothing arrives at the stores in which only elections are held.
    elections_away_until: Duration,
    /// How many requests have taken effect.
    pub(crate) requests: u64,
    /// When the last of what has gone wrong is over: late requests have arrived, and who stands still goes on.
    aftermath: Duration,
}

/// What is asked of a store.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Get(String),
    Put(String, Bytes, PutMode),
    Delete(String),
    List(String),
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Object(Stored),
    Written(Option<String>),
    Deleted,
    Listed(Vec<(String, Stored)>),
}

/// Why nothing came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    NotFound,
    /// It was to be created and is there.
    AlreadyExists,
    /// It isn't the version that was to be replaced.
    Precondition,
    NotImplemented,
    Forbidden,
    /// Nobody knows.
    Broken,
}

/// A request that has set out.
pub(crate) struct Departure {
    pub(crate) course: Course,
    /// It doesn't: its sender has died before.
    pub(crate) is_last_wish: bool,
}

impl Operation {
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Get(key) | Self::Put(key, ..) | Self::Delete(key) | Self::List(key) => key,
        }
    }

    pub(crate) fn about(&self) -> About {
        match self {
            Self::Get(_) | Self::List(_) => About::Reading,
            Self::Put(key, ..) | Self::Delete(key) if key.contains("/election/") => About::Election,
            Self::Put(key, ..) if *key == ObjectKeys::new(VERSION).election_mark() => About::Mark,
            Self::Put(key, ..) if key.ends_with("/lifeboat/manifest.json") => About::Manifest,
            Self::Put(..) | Self::Delete(_) => About::Backup,
        }
    }

    pub(crate) fn is_conditional(&self) -> bool {
        matches!(self, Self::Put(_, _, PutMode::Create | PutMode::Update(_)))
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::Get(_) => "get",
            Self::Put(_, _, PutMode::Overwrite) => "put",
            Self::Put(_, _, PutMode::Create) => "create",
            Self::Put(_, _, PutMode::Update(_)) => "swap",
            Self::Delete(_) => "delete",
            Self::List(_) => "list",
        }
    }
}

impl Site {
    /// An empty store.
    pub(crate) fn new(plan: &Plan, random: &mut StdRng) -> Self {
        let state = State {
            plan: plan.clone(),
            objects: Objects::new(if plan.conditions == Conditions::Nameless { Tags::None } else { plan.tags }),
            weather: Weather::new(plan, random),
            checks: Checks::new(plan),
            log: Log::default(),
            deception: Deception::new(plan.mistake),
            clients: Vec::new(),
            one_place: OnePlace::default(),
            elections_away_until: Duration::ZERO,
            requests: 0,
            aftermath: Duration::ZERO,
        };
        Self { begin: Instant::now(), state: Arc::new(Mutex::new(state)), violated: Arc::default() }
    }

    /// The time since the world's begin.
    pub(crate) fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it is locked")
    }

    pub(crate) fn note(&self, line: &str) {
        self.state().log.note(self.now(), line);
    }

    /// Somebody new who talks to the store.
    pub(crate) fn client(&self, name: String, kind: Kind) -> (ClientId, Commands) {
        let mut state = self.state();
        let commands = Commands::default();
        let client = Client {
            name,
            kind,
            commands: commands.clone(),
            place: Place::BesideTheBackups,
            cut_off_until: Duration::ZERO,
            cut_off_from_election_until: Duration::ZERO,
            manifest: None,
        };
        state.clients.push(client);
        (ClientId(state.clients.len() - 1), commands)
    }

    /// For so long none of this client's requests arrives.
    pub(crate) fn cut_off(&self, client: ClientId, length: Duration) {
        self.state().clients[client.0].cut_off_until = self.now() + length;
    }

    /// The same of the stores in which only elections are held.
    pub(crate) fn cut_off_from_election(&self, client: ClientId, length: Duration) {
        self.state().clients[client.0].cut_off_from_election_until = self.now() + length;
    }

    /// For so long nothing arrives there from anybody.
    pub(crate) fn take_elections_away(&self, length: Duration) {
        self.state().elections_away_until = self.now() + length;
    }

    /// This client elects there.
    pub(crate) fn elects_in(&self, client: ClientId, place: Place) {
        let mut state = self.state();
        state.clients[client.0].place = place;
        state.deception.elects_in(client, place);
    }

    /// Somebody has set the same place for all exporters, and deletes a mark that says something else.
    pub(crate) fn elect_only_in(&self, place: Place) {
        let (now, mut state) = (self.now(), self.state());
        let key = ObjectKeys::new(VERSION).election_mark();
        let mark = state.objects.get(&key).and_then(|stored| serde_json::from_slice::<Mark>(&stored.bytes).ok());
        if mark.is_some_and(|mark| mark.storage != place.url()) {
            state.log.note(now, "somebody deletes the mark");
            state.objects.delete(&key, now);
            state.one_place.forget();
        }
    }

    /// When the last of what has gone wrong is over.
    pub(crate) fn aftermath(&self) -> Duration {
        self.state().aftermath
    }

    /// What has gone wrong is not over before that.
    pub(crate) fn lasts_until(&self, moment: Duration) {
        let mut state = self.state();
        state.aftermath = state.aftermath.max(moment);
    }

    /// Ends when something is found to be wrong.
    pub(crate) async fn violation(&self) -> String {
        loop {
            if let Some(violation) = self.state().checks.violation() {
                return violation.to_owned();
            }
            self.violated.notified().await;
        }
    }

    /// A request sets out.
    pub(crate) fn depart(&self, client: ClientId, operation: &Operation) -> Departure {
        let mut state = self.state();
        let departure = state.depart(client, operation, self.now());
        if state.checks.violation().is_some() {
            self.violated.notify_one();
        }
        departure
    }

    /// A request takes effect.
    pub(crate) fn effect(&self, client: ClientId, operation: &Operation, course: &Course) -> Result<Reply, Refusal> {
        let mut state = self.state();
        let result = state.effect(client, operation, course, self.now());
        if state.checks.violation().is_some() {
            self.violated.notify_one();
        }
        result
    }

    /// A lifecycle rule deletes what lies in `election/`.
    pub(crate) fn expire(&self) {
        let (now, mut state) = (self.now(), self.state());
        state.log.note(now, "a lifecycle rule empties election/");
        for place in Place::ALL {
            let folder = format!("{}{}", place.prefix(), ObjectKeys::new(VERSION).election());
            for (key, _) in state.objects.below(&folder, now) {
                state.objects.delete(&key, now);
            }
        }
        state.one_place.emptied(now);
    }
}

impl State {
    fn depart(&mut self, id: ClientId, operation: &Operation, now: Duration) -> Departure {
        let about = operation.about();
        self.comes_from_one_place(id, about, now);
        let client = &self.clients[id.0];
        let is_cut_off = match Place::of(operation.key()) {
            Place::BesideTheBackups => client.cut_off_until > now,
            _ => client.cut_off_from_election_until.max(self.elections_away_until) > now,
        };
        let mut course = if is_cut_off { self.weather.no_way() } else { self.weather.course(about) };
        let mut step = if client.kind == Kind::Exporter { self.weather.step(about) } else { None };
        if let Some(Step::PauseBefore(pause)) = step
            && self.plan.conditions != Conditions::Hold
        {
            step = Some(Step::PauseAfter(pause));
        }
        if let Some(Step::PauseBefore(pause)) = step {
            course.to_store = course.to_store.map(|delay| delay + pause);
        }
        if self.plan.conditions != Conditions::Hold && matches!(about, About::Backup | About::Manifest) {
            self.weather.spare_what_nothing_protects(&mut course);
        }
        if let Some(arrival) = course.to_store.filter(|_| self.weather.is_rough()) {
            self.aftermath = self.aftermath.max(now + arrival + course.again.unwrap_or_default());
        }
        let Some(step) = step else { return Departure { course, is_last_wish: false } };
        let client = &self.clients[id.0];
        self.log.note(now, &format!("{} {step:?}: {} {}", client.name, operation.verb(), operation.key()));
        match step {
            Step::DieBefore | Step::DieAfter => client.commands.give(Command::Die),
            Step::PauseBefore(pause) | Step::PauseAfter(pause) => client.commands.give(Command::Pause(pause)),
        }
        Departure { course, is_last_wish: step == Step::DieBefore }
    }

    // Whoever writes backups has been elected and may lead: its own fence is open as the request sets out.
    fn comes_from_one_place(&mut self, id: ClientId, about: About, now: Duration) {
        let client = &self.clients[id.0];
        let is_backup = matches!(about, About::Backup | About::Manifest);
        if !is_backup || client.kind != Kind::Exporter || self.plan.conditions != Conditions::Hold {
            return;
        }
        if let Err(what) = self.one_place.writes(client.place, now) {
            let what = format!("{}: {what}", client.name);
            self.log.note(now, &format!("WRONG: {what}"));
            self.checks.wrong(what);
        }
    }

    fn effect(
        &mut self,
        id: ClientId,
        operation: &Operation,
        course: &Course,
        now: Duration,
    ) -> Result<Reply, Refusal> {
        let result = match operation {
            Operation::Get(key) => self.get(id, key, now),
            Operation::Put(key, bytes, mode) => self.put(id, key, bytes, mode, course, now),
            Operation::Delete(key) => self.delete(key, now),
            Operation::List(folder) => {
                let lag = self.weather.below(self.plan.listing_lag.as_millis() as u64 + 1);
                Ok(Reply::Listed(self.objects.below(folder, now.saturating_sub(Duration::from_millis(lag)))))
            }
        };
        self.requests += 1;
        let refusal = result.as_ref().err();
        self.log.count(&(now, id, operation.verb(), operation.key(), refusal));
        if !matches!(operation.about(), About::Reading | About::Election) {
            let (name, verb, key) = (&self.clients[id.0].name, operation.verb(), operation.key());
            let refusal = refusal.map(|refusal| format!(": {refusal:?}")).unwrap_or_default();
            self.log.note(now, &format!("{name} {verb} {key}{refusal}"));
        }
        result
    }

    fn get(&mut self, id: ClientId, key: &str, now: Duration) -> Result<Reply, Refusal> {
        let found = self.deception.shown(id, key, self.objects.get(key).cloned(), now);
        if key == ObjectKeys::new(VERSION).manifest() {
            self.clients[id.0].manifest = found.as_ref().map(|stored| stored.bytes.clone());
        }
        found.map(Reply::Object).ok_or(Refusal::NotFound)
    }

    fn put(
        &mut self,
        id: ClientId,
        key: &str,
        bytes: &Bytes,
        mode: &PutMode,
        course: &Course,
        now: Duration,
    ) -> Result<Reply, Refusal> {
        let before = self.objects.get(key).cloned();
        let is_exporter = self.clients[id.0].kind == Kind::Exporter;
        let mode = if is_exporter { self.deception.heeded(key, mode) } else { mode };
        match (mode, self.plan.conditions) {
            (PutMode::Overwrite, _) | (_, Conditions::Ignored | Conditions::Nameless) => {}
            (_, Conditions::NotImplemented) => return Err(Refusal::NotImplemented),
            (PutMode::Create, Conditions::Hold | Conditions::NamesRefused) if before.is_some() => {
                return Err(Refusal::AlreadyExists);
            }
            (PutMode::Create, Conditions::Hold | Conditions::NamesRefused) => {}
            (PutMode::Update(_), Conditions::NamesRefused) => return Err(Refusal::Precondition),
            (PutMode::Update(UpdateVersion { e_tag, .. }), Conditions::Hold) => {
                if before.as_ref().map(|stored| &stored.tag) != Some(e_tag) {
                    return Err(Refusal::Precondition);
                }
            }
        }
        if is_exporter && let Some(tag) = self.deception.swallowed(id, key, bytes, before.as_ref(), now) {
            return Ok(Reply::Written(tag));
        }

        let written = bytes;
        let bytes = match course.stored {
            super::faults::Stored::Whole => bytes.clone(),
            super::faults::Stored::Damaged => {
                self.log.note(now, &format!("{key} is stored damaged"));
                // What was put back and is put there once more, since the first answer was lost, the store loses again.
                if before.is_some() && key.ends_with(".json.gz") {
                    self.checks.lost(key.to_owned());
                }
                damaged(bytes)
            }
        };
        let tag = self.objects.put(key, bytes.clone(), now);
        if is_exporter && bytes != *written {
            let intended = Stored { bytes: written.clone(), tag: tag.clone(), written: now };
            self.deception.damaged(id, key, intended, &bytes);
        }
        let client = &self.clients[id.0];
        self.checks.written(&self.objects, (id, client), key, before.as_ref(), now, &mut self.log);
        if key == ObjectKeys::new(VERSION).manifest() {
            self.clients[id.0].manifest = Some(bytes);
        }
        Ok(Reply::Written(tag))
    }

    fn delete(&mut self, key: &str, now: Duration) -> Result<Reply, Refusal> {
        match self.plan.deleting {
            Deleting::Denied => Err(Refusal::Forbidden),
            Deleting::Granted => {
                if self.objects.get(key).is_some() {
                    self.objects.delete(key, now);
                    self.checks.deleted(&self.objects, key);
                }
                Ok(Reply::Deleted)
            }
        }
    }
}

fn damaged(bytes: &Bytes) -> Bytes {
    let mut damaged = bytes.to_vec();
    if let Some(byte) = damaged.last_mut() {
        *byte ^= 0x20;
    }
    damaged.into()
}
