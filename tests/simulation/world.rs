//! A world: everything in it follows from its seed, and its hours pass as fast as it can be played.

use std::future::pending;
use std::ops::AddAssign;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use futures::StreamExt;
use futures::future::LocalBoxFuture;
use futures::stream::FuturesUnordered;
use lifeboat_core::time::WallTime;
use lifeboat_runtime::rng;
use lifeboat_storage::Storage;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use super::board::Board;
use super::control_planes::ControlPlanes;
use super::database::Database;
use super::doorway::known;
use super::ending;
use super::exporters::{Host, Lot};
use super::log::Log;
use super::mutations::Mistake;
use super::operators::Operator;
use super::places::{Elections, Place};
use super::plan::{Knowledge, Plan, Walls};
use super::site::Site;
use super::store::BEGIN;

/// How far a clock on a wall may be off, in seconds.
const SKEW: u64 = 400;
/// How far one that lies may be off, in seconds.
const LIE: u64 = 5 * 24 * 60 * 60;

/// Until then all exporters elect where they are told to: none stands still for longer, or takes longer to end.
const REARRANGED: Duration = Duration::from_secs(300);

/// What came of a world.
pub(crate) struct Outcome {
    /// What was wrong, if anything was.
    pub(crate) violation: Option<String>,
    pub(crate) tally: Tally,
    pub(crate) log: Log,
}

/// What has happened in a world, or in many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) worlds: u64,
    /// How long they lasted, by their own clocks.
    pub(crate) time: Duration,
    pub(crate) requests: u64,
    /// How often a configuration was published.
    pub(crate) publications: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.worlds += other.worlds;
        self.time += other.time;
        self.requests += other.requests;
        self.publications += other.publications;
    }
}

/// Plays the world of this seed, in which everybody makes this mistake.
pub(crate) fn play_with(seed: u64, mistake: Option<Mistake>) -> Outcome {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be started").block_on(story(seed, mistake))
}

async fn story(seed: u64, mistake: Option<Mistake>) -> Outcome {
    let mut random = StdRng::seed_from_u64(seed);
    let plan = Plan { mistake, ..Plan::draw(&mut random) };
    let storage = match plan.knowledge {
        Knowledge::Conditions => Some(known(plan.conditions, Place::BesideTheBackups).await),
        Knowledge::None => None,
    };
    let mut elsewhere = Vec::new();
    if plan.knowledge == Knowledge::Conditions && !plan.elections.are_all_beside_the_backups() {
        for place in [Place::OneStore, Place::AnotherStore] {
            elsewhere.push((place, known(plan.conditions, place).await));
        }
    }
    rng::seed_with(seed);
    let site = Site::new(&plan, &mut random);
    site.note(&format!("{plan:?}"));
    let calm = Board::showing(false);
    let database = Rc::new(Database::new(&mut random));
    let control_planes = Rc::new(ControlPlanes::new(plan.control_planes, &mut random));
    let mut actors: FuturesUnordered<LocalBoxFuture<'_, ()>> = FuturesUnordered::new();
    actors.push(Box::pin(control_planes.clone().live(database.clone(), site.clone(), calm.clone())));
    for number in 1..=plan.exporters {
        let host = Host {
            name: format!("e{number}"),
            lot: if number <= plan.survivors { Lot::Survives } else { Lot::IsGone },
            plan: plan.clone(),
            storage: storage.clone(),
            elsewhere: elsewhere.clone(),
            site: site.clone(),
            control_planes: control_planes.clone(),
            wall: wall(plan.walls, &mut random),
            calm: calm.clone(),
            random: StdRng::seed_from_u64(random.random()),
        };
        actors.push(Box::pin(host.live()));
    }
    let trouble = trouble(&plan, storage.clone(), &site, &database, &mut random);
    actors.push(Box::pin(async {
        let _ = timeout(plan.trouble, trouble).await;
        pending().await
    }));
    let course = async {
        sleep(plan.trouble).await;
        site.note("faults stop");
        site.state().weather.clear_up();
        site.take_elections_away(Duration::ZERO);
        calm.show(true);
        if let Elections::Anywhere { in_the_end } = plan.elections {
            sleep(REARRANGED).await;
            site.elect_only_in(in_the_end);
        }
        ending::settled(&site, &database, &plan).await
    };
    let end = tokio::select! {
        biased;
        what = site.violation() => Err(what),
        end = course => end.map(drop),
        () = async { while actors.next().await.is_some() {} } => Err("nobody is left".to_owned()),
    };
    let state = site.state();
    let (requests, publications) = (state.requests, state.checks.publications);
    let tally = Tally { worlds: 1, time: site.now(), requests, publications };
    Outcome { violation: end.err(), tally, log: state.log.clone() }
}

// What happens while there is trouble and is no exporter's own.
async fn trouble(plan: &Plan, storage: Option<Storage>, site: &Site, database: &Database, random: &mut StdRng) {
    let expiry = async {
        if let Some(after) = plan.expiry {
            sleep(after).await;
            site.expire();
        }
    };
    let operator = Operator {
        storage,
        site: site.clone(),
        wall: wall(plan.walls, random),
        every: plan.operator_every.unwrap_or(Duration::MAX),
        random: StdRng::seed_from_u64(random.random()),
    };
    let operator = async {
        if plan.operator_every.is_some() {
            operator.work().await;
        }
    };
    let mut of_outages = StdRng::seed_from_u64(random.random());
    let outages = async {
        if plan.elections.are_all_beside_the_backups() {
            return;
        }
        loop {
            sleep(plan.election_outage_every.mul_f64(of_outages.random_range(0.3..1.7))).await;
            let length = Duration::from_millis(of_outages.random_range(2_000..80_000));
            site.note(&format!("the stores for elections are gone for {length:?}"));
            site.take_elections_away(length);
        }
    };
    let losses = site.lose_things(plan.loss_every, StdRng::seed_from_u64(random.random()));
    let changes = database.change(plan, site, StdRng::seed_from_u64(random.random()));
    tokio::join!(expiry, outages, losses, operator, changes);
}

/// What a clock on a wall shows at the begin: no two agree.
pub(crate) fn wall(walls: Walls, random: &mut StdRng) -> WallTime {
    let off = match walls {
        Walls::Kept => SKEW,
        Walls::Lying => LIE,
    };
    let seconds = BEGIN - off + random.random_range(0..2 * off);
    WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
