//! The deterministic simulation of the export: the product's own exporters on a simulated store and simulated control
//! planes, in virtual time. One seed is one world, in which everything that can go wrong does.

mod board;
mod checks;
mod clients;
mod configurations;
mod control_planes;
mod database;
mod doorway;
mod ending;
mod exporters;
mod faults;
mod link;
mod log;
mod losses;
mod mutations;
mod objects;
mod operators;
mod places;
mod plan;
mod rollbacks;
mod seeds;
mod site;
mod store;
mod world;

use lifeboat_core::export::guard::ShrinkGuard;
use lifeboat_core::kong::version::KongVersion;

use self::seeds::{REPLAY, SEEDS, number_in, play_all};
use self::world::{Outcome, Tally, play_with};

const VERSION: KongVersion = KongVersion::new(3, 9, 1);
const MAX_CONFIG: usize = 1 << 20;
const GUARD: ShrinkGuard = ShrinkGuard::new(50);

/// How many worlds are played where nobody says otherwise.
const WORLDS: u64 = 1_000;

#[test]
fn in_every_world_what_is_published_is_whole_and_in_the_end_it_is_the_newest() {
    if let Some(seed) = number_in(REPLAY) {
        return replay(seed);
    }
    let played = play_all(0..number_in(SEEDS).unwrap_or(WORLDS), None);
    let Tally { worlds, time, requests, publications } = played.tally;
    let hours = time.as_secs() / 3600;
    eprintln!("{worlds} worlds, which lasted {hours} hours: {requests} requests, {publications} publications");
    if let Some(failure) = played.failure {
        panic!("{}", failure.report());
    }
    assert!(publications > 2 * worlds, "so few publications prove little");
}

#[test]
fn a_seed_is_one_world() {
    for seed in 0..10 {
        let [first, second] = [play(seed), play(seed)].map(|outcome| outcome.log);
        if let Some((once, again)) = first.lines().iter().zip(second.lines()).find(|(once, again)| once != again) {
            panic!("seed {seed} was once {once}\nand again {again}");
        }
        assert_eq!(first.fingerprint(), second.fingerprint(), "seed {seed}: requests differ");
    }
    assert_ne!(play(0).log.fingerprint(), play(1).log.fingerprint());
}

fn play(seed: u64) -> Outcome {
    play_with(seed, None)
}

// With all that is logged, in the order in which it happens.
fn replay(seed: u64) {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).without_time().with_ansi(false);
    let outcome = tracing::subscriber::with_default(subscriber.with_writer(std::io::stderr).finish(), || play(seed));
    if let Some(violation) = outcome.violation {
        panic!("seed {seed}: {violation}");
    }
}
