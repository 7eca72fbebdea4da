//! Exporters as processes: the product's own exporter with its link, started, killed, suspended, cut off, told to end and
//! started anew under another id.

use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use lifeboat::archive::Archive;
use lifeboat::export::{BackupNode, Exporter, Newest};
use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_core::time::WallTime;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::Storage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::clients::{ClientId, Command, Commands, Kind};
use super::control_planes::ControlPlanes;
use super::doorway::{over, unknown};
use super::link::Link;
use super::mutations::Mistake;
use super::places::Place;
use super::plan::Plan;
use super::site::Site;
use super::store::Line;
use super::{GUARD, MAX_CONFIG, VERSION};

/// How long the program gives its exporter to end.
const SHUTDOWN: Duration = Duration::from_secs(25);

/// Whether an exporter is there once things go well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lot {
    Survives,
    IsGone,
}

/// A host on which an exporter is run again and again.
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) lot: Lot,
    pub(crate) plan: Plan,
    /// The store as its starts find it, or one of which each start has to find out everything.
    pub(crate) storage: Option<Storage>,
    /// The same of the stores in which only elections are held.
    pub(crate) elsewhere: Vec<(Place, Storage)>,
    pub(crate) site: Site,
    pub(crate) control_planes: Rc<ControlPlanes>,
    /// What its clock on the wall showed at the world's begin.
    pub(crate) wall: WallTime,
    pub(crate) calm: Board<bool>,
    pub(crate) random: StdRng,
}

impl Host {
    /// Runs it for ever.
    pub(crate) async fn live(mut self) {
        self.wait(0..30_000).await;
        let mut starts = 0;
        while self.lot == Lot::Survives || !self.calm.get() {
            starts += 1;
            self.run(format!("{}.{starts}", self.name)).await;
            let is_long = self.random.random_range(0..5) == 0 && !self.calm.get();
            self.wait(if is_long { 20_000..150_000 } else { 500..10_000 }).await;
        }
        std::future::pending().await
    }

    // Ends when the process has.
    async fn run(&mut self, name: String) {
        let (client, commands) = self.site.client(name.clone(), Kind::Exporter);
        self.site.state().deception.goes_by(client, self.wall);
        let place = match self.calm.get() {
            true => self.plan.elections.in_the_end(),
            false => self.plan.elections.of_a_start(&mut self.random),
        };
        self.site.elects_in(client, place);
        let is_cut_off = Board::showing(false);
        let (stop, newest) = (CancellationToken::new(), Newest::default());
        let clock = Clock::simulated(self.wall + self.site.now());
        let exporter = self.exporter(&name, client, place, clock);
        let random = StdRng::seed_from_u64(self.random.random());
        let (control_planes, calm) = (self.control_planes.clone(), self.calm.clone());
        let link = Link {
            control_planes,
            newest: newest.clone(),
            site: self.site.clone(),
            random,
            is_cut_off: is_cut_off.clone(),
            calm,
            mistake: self.plan.mistake,
        };
        // What ends first is the exporter: its link never does.
        let line = Line { site: self.site.clone(), client };
        let mut process: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
        process.push(Box::pin(over(line, exporter.run(newest, stop.clone()))));
        process.push(Box::pin(link.run()));
        let random = StdRng::seed_from_u64(self.random.random());
        let (site, calm) = (self.site.clone(), self.calm.clone());
        let is_to_go = self.lot == Lot::IsGone || place != self.plan.elections.in_the_end();
        let is_apart = !self.plan.elections.are_all_beside_the_backups();
        let commands_to = commands.clone();
        let trouble = Trouble { client, commands: commands_to, site, is_cut_off, calm, is_to_go, is_apart, random };
        let mut trouble = Box::pin(trouble.come());
        self.site.note(&format!("{name} starts and elects in {}", place.url()));
        let mut deadline = None;
        loop {
            tokio::select! {
                biased;
                command = commands.next() => match command {
                    Command::Die => return self.site.note(&format!("{name} is killed")),
                    Command::Stop => {
                        self.site.note(&format!("{name} is told to end"));
                        stop.cancel();
                        deadline = Some(Instant::now() + SHUTDOWN);
                    }
                    Command::Pause(length) => {
                        self.site.note(&format!("{name} stands still for {length:?}"));
                        self.site.lasts_until(self.site.now() + length);
                        sleep(length).await;
                        self.site.note(&format!("{name} goes on"));
                    }
                },
                _ = process.next() => return self.site.note(&format!("{name} has ended")),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return self.site.note(&format!("{name} has not ended in time"));
                }
                () = &mut trouble => {}
            }
        }
    }

    fn exporter(&self, name: &str, client: ClientId, place: Place, clock: Clock) -> Exporter {
        let storage = self.storage.clone().unwrap_or_else(|| unknown(Place::BesideTheBackups));
        let archive = Archive::over(storage, MAX_CONFIG).with_history(self.plan.history);
        // As a UUID is written.
        let id = format!("00000000-0000-4000-8000-{:012x}", client.0);
        let node = BackupNode { id, hostname: name.to_owned(), version: VERSION };
        let guard = if self.plan.mistake == Some(Mistake::NoShrinkGuard) { ShrinkGuard::new(100) } else { GUARD };
        let rules = Rules { export_delay: self.plan.export_delay, guard, doubt: Doubt::AskAgain };
        let exporter = Exporter::new(archive, &node, rules, clock).electing(ElectionSetting::Auto);
        exporter.electing_in(self.elsewhere(place).map(|storage| Archive::over(storage, MAX_CONFIG)))
    }

    fn elsewhere(&self, place: Place) -> Option<Storage> {
        let known = self.elsewhere.iter().find(|(of, _)| *of == place).map(|(_, storage)| storage.clone());
        (place != Place::BesideTheBackups).then(|| known.unwrap_or_else(|| unknown(place)))
    }

    async fn wait(&mut self, milliseconds: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.random.random_range(milliseconds))).await;
    }
}

