//! Which of several exporters leads. How it is elected depends on the store: by a [`Lease`] if its conditional writes
//! hold, by a [`Registry`] otherwise. Both are machines; their driver writes and reads the objects that they ask for.

pub mod clearance;
mod lease;
mod link;
pub mod record;
mod registry;
mod strategy;
mod times;

pub use lease::Lease;
pub use registry::Registry;
pub use strategy::{ConditionalWrites, ElectionSetting, NoLease, Strategy};
pub use times::{
    DEATH, FORGOTTEN, MARK_RECHECK, NO_LEASE_RETRY, PROBE_RETRY, RENEWAL, REQUEST_LIMIT, SAFE, SOON, WATCH,
};

use self::record::{FORMAT, LeaseRecord, LinkHealth, Registered, Registration};
use super::publisher::Leadership;
use crate::time::Moment;

/// Who this exporter is to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id at the control plane, new with each start.
    pub node_id: String,
    /// Its host, for people.
    pub hostname: String,
}

impl Candidate {
    fn registration(&self, link: LinkHealth) -> Registration {
        let (node_id, hostname) = (self.node_id.clone(), self.hostname.clone());
        Registration { format: FORMAT, node_id, hostname, link, since: None, instead_of: None, left: false }
    }
}

/// Something that happened. `T` is the store's name for one version of an object: an ETag, a generation.
#[derive(Clone, Debug)]
pub enum Event<T> {
    /// Time has passed: at latest when the machine's `wake_at` said.
    Tick,
    /// The link to the control plane is up.
    LinkUp,
    /// It is gone.
    LinkDown,
    /// The manifest has this epoch.
    ManifestEpoch(u64),
    /// Something was found that another leader must have written, of this epoch at most.
    Recheck {
        /// The highest epoch that was found.
        shown: u64,
    },
    /// [`Action::ReadLease`] is done: there is none, or this one.
    LeaseFound(Option<Found<T>>),
    /// [`Action::WriteLease`] is done, and the lease has this tag now.
    LeaseWritten(T),
    /// The lease was not what it should have replaced.
    LeaseConflict,
    /// [`Action::Register`] is done.
    Registered,
    /// [`Action::ReadRegistrations`] is done.
    Registrations(Vec<Registered>),
    /// What was asked for failed; a write may have happened nevertheless.
    Failed,
    /// The program is to end: another one may lead.
    Stop,
}

/// A lease as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// What it says; `None` if it can't be read, as one of a later format.
    pub record: Option<LeaseRecord>,
    /// The store's name for this version of it.
    pub tag: T,
}

/// Something to do. At most one action at the store is under way at a time, and each is answered by one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<T> {
    /// Read `election/leader.json`.
    ReadLease,
    /// Write it.
    WriteLease {
        /// What it is to say.
        record: LeaseRecord,
        /// What must be there before.
        over: Over<T>,
    },
    /// Write this exporter's own registration, whatever is there.
    Register(Registration),
    /// List and read all registrations.
    ReadRegistrations,
    /// From now on, everything is written under this leadership.
    Lead(Leadership),
    /// Tell the operator.
    Notify(Notice),
    /// Nothing is left to do; the program may end.
    Finish,
}

/// What a write replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over<T> {
    /// Nothing may be there.
    Nothing,
    /// Exactly this version may be there.
    Exactly(T),
}

/// What an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This exporter leads now.
    Leads {
        /// Its leadership.
        epoch: u64,
    },
    /// Another exporter leads.
    Follows {
        /// Its host.
        leader: String,
    },
    /// The leader hasn't renewed its lease for [`DEATH`].
    LeaderIsDead {
        /// Its host.
        leader: String,
    },
    /// This exporter no longer leads: another one has taken the lease, or the lease is gone.
    Deposed,
    /// This exporter leaves the lead to one that reaches a control plane.
    StepsDown {
        /// The other one's host.
        to: String,
    },
}

/// The election of one version's leader.
#[derive(Debug)]
pub enum Election<T> {
    /// By a lease.
    Lease(Lease<T>),
    /// By registrations.
    Registry(Registry),
    /// None: an operator has said that there is no other exporter.
    Alone(Alone),
}

/// The only exporter.
#[derive(Debug, Default)]
pub struct Alone {
    begun: Option<Moment>,
}

impl<T: Clone + PartialEq> Election<T> {
    /// An election that begins at its first tick.
    pub fn new(strategy: Strategy, candidate: Candidate, now: Moment) -> Self {
        match strategy {
            Strategy::Lease => Self::Lease(Lease::new(candidate, now)),
            Strategy::Registry => Self::Registry(Registry::new(candidate, now)),
            Strategy::Alone => Self::Alone(Alone::default()),
        }
    }

    /// Takes one event. `chance` in `0.0..1.0` spreads what many would do at once.
    pub fn handle(&mut self, event: Event<T>, now: Moment, chance: f64) -> Vec<Action<T>> {
        match self {
            Self::Lease(lease) => lease.handle(event, now, chance),
            Self::Registry(registry) => registry.handle(event, now, chance),
            Self::Alone(alone) => match event {
                Event::Stop => vec![Action::Finish],
                _ if alone.begun.replace(now).is_none() => vec![Action::Lead(Leadership::Alone)],
                _ => Vec::new(),
            },
        }
    }

    /// When the next tick is due.
    pub fn wake_at(&self) -> Option<Moment> {
        match self {
            Self::Lease(lease) => lease.wake_at(),
            Self::Registry(registry) => registry.wake_at(),
            Self::Alone(alone) => alone.begun.is_none().then(Moment::default),
        }
    }
}
