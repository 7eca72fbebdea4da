//! An operator who rolls back again and again against an exporter that is sent something new every second, in stores without
//! usable conditions: each rollback lasts, or the operator is told that it did not.

use std::time::Duration;

use lifeboat::archive::{Archive, Author, Operator, Stay};
use lifeboat::export::{BackupNode, Exporter, Line as Link, Newest};
use lifeboat_core::export::Received;
use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_core::manifest;
use lifeboat_core::object_key::HistoryState;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::rng;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Builder;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clients::Kind;
use super::configurations::{ORDINARY, configuration};
use super::doorway::{known, over, unknown};
use super::places::Place;
use super::plan::{Conditions, Plan, Walls};
use super::seeds::{REPLAY, number_in};
use super::site::{Site, State};
use super::store::Line;
use super::world::wall;
use super::{GUARD, MAX_CONFIG, VERSION};

const WORLDS: u64 = 10;
/// In each world.
const ROLLBACKS: usize = 20;
const STORES: [Conditions; 4] =
    [Conditions::NotImplemented, Conditions::Ignored, Conditions::NamesRefused, Conditions::Nameless];
/// How long the exporter publishes before each, in milliseconds.
const BETWEEN: std::ops::Range<u64> = 20_000..40_000;
/// Longer than any exporter goes without looking at what is published.
const LASTING: Duration = Duration::from_secs(120);

/// How many lasted, how many were reported, and how often the exporter published between them.
#[derive(Debug, Default)]
struct Outcomes {
    lasting: usize,
    reported: usize,
    publications: u64,
}

#[test]
fn of_two_hundred_rollbacks_each_lasts_or_is_reported() {
    let only = number_in(REPLAY);
    let mut all = Outcomes::default();
    for seed in only.map_or(0..WORLDS, |seed| seed..seed + 1) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let outcomes = runtime.block_on(against_a_busy_exporter(seed));
        eprintln!("seed {seed}: {outcomes:?}");
        assert_eq!(outcomes.lasting + outcomes.reported, ROLLBACKS, "seed {seed}");
        // Each choice has something that is published at the time to stand against.
        assert!(outcomes.publications > 3 * ROLLBACKS as u64, "seed {seed}: {outcomes:?}");
        all.lasting += outcomes.lasting;
        all.reported += outcomes.reported;
        all.publications += outcomes.publications;
    }

    eprintln!("{all:?}");
    assert!(only.is_some() || all.lasting > 30, "an operator who is seldom successful gives up: {all:?}");
}

async fn against_a_busy_exporter(seed: u64) -> Outcomes {
    let mut random = StdRng::seed_from_u64(seed);
    let conditions = STORES[seed as usize % STORES.len()];
    let plan = Plan { conditions, listing_lag: Duration::ZERO, ..Plan::draw(&mut random) };
    let storage = known(conditions, Place::BesideTheBackups).await;
    rng::seed_with(seed);
    let site = Site::new(&plan, &mut random);
    site.state().weather.only_slow_down();

    let (client, _) = site.client("exporter".to_owned(), Kind::Exporter);
    let line = Line { site: site.clone(), client };
    let (stop, newest) = (CancellationToken::new(), Newest::default());
    let rules = Rules { export_delay: Duration::ZERO, guard: GUARD, doubt: Doubt::Nothing };
    let id = "00000000-0000-4000-8000-000000000001".to_owned();
    let node = BackupNode { id, hostname: "exporter".to_owned(), version: VERSION };
    let clock = Clock::simulated(wall(Walls::Kept, &mut random));
    let archive = Archive::over(storage, MAX_CONFIG).with_history(plan.history);
    let exporter = Exporter::new(archive, &node, rules, clock);
    tokio::select! {
        biased;
        what = site.violation() => {
            let log = site.state().log.short();
            panic!(
                "seed {seed}, {conditions:?}: {what}\n{log}\nseed {seed}, {conditions:?}: {what}\nto play it again: \
                 {REPLAY}={seed} cargo test -p lifeboat-tests --test simulation of_two_hundred_rollbacks"
            );
        }
        () = over(line, exporter.run(newest.clone(), stop)) => unreachable!("nobody stops it"),
        () = change_every_second(newest, clock) => unreachable!("it never ends"),
        outcomes = roll_back_again_and_again(&site, clock, random) => outcomes,
    }
}