/// What goes wrong with one process besides what goes wrong with its requests.
struct Trouble {
    client: ClientId,
    commands: Commands,
    site: Site,
    is_cut_off: Board<bool>,
    calm: Board<bool>,
    /// Once all is well it is not there, or not as it is now.
    is_to_go: bool,
    /// Its election is in another store than the backups, or may be.
    is_apart: bool,
    random: StdRng,
}

impl Trouble {
    // Never ends.
    async fn come(mut self) {
        let calm = self.calm.clone();
        tokio::select! {
            biased;
            () = calm.is(true) => {}
            () = self.trouble() => {}
        }
        self.is_cut_off.show(false);
        self.site.cut_off(self.client, Duration::ZERO);
        self.site.cut_off_from_election(self.client, Duration::ZERO);
        if self.is_to_go {
            self.commands.give(if self.random.random() { Command::Die } else { Command::Stop });
        }
        std::future::pending().await
    }

    async fn trouble(&mut self) {
        loop {
            sleep(Duration::from_millis(self.random.random_range(5_000..400_000))).await;
            let length = Duration::from_millis(self.random.random_range(5_000..100_000));
            match self.random.random_range(0..8) {
                0 => self.commands.give(Command::Die),
                1 => self.commands.give(Command::Stop),
                2 | 3 => self.commands.give(Command::Pause(length)),
                4 | 5 => self.cut_off_from_stores(length),
                6 => self.cut_off_from_control_planes(length).await,
                _ => {
                    self.cut_off_from_stores(length);
                    self.cut_off_from_control_planes(length).await;
                }
            }
        }
    }

    fn cut_off_from_stores(&mut self, length: Duration) {
        let which = if self.is_apart { self.random.random_range(0..3) } else { 0 };
        if which != 0 {
            self.site.note(&format!("client {} is cut off from elections for {length:?}", self.client.0));
            self.site.cut_off_from_election(self.client, length);
        }
        if which == 2 {
            return;
        }
        self.site.note(&format!("client {} is cut off from the store for {length:?}", self.client.0));
        self.site.cut_off(self.client, length);
    }

    async fn cut_off_from_control_planes(&self, length: Duration) {
        self.site.note(&format!("client {} is cut off from the control planes for {length:?}", self.client.0));
        self.is_cut_off.show(true);
        sleep(length).await;
        self.is_cut_off.show(false);
    }
}
