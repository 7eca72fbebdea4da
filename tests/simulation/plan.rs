//! What a world is like: drawn from its seed before anything happens in it.

use std::time::Duration;

use lifeboat::settings::HistoryLimit;
use rand::RngExt;
use rand::rngs::StdRng;

use super::mutations::Mistake;
use super::objects::Tags;
use super::places::Elections;

/// What becomes of a condition on a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conditions {
    /// It holds.
    Hold,
    /// The store says that it has none.
    NotImplemented,
    /// The store writes whatever the condition says.
    Ignored,
    /// Creating holds, and a version that is named is never the right one, as at a store that minds the quotes around it.
    NamesRefused,
    /// Versions have no names, and creating is an ordinary write.
    Nameless,
}

/// How far the clocks on the walls of hosts are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walls {
    /// By some minutes.
    Kept,
    /// By days.
    Lying,
}

/// What an exporter knows of the store when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knowledge {
    /// What its conditional writes are worth.
    Conditions,
    /// Nothing: it has to find out, whatever goes wrong meanwhile.
    None,
}

/// Whether something may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deleting {
    Granted,
    Denied,
}

/// More snapshots than any world has: what goes then goes for its age.
pub(crate) const MANY: usize = 1000;

/// A world.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) exporters: usize,
    pub(crate) control_planes: usize,
    pub(crate) conditions: Conditions,
    pub(crate) knowledge: Knowledge,
    pub(crate) deleting: Deleting,
    pub(crate) tags: Tags,
    /// How old a listing may be.
    pub(crate) listing_lag: Duration,
    /// How long things go wrong.
    pub(crate) trouble: Duration,
    /// Of how many requests one goes wrong.
    pub(crate) fault_every: u32,
    /// Of how many writes of backups one is the last thing that an exporter does, or does for a while.
    pub(crate) step_every: u32,
    /// How many writes are stored damaged.
    pub(crate) damages: u32,
    /// The mean time between two changes of the database.
    pub(crate) change_every: Duration,
    pub(crate) export_delay: Duration,
    pub(crate) history: HistoryLimit,
    pub(crate) walls: Walls,
    /// When `election/` is emptied.
    pub(crate) expiry: Option<Duration>,
    /// The mean time between two losses of what is published: a lifecycle rule, a cleaner, somebody's hand.
    pub(crate) loss_every: Option<Duration>,
    /// The mean time between two things that an operator does.
    pub(crate) operator_every: Option<Duration>,
    pub(crate) elections: Elections,
    /// The mean time between two outages of the stores in which only elections are held.
    pub(crate) election_outage_every: Duration,
    /// How many of the exporters are there in the end.
    pub(crate) survivors: usize,
    /// What its exporters do wrong on purpose; drawn is none.
    pub(crate) mistake: Option<Mistake>,
}

impl Plan {
    pub(crate) fn draw(random: &mut StdRng) -> Self {
        let seconds = |random: &mut StdRng, range| Duration::from_secs(random.random_range(range));
        let exporters = 2 + [0, 0, 0, 0, 1, 1, 1, 2, 3, 5][random.random_range(0..10)];
        let conditions = match random.random_range(0..8) {
            0 => [Conditions::NotImplemented, Conditions::NamesRefused][random.random_range(0..2)],
            1 => [Conditions::Ignored, Conditions::Nameless][random.random_range(0..2)],
            _ => Conditions::Hold,
        };
        // Where creating is an ordinary write, a listing that lags, or an election that is emptied, lets two lead at once, and the
        // payload of one may take the place of the other's: nothing in such a store keeps them from it.
        let creating_holds = matches!(conditions, Conditions::Hold | Conditions::NamesRefused);
        let lags = random.random_range(0..3) == 0 && creating_holds;
        let trouble = seconds(random, 60..240);
        Self {
            exporters,
            control_planes: random.random_range(1..4),
            conditions,
            knowledge: if random.random_range(0..8) == 0 { Knowledge::None } else { Knowledge::Conditions },
            deleting: if random.random_range(0..4) == 0 { Deleting::Denied } else { Deleting::Granted },
            tags: if random.random() { Tags::OfWrites } else { Tags::OfBytes },
            listing_lag: if lags { seconds(random, 1..30) } else { Duration::ZERO },
            trouble,
            fault_every: [12, 30, 80, 300][random.random_range(0..4)],
            step_every: [6, 12, 40, 1_000_000][random.random_range(0..4)],
            damages: random.random_range(0..3),
            change_every: seconds(random, 10..70),
            export_delay: [Duration::ZERO, Duration::from_secs(5), Duration::from_secs(60)][random.random_range(0..3)],
            history: match random.random_range(0..4) {
                0 => HistoryLimit::Everything,
                1 => HistoryLimit::AtMost(MANY),
                _ => HistoryLimit::AtMost(random.random_range(1..4)),
            },
            walls: if random.random_range(0..4) == 0 { Walls::Lying } else { Walls::Kept },
            expiry: (random.random_range(0..4) == 0 && creating_holds).then(|| trouble.mul_f64(random.random())),
            loss_every: (random.random_range(0..3) == 0).then(|| seconds(random, 30..150)),
            operator_every: (random.random_range(0..3) == 0).then(|| seconds(random, 60..200)),
            elections: Elections::draw(random, conditions == Conditions::Hold),
            election_outage_every: seconds(random, 40..200),
            survivors: random.random_range(1..=exporters),
            mistake: None,
        }
    }
}
