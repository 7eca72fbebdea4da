//! Where exporters elect their leader: beside the backups, or in a store of its own (`LIFEBOAT_ELECTION_STORAGE`), which can fail
//! by itself. And the check that no two lead whose elections are in different places.

use std::time::Duration;

use lifeboat_core::export::election::DEATH;
use lifeboat_core::object_key::ObjectKeys;
use rand::RngExt;
use rand::rngs::StdRng;

use super::VERSION;

/// A store in which an election can be held. In the simulation all of them are one, and this tells their objects apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    BesideTheBackups,
    OneStore,
    AnotherStore,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::BesideTheBackups, Self::OneStore, Self::AnotherStore];

    /// As the product knows it.
    pub(crate) fn url(self) -> &'static str {
        match self {
            Self::BesideTheBackups => "s3://simulated",
            Self::OneStore => "s3://one-for-elections",
            Self::AnotherStore => "s3://another-for-elections",
        }
    }

    /// What the keys of its objects begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::BesideTheBackups => "",
            Self::OneStore => "one-for-elections/",
            Self::AnotherStore => "another-for-elections/",
        }
    }

    /// The place of an object.
    pub(crate) fn of(key: &str) -> Self {
        let elsewhere = [Self::OneStore, Self::AnotherStore];
        elsewhere.into_iter().find(|place| key.starts_with(place.prefix())).unwrap_or(Self::BesideTheBackups)
    }

    pub(crate) fn leader(self) -> String {
        format!("{}{}", self.prefix(), ObjectKeys::new(VERSION).leader())
    }
}

/// Where the exporters of a world elect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elections {
    /// All in the same place.
    In(Place),
    /// Each start of one as somebody has set it, until all are told the same and the mark is as it must be.
    Anywhere { in_the_end: Place },
}

impl Elections {
    /// Marks rest on a write that creates an object and replaces none, so places are mixed only where that holds.
    pub(crate) fn draw(random: &mut StdRng, creating_holds: bool) -> Self {
        let any = Place::ALL[random.random_range(0..3)];
        match random.random_range(0..8) {
            0 => Self::In(Place::OneStore),
            1 | 2 if creating_holds => Self::Anywhere { in_the_end: any },
            _ => Self::In(Place::BesideTheBackups),
        }
    }

    /// Where they elect once all is well.
    pub(crate) fn in_the_end(self) -> Place {
        match self {
            Self::In(place) | Self::Anywhere { in_the_end: place } => place,
        }
    }

    /// Where an exporter elects that starts while something is wrong.
    pub(crate) fn of_a_start(self, random: &mut StdRng) -> Place {
        match self {
            Self::In(place) => place,
            Self::Anywhere { in_the_end } => match random.random_range(0..6) {
                place @ 0..3 => Place::ALL[place],
                _ => in_the_end,
            },
        }
    }

    pub(crate) fn are_all_beside_the_backups(self) -> bool {
        self == Self::In(Place::BesideTheBackups)
    }
}

/// From which place backups were written last, and what is wrong with a write from another one.
#[derive(Debug, Default)]
pub(crate) struct OnePlace {
    moved_to: Option<Place>,
    /// When an election lost what lay in it, by which others would know that it is being held.
    emptied: Option<Duration>,
}

impl OnePlace {
    /// An exporter that elects in this place sends a write of backups. Once the election has moved, a mark says so, and nobody
    /// leads whose election is in another place; not even who led before, whose lease was dead by then.
    pub(crate) fn writes(&mut self, place: Place, now: Duration) -> Result<(), String> {
        let is_known = self.emptied.is_none_or(|emptied| now >= emptied + DEATH);
        match self.moved_to {
            Some(moved_to) if moved_to != place && is_known => {
                Err(format!("an exporter that elects in {} leads, and so does one in {}", place.url(), moved_to.url()))
            }
            Some(_) => Ok(()),
            None => {
                self.moved_to = Some(place).filter(|place| *place != Place::BesideTheBackups);
                Ok(())
            }
        }
    }

    pub(crate) fn emptied(&mut self, now: Duration) {
        self.emptied = Some(now);
    }

    /// Somebody has deleted the mark.
    pub(crate) fn forget(&mut self) {
        self.moved_to = None;
    }
}