async fn change_every_second(newest: Newest, clock: Clock) {
    newest.set_line(Link::Up(1));
    for turn in 0.. {
        let known = configuration(turn % ORDINARY);
        newest.put(Received {
            configuration: known.form(turn).clone(),
            config_hash: known.hash,
            hashes: Some(known.hashes.clone()),
            at: clock.wall(),
            source: None,
        });
        sleep(Duration::from_secs(1)).await;
    }
}

async fn roll_back_again_and_again(site: &Site, clock: Clock, mut random: StdRng) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for number in 1..=ROLLBACKS {
        let before = site.state().checks.publications;
        sleep(Duration::from_millis(random.random_range(BETWEEN))).await;
        outcomes.publications += site.state().checks.publications - before;

        let (client, _) = site.client(format!("operator {number}"), Kind::Operator);
        let line = Line { site: site.clone(), client };
        let desk = Desk::new(site.clone(), clock);
        let done = over(line, async {
            let done = desk.roll_back(&mut random).await;
            desk.unpin().await;
            done
        });
        match done.await {
            Ok(()) => outcomes.lasting += 1,
            Err(reason) => {
                site.note(&format!("rollback {number} is reported: {reason}"));
                outcomes.reported += 1;
            }
        }
    }
    outcomes
}

/// Where the operator sits, with the command's own steps.
struct Desk {
    archive: Operator,
    author: Author,
    site: Site,
    clock: Clock,
}

impl Desk {
    fn new(site: Site, clock: Clock) -> Self {
        let (node_id, hostname) = ("operator".to_owned(), "desk".to_owned());
        let exporter = manifest::Exporter { node_id, hostname, lifeboat: env!("CARGO_PKG_VERSION").to_owned() };
        let author = Author { exporter, version: VERSION };
        Self {
            archive: Operator::new(Archive::over(unknown(Place::BesideTheBackups), MAX_CONFIG)),
            author,
            site,
            clock,
        }
    }

    async fn roll_back(&self, random: &mut StdRng) -> Result<(), String> {
        let Self { archive, author, site, clock } = self;
        archive.prepare_to_write(author).await.map_err(|error| error.to_string())?;
        let past = archive.past(VERSION).await.map_err(|error| error.to_string())?;
        let published: Vec<_> = past.into_iter().filter(|past| past.state == HistoryState::Published).collect();
        let sequence = published[random.random_range(0..published.len())].id.sequence;
        let stay = Stay::UntilUnpinned;
        let chosen =
            archive.roll_back(author, sequence, stay, clock.wall()).await.map_err(|error| error.to_string())?;
        archive.look_again(VERSION, &chosen).await.map_err(|error| error.to_string())?;

        // The store's own checks judge every write from now on.
        {
            let mut state = site.state();
            let State { checks, objects, .. } = &mut *state;
            checks.promise(objects, chosen.manifest.id());
        }
        sleep(LASTING).await;
        Ok(())
    }

    // Until nothing is pinned, whether or not the rollback was reported.
    async fn unpin(&self) {
        while self.is_pinned() {
            // What is said of it doesn't matter: the store tells whether it is.
            if let Ok(unpinned) = self.archive.unpin(&self.author, self.clock.wall()).await {
                let _ = self.archive.look_again(VERSION, &unpinned).await;
            }
        }
    }

    fn is_pinned(&self) -> bool {
        let state = self.site.state();
        state.checks.named(&state.objects).is_ok_and(|named| named.is_some_and(|manifest| manifest.pin.is_some()))
    }
}
