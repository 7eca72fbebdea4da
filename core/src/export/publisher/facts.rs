//! What the publisher knows: of the link, of the newest configuration, of the store, of the nodes.

use std::time::Duration;

use super::super::adoption::{Adoption, Nodes};
use super::super::guard::ShrinkGuard;
use super::super::history::History;
use super::super::{Keys, Named, Received};
use super::payload_repair::Payload;
use super::publish_or_hold::NewestState;
use crate::digest::ConfigHash;
use crate::kong::{EntityCounts, Unrunnable};
use crate::manifest::Held;
use crate::time::Moment;

/// What an operator has set.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The least time between two publications (`cluster_fallback_config_export_delay`).
    pub export_delay: Duration,
    /// What a configuration may lose (`LIFEBOAT_MAX_SHRINK`).
    pub guard: ShrinkGuard,
    /// Whether a configuration is doubted that was published before and then replaced.
    pub doubt: Doubt,
}

/// Whether a configuration is doubted that was published before and then replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The control plane may be cut off from its database: it is asked again after a while.
    AskAgain,
    /// No doubt: somebody has just asked this control plane for what it has.
    Nothing,
}

/// All that is known.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) rules: Rules,
    pub(super) phase: Phase,
    pub(super) link: Link,
    links: u64,
    pub(super) newest: Option<Newest>,
    /// Since when something waits to be published.
    pub(super) waiting_since: Option<Moment>,
    /// When Kong's export delay ends.
    pub(super) not_before: Moment,
    pub(super) store: Store,
    /// When the pin was found: an operator chose the pinned snapshot instead of what had been received until then.
    pub(super) pinned_over: Option<Moment>,
    pub(super) nodes: Nodes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Stopping,
}

/// The link to the control plane. Links are numbered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Link {
    Down,
    Up { number: u64, opened: Moment },
}

/// What the control plane sent last.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) hash: ConfigHash,
    pub(super) counts: EntityCounts,
    pub(super) unrunnable: Option<Unrunnable>,
    bytes: u64,
    /// When the first message with this hash came; since then, all messages have had it.
    pub(super) first_received: Moment,
    pub(super) last_received: Moment,
    /// The link over which the last of these messages came, and when it was opened.
    link: u64,
    pub(super) link_opened: Moment,
    /// Kept only until it is published, so that a large one doesn't stay in memory.
    pub(super) configuration: Option<Received>,
    /// Every node that was given it has refused it, and none has taken it since.
    pub(super) refused: bool,
    /// It was held for its losses when an operator changed how much a configuration may lose. That may not be written to the
    /// store yet.
    pub(super) was_held: bool,
}

/// What is known of the store.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) grasp: Grasp,
    pub(super) published: Option<Named>,
    /// What is known of the payload of what is published.
    pub(super) payload: Payload,
    pub(super) history: History,
    /// When the history was read, or last written to. Snapshots are pruned from it meanwhile, also by operators.
    pub(super) history_known: Moment,
    /// Configurations that were received until this moment are not newer than the published one. It is when the published one
    /// was received here or, if another exporter has published it, when it was first found; by this exporter's own clock.
    pub(super) since: Moment,
    looked_at: Moment,
}

/// How far the knowledge of the store may be relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grasp {
    Nothing,
    Manifest,
    Everything,
}

impl Facts {
    pub(super) fn new(rules: Rules, now: Moment) -> Self {
        let store = Store {
            grasp: Grasp::Nothing,
            published: None,
            payload: Payload::default(),
            history: History::default(),
            history_known: now,
            since: now,
            looked_at: now,
        };

        Self {
            rules,
            phase: Phase::Running,
            link: Link::Down,
            links: 0,
            newest: None,
            waiting_since: None,
            not_before: now,
            store,
            pinned_over: None,
            nodes: Nodes::default(),
        }
    }

    pub(super) fn link_up(&mut self, now: Moment) {
        self.links += 1;
        self.link = Link::Up { number: self.links, opened: now };
    }

