//! An operator who rolls back again and again against an exporter that publishes every second, in stores without usable
//! conditions: each rollback lasts, or the operator is told that it did not.

use std::rc::Rc;
use std::time::Duration;

use lifeboat::archive::{Archive, Author, Stay};
use lifeboat::chance;
use lifeboat::clock::Clock;
use lifeboat::keep::{BackupNode, Exporter, Line as Link, Newest};
use lifeboat::settings::HistoryLimit;
use lifeboat_core::keep::keeper::{Doubt, Rules};
use lifeboat_core::keep::{Pin, Received};
use lifeboat_core::manifest;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::runtime::Builder;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::clients::Kind;
use super::configurations::{ORDINARY, configuration};
use super::doorway::{known, over, unknown};
use super::plan::{Conditions, Plan, Walls};
use super::site::{Site, State};
use super::store::Line;
use super::world::wall;
use super::{GUARD, MAX_CONFIG, VERSION};

/// In each kind of store.
const ROLLBACKS: usize = 50;
/// How long the exporter publishes before the next one.
const BETWEEN: Duration = Duration::from_secs(90);

/// How many lasted, and how many were reported.
#[derive(Debug, Default)]
struct Outcomes {
    lasting: usize,
    reported: usize,
}

#[test]
fn of_two_hundred_rollbacks_each_lasts_or_is_reported() {
    for (seed, conditions) in
        [Conditions::NotImplemented, Conditions::Ignored, Conditions::NamesRefused, Conditions::Nameless]
            .into_iter()
            .enumerate()
    {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (outcomes, published) = runtime.block_on(against_a_busy_exporter(conditions, seed as u64));
        eprintln!("{conditions:?}: {outcomes:?}, {published} publications");
        assert_eq!(outcomes.lasting + outcomes.reported, ROLLBACKS, "{conditions:?}");
        assert!(outcomes.lasting > ROLLBACKS / 10, "{conditions:?}: {outcomes:?}");
        assert!(published > 20 * ROLLBACKS as u64, "{conditions:?}: only {published} publications");
    }
}

async fn against_a_busy_exporter(conditions: Conditions, seed: u64) -> (Outcomes, u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let plan = Plan { conditions, history: HistoryLimit::Everything, ..Plan::draw(&mut random) };
    let plan = Plan { listing_lag: Duration::ZERO, damages: 0, ..plan };
    let storage = known(conditions).await;
    chance::sow(seed);
    let site = Site::new(&plan, &mut random);
    // Requests take their time, and nothing else goes wrong.
    site.state().weather.clear_up();

    let (client, _) = site.client("exporter".to_owned(), Kind::Exporter);
    let line = Line { site: site.clone(), client };
    let (stop, newest) = (CancellationToken::new(), Newest::default());
    let rules = Rules { export_delay: Duration::ZERO, guard: GUARD, doubt: Doubt::Nothing };
    let id = "00000000-0000-4000-8000-000000000001".to_owned();
    let node = BackupNode { id, hostname: "exporter".to_owned(), version: VERSION };
    let clock = Clock::simulated(wall(Walls::Kept, &mut random));
    let exporter = Exporter::new(Archive::over(storage, MAX_CONFIG), &node, rules, clock);
    let changes = change_every_second(newest.clone(), clock);
    let operator = Rc::new(site.clone());
    tokio::select! {
        () = over(line, exporter.run(newest, stop)) => unreachable!("nobody stops it"),
        () = changes => unreachable!("it never ends"),
        violation = site.violation() => panic!("{conditions:?}: {violation}"),
        outcomes = roll_back_again_and_again(operator, clock) => (outcomes, site.state().checks.publications),
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

async fn roll_back_again_and_again(site: Rc<Site>, clock: Clock) -> Outcomes {
    let mut outcomes = Outcomes::default();
    for number in 0..ROLLBACKS {
        sleep(BETWEEN).await;
        let (client, _) = site.client(format!("operator {number}"), Kind::Operator);
        let line = Line { site: (*site).clone(), client };
        let stay = if number % 2 == 0 { Stay::UntilUnpinned } else { Stay::UntilItChanges };
        match over(line, rolled_back(&site, stay, clock)).await {
            Ok(()) => outcomes.lasting += 1,
            Err(reason) => {
                site.note(&format!("rollback {number} is reported: {reason}"));
                outcomes.reported += 1;
            }
        }
    }
    outcomes
}

// Done as the command does it, then undone.
async fn rolled_back(site: &Site, stay: Stay, clock: Clock) -> Result<(), String> {
    let archive = Archive::over(unknown(), MAX_CONFIG);
    let (node_id, hostname) = ("operator".to_owned(), "desk".to_owned());
    let author =
        Author { exporter: manifest::Exporter { node_id, hostname, lifeboat: "0".to_owned() }, version: VERSION };
    archive.prepare_to_write(&author).await.map_err(|error| error.to_string())?;
    let chosen = archive.roll_back(&author, 1, stay, clock.wall()).await.map_err(|error| error.to_string())?;
    archive.look_again(VERSION, &chosen).await.map_err(|error| error.to_string())?;
    if chosen.manifest.pin == Some(Pin::Unpin) {
        {
            let mut state = site.state();
            let State { checks, objects, .. } = &mut *state;
            checks.promise(objects, chosen.manifest.id());
        }
        // For longer than any exporter doesn't look.
        sleep(Duration::from_secs(120)).await;
        let unpinned = archive.unpin(&author, clock.wall()).await.map_err(|error| error.to_string())?;
        archive.look_again(VERSION, &unpinned).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}
