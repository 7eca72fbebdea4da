//! A node's session in the relay: the node's link on one side, its own link to the control plane on the other. While
//! the control plane is there, frames pass unchanged; while it is gone, the node's pings are answered and, if it has no
//! configuration, it is fed from the store until its ping says that it runs it.

mod control_plane;
mod event;
mod fed;
mod following;

use std::sync::Arc;
use std::time::Duration;

pub use event::{Action, Event, LinkState, Notice, ReadySnapshot, Rules, Source, Trouble};

use self::control_plane::{Known, Link, Up};
use self::fed::Fed;
use self::following::Following;
use super::IDLE_LIMIT;
use super::answer::PONG_LIMIT;
use super::restore::{self, Decision, NodeHolds, OnRefusal};
use crate::digest::ConfigHash;
use crate::frame::{Frame, Opcode};
use crate::kong::basic_info::{NodeInfo, NotBasicInfo};
use crate::kong::node_error::is_node_error;
use crate::kong::ping::hash_in_ping;
use crate::time::Moment;

/// How long the control plane is asked before the snapshot is fetched in advance.
pub const HEAD_START: Duration = Duration::from_millis(500);
/// How long after the first time a node is fed again, if its ping has not confirmed the snapshot: a node drops what arrives
/// before it has made its database (KONG.md "A race to survive").
pub const FIRST_REPEAT: Duration = Duration::from_millis(1500);
/// The longest pause between two attempts to feed a node.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How many attempts without an answer are worth a warning.
pub const ATTEMPTS_BEFORE_NOTICE: u32 = 3;

/// One node's session.
#[derive(Debug)]
pub struct NodeSession {
    rules: Rules,
    connected: Moment,
    link: Link,
    basic_info: Option<(Frame, NodeInfo)>,
    runs: Option<ConfigHash>,
    unanswered_ping: Option<Frame>,
    last_heard: Moment,
    /// If the control plane has sent the node a configuration: until when the node may still be loading it.
    loading_until: Option<Moment>,
    source: Source,
    feeding: Feeding,
    following: Following,
    /// The length of the snapshot that was last reported as too large.
    said_too_large: Option<u64>,
}

#[derive(Debug)]
enum Feeding {
    No,
    /// With the snapshot that the node was fed before without success, if there is one: there may be another by now.
    Fetching(Option<Fed>),
    Ready(Fed),
    /// It is sent at this moment if nothing changes until then. The snapshot is large, and the node can't take it yet.
    Due(Fed, Moment),
    Fed(Fed),
    /// It was not sent. It is fetched again later, because a smaller one may have been published by then.
    TooLarge(Fed),
}

impl NodeSession {
    /// The session of a node that has just connected, and the first thing to do: ask the control plane.
    pub fn begin(rules: Rules, now: Moment) -> (Self, Vec<Action>) {
        let session = Self {
            rules,
            connected: now,
            link: Link::asked_for_the_first_time(now),
            basic_info: None,
            runs: None,
            unanswered_ping: None,
            last_heard: now,
            loading_until: None,
            source: Source::OwnOrNone,
            feeding: Feeding::No,
            following: Following::default(),
            said_too_large: None,
        };

        (session, vec![Action::ConnectControlPlane])
    }

    /// From now on, refusals mean this. What earlier refusals have caused stays as it is.
    pub fn set_on_refusal(&mut self, on_refusal: OnRefusal) {
        self.rules.on_refusal = on_refusal;
    }

    /// Takes one event. `chance` in `0.0..1.0` spreads reconnects.
    pub fn handle(&mut self, event: Event, now: Moment, chance: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        self.excuse_held_back(now);

        match event {
            Event::Tick => self.tick(now, chance, &mut actions),
            Event::FromNode(frame) => self.node_sent(frame, now, &mut actions),
            Event::Fetched(snapshot) if self.following.fetched(&snapshot) => {}
            Event::Fetched(snapshot) => self.fetched(snapshot),
            Event::Published(view) => self.published(view, &mut actions),
            Event::Delivered => self.delivered(now, &mut actions),
            Event::ControlPlaneHeard
            | Event::ControlPlaneHeldBack
            | Event::FromControlPlane(_)
            | Event::ControlPlaneConnected
            | Event::ControlPlaneFailed(_)
            | Event::ControlPlaneClosed
            | Event::ControlPlaneUnreadable
            | Event::NoFileForLink => self.control_plane_event(event, now, chance, &mut actions),
        }

        self.restore(now, &mut actions);

        actions
    }