    pub(super) fn received(&mut self, received: Received, now: Moment) {
        let (link, link_opened) = match self.link {
            Link::Up { number, opened } => (number, opened),
            // Its link ended while it was still being decoded.
            Link::Down => (self.links, now),
        };
        let first_received = match &self.newest {
            Some(newest) if newest.hash == received.config_hash => newest.first_received,
            _ => now,
        };
        let same = self.newest.as_ref().filter(|old| old.hash == received.config_hash);
        let (refused, was_held) = same.map_or((false, false), |old| (old.refused, old.was_held));

        self.newest = Some(Newest {
            hash: received.config_hash,
            counts: received.configuration.counts().clone(),
            unrunnable: received.unrunnable(),
            bytes: received.configuration.json().len() as u64,
            first_received,
            last_received: now,
            link,
            link_opened,
            configuration: Some(received),
            refused,
            was_held,
        });
        self.waiting_since.get_or_insert(now);
    }

    /// The manifest was read, or written without publishing another snapshot.
    pub(super) fn found(&mut self, published: Option<Named>, now: Moment) {
        let id = |named: &Option<Named>| named.as_ref().map(Named::id);
        if id(&published) != id(&self.store.published) {
            self.store.since = now;
            self.store.payload = Payload::default();
        }
        let pin = |named: &Option<Named>| named.as_ref().and_then(|named| named.pin);

        match (pin(&self.store.published), pin(&published)) {
            (_, None) => self.pinned_over = None,
            (before, after) if before != after => self.pinned_over = Some(self.store.looked_at),
            _ => {}
        }
        self.store.published = published;
        self.store.looked_at = now;
        // An operator has released it.
        if let Some(newest) = &mut self.newest
            && self.store.published.as_ref().is_some_and(|named| named.is(newest.hash))
        {
            newest.was_held = false;
        }
    }

    /// This exporter has published what it first received at `received`.
    pub(super) fn published(&mut self, named: Named, received: Moment, now: Moment) {
        self.found(Some(named), now);
        self.store.since = received;
        self.not_before = now + self.rules.export_delay;
        self.waiting_since = self.newest.as_ref().map(|newest| newest.first_received);
    }

    /// Decides by this guard from now on. A configuration that is held stays held: only `lifeboat release` releases it.
    pub(super) fn guard_by(&mut self, guard: ShrinkGuard, now: Moment) {
        let is_held = matches!(self.newest_state(now), NewestState::Held(Held::Shrunk(_) | Held::Unreleased));
        if let Some(newest) = &mut self.newest {
            newest.was_held |= is_held;
        }
        self.rules.guard = guard;
    }

    pub(super) fn keys_changed(&mut self) {
        if let Some(named) = &mut self.store.published {
            named.keys = Keys::Others;
        }
    }

    pub(super) fn forget_what_is_published(&mut self) {
        let Some(newest) = &mut self.newest else { return };
        let is_known = self.store.grasp != Grasp::Nothing;
        let is_known = is_known && self.store.payload.is_whole();
        if is_known && self.store.published.as_ref().is_some_and(|named| named.is(newest.hash)) {
            newest.configuration = None;
            self.waiting_since = None;
        }
    }

    pub(super) fn note_refusal(&mut self) {
        let Some(newest) = &self.newest else { return };
        let refused = match self.adoption(newest) {
            Adoption::Refused => true,
            Adoption::Confirmed => false,
            // When nodes go away, what they have said before still counts.
            Adoption::NobodyCanTell | Adoption::Open => newest.refused,
        };
        if let Some(newest) = &mut self.newest {
            newest.refused = refused;
        }
    }

    pub(super) fn is_published(&self, hash: ConfigHash) -> bool {
        self.store.published.as_ref().is_some_and(|named| named.is(hash))
    }

    /// Whether the newest configuration came over the link that is up now.
    pub(super) fn is_current(&self) -> bool {
        match (self.link, &self.newest) {
            (Link::Up { number, .. }, Some(newest)) => newest.link == number,
            _ => false,
        }
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.newest.as_ref().is_some_and(|newest| self.adoption(newest) == Adoption::Confirmed)
    }

    pub(super) fn is_held(&self, hash: ConfigHash) -> bool {
        self.store.history.of(hash).is_some_and(|past| past.state.is_held())
    }

    /// Whether the newest configuration is held, as one that was held before it came. That one may have been pruned since.
    pub(super) fn may_be_held_no_more(&self, now: Moment) -> bool {
        let Some(newest) = &self.newest else { return false };
        let is_older = self.store.history_known < newest.last_received;
        is_older && self.is_held(newest.hash) && matches!(self.newest_state(now), NewestState::Held(_))
    }

    pub(super) fn adoption(&self, newest: &Newest) -> Adoption {
        self.nodes.adoption(newest.hash, newest.bytes, newest.first_received)
    }
}