    /// When the next tick is due. After a tick it lies ahead.
    pub fn wake_at(&self) -> Moment {
        let empty = self.node_holds() == NodeHolds::Nothing;
        let mut wake_at = self.last_heard + IDLE_LIMIT;

        if let Some(fetch_at) = self.fetch_at() {
            wake_at = wake_at.min(fetch_at);
        }

        match &self.link {
            Link::Connecting { .. } => {}
            Link::Up(up) => {
                wake_at = up.pong_due.map_or(wake_at, |due| wake_at.min(due));
                if empty && !up.has_given && !up.said_silent {
                    wake_at = wake_at.min(up.quiet_since + self.rules.config_timeout);
                }
            }
            Link::Down { retry_at, .. } => wake_at = wake_at.min(*retry_at),
        }

        if let Some(next) = self.following.wake_at() {
            wake_at = wake_at.min(next);
        }
        match &self.feeding {
            Feeding::Fed(Fed { next: Some(next), .. }) | Feeding::Due(_, next) => wake_at.min(*next),
            _ => wake_at,
        }
    }

    /// What the node's newest ping says that it runs.
    pub fn runs(&self) -> Option<ConfigHash> {
        self.runs
    }

    /// What the node says of itself, once it has.
    pub fn info(&self) -> Option<&NodeInfo> {
        self.basic_info.as_ref().map(|(_, info)| info)
    }

    /// The longest message that the node takes, in bytes, if it has said so.
    pub fn max_payload(&self) -> Option<u64> {
        self.basic_info.as_ref().map(|(_, info)| info.max_payload)
    }

    /// Where its configuration came from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// The node's own link to the control plane.
    pub fn link_state(&self) -> LinkState {
        match self.link.known() {
            None => LinkState::Up,
            Some(Known::Nothing | Known::Unclear) => LinkState::Connecting,
            Some(Known::Gone) => LinkState::Down,
            Some(Known::RefusesNode | Known::RefusesCertificate) => LinkState::Refused,
        }
    }

    /// Why the node does not run what the store has for it.
    pub fn trouble(&self) -> Option<Trouble> {
        let not_adopted = |fed: &Fed| {
            let attempts = fed.attempts;
            (attempts >= ATTEMPTS_BEFORE_NOTICE).then_some(Trouble::NotAdopted { attempts })
        };
        match &self.feeding {
            Feeding::TooLarge(fed) => {
                let limit = self.max_payload().unwrap_or_default();
                Some(Trouble::TooLarge { message: fed.snapshot.message.len(), limit })
            }
            Feeding::Fed(fed) | Feeding::Ready(fed) | Feeding::Due(fed, _) | Feeding::Fetching(Some(fed)) => {
                not_adopted(fed)
            }
            Feeding::No | Feeding::Fetching(None) => self.following.trouble(self.max_payload()),
        }
    }

    /// Whether the snapshot of the last [`Action::Feed`] should still be sent. Since that action, the control plane may have
    /// come back, or the node may have said that it has a configuration.
    pub fn awaits_delivery(&self) -> bool {
        matches!(self.feeding, Feeding::Fed(Fed { next: None, .. })) || self.following.awaits_delivery()
    }

    /// Whether frames pass to and from the control plane.
    pub fn is_spliced(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    // Whether the control plane knows whose link it is.
    fn is_introduced(&self) -> bool {
        self.is_spliced() && self.basic_info.is_some()
    }

    fn tick(&mut self, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        if now - self.last_heard >= IDLE_LIMIT {
            actions.extend([Action::Notify(Notice::NodeSilent), Action::CloseNode(None)]);
            return;
        }

        match &self.link {
            Link::Down { retry_at, known } if *retry_at <= now => {
                self.link = Link::Connecting { since: now, known: *known };
                actions.push(Action::ConnectControlPlane);
            }
            Link::Up(Up { pong_due: Some(due), .. }) if *due <= now => {
                actions.push(Action::DisconnectControlPlane);
                self.lose(now, chance, actions);
            }
            _ => {}
        }
    }

    fn node_sent(&mut self, frame: Frame, now: Moment, actions: &mut Vec<Action>) {
        self.last_heard = now;

        match frame.opcode {
            Opcode::Ping => self.node_pinged(frame, now, actions),
            Opcode::Close => {
                if self.is_introduced() {
                    actions.push(Action::ToControlPlane(frame.clone()));
                }
                actions.push(Action::CloseNode(Some(frame)));
            }
            Opcode::Pong if self.basic_info.is_none() => {}
            _ if self.basic_info.is_none() => self.node_sent_first(frame, now, actions),
            _ => {
                if frame.is_whole_message() && is_node_error(&frame.payload) {
                    self.node_failed(now);
                }
                if self.is_introduced() {
                    actions.push(Action::ToControlPlane(frame));
                }
            }
        }
    }

    fn node_sent_first(&mut self, frame: Frame, now: Moment, actions: &mut Vec<Action>) {
        let read = if frame.is_whole_message() {
            NodeInfo::decode(&frame.payload)
        } else {
            Err(NotBasicInfo::in_another_form())
        };
        match read {
            Ok(info) => {
                self.basic_info = Some((frame, info));
                self.introduce(now, actions);
            }
            Err(problem) => {
                actions.extend([Action::Notify(Notice::NotANode(problem)), Action::CloseNode(Some(Frame::close(1008)))])
            }
        }
    }

    // It could not apply what it was sent last.
    fn node_failed(&mut self, now: Moment) {
        if let Feeding::Fed(fed) = &mut self.feeding {
            fed.was_not_applied(now);
        }
        self.following.was_not_applied(now);
    }

    fn node_pinged(&mut self, frame: Frame, now: Moment, actions: &mut Vec<Action>) {
        if let Some(hash) = hash_in_ping(&frame.payload) {
            actions.push(Action::Notify(Notice::Runs(hash)));
            self.node_runs(hash, now, actions);
        }

        match &mut self.link {
            // The control plane gets nothing from this node before the first message, which says who the node is.
            Link::Up(_) if self.basic_info.is_none() => self.unanswered_ping = Some(frame),
            Link::Up(up) => {
                up.pong_due.get_or_insert(now + PONG_LIMIT);
                self.unanswered_ping = Some(frame.clone());
                actions.push(Action::ToControlPlane(frame));
            }
            // The control plane may be connected in a moment. Then it answers this ping itself, as without a relay.
            Link::Connecting { known: Known::Nothing, .. } => self.unanswered_ping = Some(frame),
            Link::Connecting { .. } | Link::Down { .. } => actions.push(Action::ToNode(Frame::empty_pong())),
        }
    }

    fn node_runs(&mut self, hash: ConfigHash, now: Moment, actions: &mut Vec<Action>) {
        self.runs = Some(hash);
        if hash.is_empty() {
            // While a node loads what it was sent, its pings still carry the old hash.
            self.loading_until = self.loading_until.filter(|until| *until > now);
            if let Feeding::Fed(fed) = &mut self.feeding {
                fed.is_not_run(now);
            }
            return;
        }

        self.loading_until = None;
        if self.following.runs(hash, now) {
            self.source = Source::Store;
            actions.push(Action::Notify(Notice::Adopted(hash)));
        }

        if let Feeding::Fed(fed) | Feeding::Fetching(Some(fed)) | Feeding::Ready(fed) | Feeding::Due(fed, _) =
            &self.feeding
            && fed.attempts > 0
            && fed.snapshot.message.config_hash() == hash
        {
            self.source = Source::Store;
            self.following.was_restored(&fed.snapshot);
            actions.push(Action::Notify(Notice::Adopted(hash)));
        }

        self.feeding = Feeding::No;
    }

    fn fetched(&mut self, snapshot: Arc<ReadySnapshot>) {
        if let Feeding::Fetching(earlier) = &mut self.feeding {
            let fed = match earlier.take() {
                Some(earlier) => earlier.with(snapshot),
                None => Fed::new(snapshot),
            };
            self.feeding = Feeding::Ready(fed);
        }
    }

    // The node's loading time begins when it has the whole snapshot: a large one may wait for its turn before it is sent.
    fn delivered(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.following.awaits_delivery() {
            actions.extend(self.following.delivered(now).map(Action::Notify));
        } else if let Feeding::Fed(fed) = &mut self.feeding {
            fed.delivered(now);
            actions.push(Action::Notify(Notice::Fed { attempt: fed.attempts }));
        }
    }

    // After every event: is there something to fetch, to feed, to feed again?
    fn restore(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let closes = |action: &Action| matches!(action, Action::CloseNode(_));
        let Some((_, info)) = self.basic_info.as_ref().filter(|_| !actions.iter().any(closes)) else {
            return;
        };

        let max_payload = info.max_payload;

        if self.fetch_at().is_some_and(|fetch_at| fetch_at <= now) {
            self.feeding = match std::mem::replace(&mut self.feeding, Feeding::No) {
                Feeding::Fed(fed) | Feeding::TooLarge(fed) => Feeding::Fetching(Some(fed)),
                _ => Feeding::Fetching(None),
            };
            actions.push(Action::Fetch);
        }

        let control_plane = self.control_plane_is(now, actions);

        match restore::decide(self.node_holds(), control_plane, self.rules.on_refusal) {
            Decision::Feed => self.feed(max_payload, now, actions),
            Decision::LeaveAlone => self.feeding = Feeding::No,
            // Nothing more is sent for now. If the control plane sends nothing after all, feeding goes on.
            Decision::Wait => {
                if let Feeding::Due(fed, _) | Feeding::Fed(fed) = &self.feeding {
                    self.feeding = Feeding::Ready(fed.taken_back());
                }
            }
        }

        self.follow(control_plane, now, actions);
    }

    fn feed(&mut self, max_payload: u64, now: Moment, actions: &mut Vec<Action>) {
        let mut fed = match &self.feeding {
            Feeding::Ready(fed) | Feeding::Due(fed, _) => fed.clone(),
            Feeding::Fed(fed) if fed.next.is_some_and(|next| next <= now) => fed.clone(),
            _ => return,
        };
        let message = fed.snapshot.message.len();
        if message > max_payload {
            if self.said_too_large.replace(message) != Some(message) {
                actions.push(Action::Notify(Notice::TooLarge { message, limit: max_payload }));
            }
            fed.next = Some(now + fed.pause.next_wait(1.0));
            self.feeding = Feeding::TooLarge(fed);
            return;
        }
        let may_be_sent_at = fed.may_be_sent_at(self.connected);
        if may_be_sent_at > now {
            self.feeding = Feeding::Due(fed, may_be_sent_at);
            return;
        }

        if fed.attempts == ATTEMPTS_BEFORE_NOTICE {
            let (attempts, runs) = (fed.attempts, self.runs.unwrap_or(ConfigHash::EMPTY));
            actions.push(Action::Notify(Notice::NotAdopted { attempts, runs }));
        }
        fed.send();
        actions.push(Action::Feed(fed.snapshot.clone()));
        self.feeding = Feeding::Fed(fed);
    }

    // When to fetch the snapshot, if it may be needed and isn't there: after a head start for the control plane, or at once
    // if the control plane is gone.
    fn fetch_at(&self) -> Option<Moment> {
        if self.node_holds() != NodeHolds::Nothing {
            return None;
        }

        match &self.feeding {
            Feeding::No => {}
            // An operator may have chosen another snapshot since then (`lifeboat rollback`).
            Feeding::Fed(fed) if fed.attempts >= ATTEMPTS_BEFORE_NOTICE => return fed.next,
            Feeding::TooLarge(fed) => return fed.next,
            Feeding::Fetching(_) | Feeding::Ready(_) | Feeding::Due(..) | Feeding::Fed(_) => return None,
        }

        match &self.link {
            Link::Connecting { since, known: Known::Nothing } => Some(*since + HEAD_START),
            Link::Up(up) if !up.has_given => Some(up.since + HEAD_START),
            Link::Up(_) => None,
            Link::Connecting { known, .. } | Link::Down { known, .. } => match known {
                Known::RefusesCertificate => None,
                Known::RefusesNode if !self.rules.on_refusal.feeds() => None,
                Known::RefusesNode | Known::Nothing | Known::Gone | Known::Unclear => Some(self.last_heard),
            },
        }
    }

    fn node_holds(&self) -> NodeHolds {
        match self.runs {
            // Before the node's first message, it is not known what it can take.
            _ if self.basic_info.is_none() => NodeHolds::Unknown,
            None => NodeHolds::Unknown,
            Some(hash) if hash.is_empty() && self.loading_until.is_some() => NodeHolds::Unknown,
            Some(hash) if hash.is_empty() => NodeHolds::Nothing,
            Some(_) => NodeHolds::Something,
        }
    }
}

#[cfg(test)]
mod tests;
