//! A node's session in the relay: the node's link on one side, its own link to the control plane on the other. While
//! the control plane is there, frames pass unchanged; while it is gone, the node's pings are answered and, if it has no
//! configuration, it is fed from the store until its ping says that it runs it.

mod event;
mod following;

use std::sync::Arc;
use std::time::Duration;

pub use event::{Action, Event, LinkState, Notice, Offer, Rules, Source, Trouble};

use self::following::Following;
use super::restore::{self, ControlPlaneIs, Decision, NodeHolds, OnRefusal};
use super::{ConnectFailure, IDLE_LIMIT, REFUSAL_WINDOW};
use crate::backoff::{Backoff, spread};
use crate::digest::ConfigHash;
use crate::frame::{Frame, Opcode};
use crate::kong::basic_info::NodeInfo;
use crate::kong::ping::{hash_in_ping, ping};
use crate::time::Moment;

/// How long a control plane may take to answer a forwarded ping before it counts as gone.
pub const PONG_LIMIT: Duration = Duration::from_secs(10);
/// How long the control plane is asked before the snapshot is fetched in advance.
pub const HEAD_START: Duration = Duration::from_millis(500);
/// When a fed node is fed for the second time if its ping has not confirmed: a node drops what arrives before it has
/// made its database (KONG.md "A race to survive").
pub const FIRST_REPEAT: Duration = Duration::from_millis(1500);
/// The longest pause between two attempts to feed a node.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How many attempts without an answer are worth a warning.
pub const ATTEMPTS_BEFORE_NOTICE: u32 = 3;

// 50,000 services and routes take a node 12 s to load: 58 MB of JSON, 6.6 MB compressed (KONG.md section 1).
const LOADED_PER_SECOND: f64 = 5e6;
const EXPANDS: u64 = 9;

/// One node's session.
#[derive(Debug)]
pub struct NodeSession {
    rules: Rules,
    link: Link,
    basic_info: Option<(Frame, NodeInfo)>,
    runs: Option<ConfigHash>,
    unanswered_ping: Option<Frame>,
    last_heard: Moment,
    /// The control plane has sent it a configuration, and until then it may still be loading it.
    loading_until: Option<Moment>,
    source: Source,
    feeding: Feeding,
    following: Following,
    /// The length of the snapshot of which it was said that it is too large.
    said_too_large: Option<u64>,
}

#[derive(Debug)]
enum Link {
    /// `again`: the control plane was gone before, so this try keeps nothing waiting.
    Connecting {
        since: Moment,
        again: bool,
    },
    Up(Up),
    Down {
        retry_at: Moment,
        refused: bool,
    },
}

#[derive(Debug)]
struct Up {
    since: Moment,
    /// Since when it has sent nothing of a message.
    quiet_since: Moment,
    has_given: bool,
    said_silent: bool,
    pong_due: Option<Moment>,
    pongs_to_swallow: u32,
}

#[derive(Debug)]
enum Feeding {
    No,
    /// The node may have been fed before, without success: then there may be another snapshot by now.
    Fetching(Option<Fed>),
    Ready(Fed),
    Fed(Fed),
    /// It was not sent, and is to be fetched again: a smaller one may have been published by then.
    TooLarge(Fed),
}

/// A snapshot and how often the node was sent it.
#[derive(Clone, Debug)]
struct Fed {
    offer: Arc<Offer>,
    attempts: u32,
    /// How long the node then has to say that it runs it.
    wait: Duration,
    /// When that ends; unknown until the last byte has gone.
    next: Option<Moment>,
    pause: Backoff,
}

impl Fed {
    fn new(offer: Arc<Offer>) -> Self {
        let pause = pause_for(&offer);
        Self { offer, attempts: 0, wait: FIRST_REPEAT, next: None, pause }
    }

    /// The same snapshot goes on where it was; another one begins anew.
    fn with(self, offer: Arc<Offer>) -> Self {
        if offer.message.config_hash() == self.offer.message.config_hash() { self } else { Self::new(offer) }
    }
}

impl NodeSession {
    /// The session of a node that has just connected, and the first thing to do: ask the control plane.
    pub fn begin(rules: Rules, now: Moment) -> (Self, Vec<Action>) {
        let session = Self {
            rules,
            link: Link::Connecting { since: now, again: false },
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

    /// Takes one event. `chance` in `0.0..1.0` spreads reconnects.
    pub fn handle(&mut self, event: Event, now: Moment, chance: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Tick => self.tick(now, chance, &mut actions),
            Event::FromNode(frame) => self.node_sent(frame, now, &mut actions),
            Event::ControlPlaneHeard => self.control_plane_heard(now),
            Event::FromControlPlane(frame) => self.control_plane_sent(frame, now, chance, &mut actions),
            Event::ControlPlaneConnected => self.connected(now, &mut actions),
            Event::ControlPlaneFailed(failure) => self.connect_failed(failure, now, chance, &mut actions),
            Event::ControlPlaneClosed => self.control_plane_closed(None, now, chance, &mut actions),
            // It has sent something, so the store must not speak in its place. The node tries again, as it would if it
            // had failed to read that itself.
            Event::ControlPlaneUnreadable => actions.push(Action::CloseNode(Some(Frame::close(1011)))),
            Event::Fetched(offer) if self.following.fetched(&offer) => {}
            Event::Fetched(offer) => self.fetched(offer),
            Event::Published(bulletin) => self.published(bulletin, &mut actions),
            Event::Delivered => self.delivered(now, &mut actions),
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
            Feeding::Fed(Fed { next: Some(next), .. }) => wake_at.min(*next),
            _ => wake_at,
        }
    }

    /// What the node's newest ping says that it runs.
    pub fn runs(&self) -> Option<ConfigHash> {
        self.runs
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
        match self.link {
            Link::Connecting { again: false, .. } => LinkState::Connecting,
            Link::Up(_) => LinkState::Up,
            Link::Down { refused: true, .. } => LinkState::Refused,
            Link::Connecting { again: true, .. } | Link::Down { refused: false, .. } => LinkState::Down,
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
                Some(Trouble::TooLarge { message: fed.offer.message.len(), limit })
            }
            Feeding::Fed(fed) | Feeding::Ready(fed) | Feeding::Fetching(Some(fed)) => not_adopted(fed),
            Feeding::No | Feeding::Fetching(None) => self.following.trouble(self.max_payload()),
        }
    }

    /// Whether the snapshot that was last asked to be sent is still to be sent: since then the control plane may have
    /// come, or the node have said that it has something.
    pub fn awaits_delivery(&self) -> bool {
        matches!(self.feeding, Feeding::Fed(Fed { next: None, .. })) || self.following.awaits_delivery()
    }

    /// Whether frames pass to and from the control plane.
    pub fn is_spliced(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    fn tick(&mut self, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        if now - self.last_heard >= IDLE_LIMIT {
            actions.extend([Action::Notify(Notice::NodeSilent), Action::CloseNode(None)]);
            return;
        }
        match &self.link {
            Link::Down { retry_at, .. } if *retry_at <= now => {
                self.link = Link::Connecting { since: now, again: true };
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
        if self.basic_info.is_none() && frame.is_whole_message() {
            match NodeInfo::decode(&frame.payload) {
                Ok(info) => self.basic_info = Some((frame.clone(), info)),
                Err(problem) => {
                    actions.extend([
                        Action::Notify(Notice::NotANode(problem)),
                        Action::CloseNode(Some(Frame::close(1008))),
                    ]);
                    return;
                }
            }
            self.introduce(now, actions);
            return;
        }
        if frame.opcode == Opcode::Ping {
            self.node_pinged(frame, now, actions);
        } else if frame.opcode == Opcode::Close {
            if self.is_spliced() {
                actions.push(Action::ToControlPlane(frame.clone()));
            }
            actions.push(Action::CloseNode(Some(frame)));
        } else if let Link::Up(_) = self.link {
            actions.push(Action::ToControlPlane(frame));
        }
    }

    fn node_pinged(&mut self, frame: Frame, now: Moment, actions: &mut Vec<Action>) {
        if let Some(hash) = hash_in_ping(&frame.payload) {
            self.node_runs(hash, now, actions);
        }
        match &mut self.link {
            Link::Up(up) => {
                up.pong_due.get_or_insert(now + PONG_LIMIT);
                self.unanswered_ping = Some(frame.clone());
                actions.push(Action::ToControlPlane(frame));
            }
            // The control plane may be there in a moment: then it answers, as if nobody stood between.
            Link::Connecting { again: false, .. } => self.unanswered_ping = Some(frame),
            Link::Connecting { .. } | Link::Down { .. } => actions.push(Action::ToNode(Frame::empty_pong())),
        }
    }

    fn node_runs(&mut self, hash: ConfigHash, now: Moment, actions: &mut Vec<Action>) {
        self.runs = Some(hash);
        if hash.is_empty() {
            // While a node loads what it was sent, its pings still carry the old hash.
            self.loading_until = self.loading_until.filter(|until| *until > now);
            return;
        }
        self.loading_until = None;
        if self.following.runs(hash) {
            self.source = Source::Store;
            actions.push(Action::Notify(Notice::Adopted(hash)));
        }
        if let Feeding::Fed(fed) | Feeding::Fetching(Some(fed)) | Feeding::Ready(fed) = &self.feeding
            && fed.attempts > 0
            && fed.offer.message.config_hash() == hash
        {
            self.source = Source::Store;
            self.following.was_restored(&fed.offer);
            actions.push(Action::Notify(Notice::Adopted(hash)));
        }
        self.feeding = Feeding::No;
    }

    fn control_plane_sent(&mut self, frame: Frame, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        self.control_plane_lives();
        let Link::Up(up) = &mut self.link else { return };
        match frame.opcode {
            Opcode::Close => {
                actions.push(Action::DisconnectControlPlane);
                self.control_plane_closed(Some(frame), now, chance, actions);
            }
            Opcode::Pong if up.pongs_to_swallow > 0 => up.pongs_to_swallow -= 1,
            Opcode::Pong => {
                self.unanswered_ping = None;
                actions.push(Action::ToNode(frame));
            }
            Opcode::Ping => actions.push(Action::ToNode(frame)),
            Opcode::Binary | Opcode::Text | Opcode::Continuation => {
                up.has_given = true;
                self.source = Source::ControlPlane;
                self.feeding = Feeding::No;
                self.following.was_given();
                self.loading_until = Some(now + loading_time(frame.payload.len() as u64 * EXPANDS));
                actions.push(Action::Notify(Notice::Given(frame.payload.len() as u64)));
                actions.push(Action::ToNode(frame));
            }
        }
    }

    fn connected(&mut self, now: Moment, actions: &mut Vec<Action>) {
        self.link = Link::Up(Up {
            since: now,
            quiet_since: now,
            has_given: false,
            said_silent: false,
            pong_due: None,
            pongs_to_swallow: 0,
        });
        // From now on it is the control plane's turn; if it stays silent, feeding goes on.
        if let Feeding::Fed(fed) = &self.feeding {
            self.feeding = Feeding::Ready(fed.clone());
        }
        actions.push(Action::Notify(Notice::Spliced));
        if self.basic_info.is_some() {
            self.introduce(now, actions);
        }
    }

    // The node's own first message, then what it runs: its ping if it still waits for the pong, else one in its name.
    fn introduce(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let (Link::Up(up), Some((basic_info, _))) = (&mut self.link, &self.basic_info) else {
            return;
        };
        (up.since, up.quiet_since) = (now, now);
        actions.push(Action::ToControlPlane(basic_info.clone()));
        let in_its_name = match (&self.unanswered_ping, self.runs) {
            (Some(ping), _) => ping.clone(),
            (None, Some(hash)) => {
                up.pongs_to_swallow += 1;
                ping(hash)
            }
            (None, None) => return,
        };
        up.pong_due = Some(now + PONG_LIMIT);
        actions.push(Action::ToControlPlane(in_its_name));
    }

    fn connect_failed(&mut self, failure: ConnectFailure, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        match failure {
            ConnectFailure::Unreachable => self.lose(now, chance, actions),
            ConnectFailure::Refused(status) => self.refused(Some(status), None, now, chance, actions),
        }
    }

    fn control_plane_closed(&mut self, close: Option<Frame>, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        let Link::Up(up) = &self.link else { return };
        let introduced = self.basic_info.is_some();
        if introduced && !up.has_given && now - up.since < REFUSAL_WINDOW {
            self.refused(None, close, now, chance, actions);
        } else {
            self.lose(now, chance, actions);
        }
    }

    fn refused(
        &mut self,
        status: Option<u16>,
        close: Option<Frame>,
        now: Moment,
        chance: f64,
        actions: &mut Vec<Action>,
    ) {
        actions.push(Action::Notify(Notice::Refused(status)));
        if self.rules.on_refusal == OnRefusal::LeaveAlone {
            // The node sees what it would see without a relay: its link closes, and it tries again in 5 to 10 s.
            actions.push(Action::CloseNode(Some(close.unwrap_or_else(|| Frame::close(1008)))));
        }
        self.down(true, now, chance);
        self.answer_ping(actions);
    }

    fn lose(&mut self, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        let retry_in = self.down(false, now, chance);
        actions.push(Action::Notify(Notice::Gone { retry_in }));
        self.answer_ping(actions);
    }

    fn down(&mut self, refused: bool, now: Moment, chance: f64) -> Duration {
        let retry_in = spread(self.rules.retry.0, self.rules.retry.1, chance);
        self.link = Link::Down { retry_at: now + retry_in, refused };
        retry_in
    }

    fn answer_ping(&mut self, actions: &mut Vec<Action>) {
        if self.unanswered_ping.take().is_some() {
            actions.push(Action::ToNode(Frame::empty_pong()));
        }
    }

    // A large message may take long on its way, and is not silence.
    fn control_plane_heard(&mut self, now: Moment) {
        self.control_plane_lives();
        if let Link::Up(up) = &mut self.link {
            up.quiet_since = now;
        }
    }

    fn control_plane_lives(&mut self) {
        if let Link::Up(up) = &mut self.link {
            up.pong_due = None;
        }
    }

    fn fetched(&mut self, offer: Arc<Offer>) {
        if let Feeding::Fetching(earlier) = &mut self.feeding {
            let fed = match earlier.take() {
                Some(earlier) => earlier.with(offer),
                None => Fed::new(offer),
            };
            self.feeding = Feeding::Ready(fed);
        }
    }

    // The node's time to load it begins when it has all of it: a large one may wait for its turn before it is sent.
    fn delivered(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.following.awaits_delivery() {
            actions.extend(self.following.delivered(now).map(Action::Notify));
        } else if let Feeding::Fed(fed) = &mut self.feeding {
            fed.next = Some(now + fed.wait);
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
            Decision::Wait => {}
        }
        self.follow(control_plane, now, actions);
    }

    fn feed(&mut self, max_payload: u64, now: Moment, actions: &mut Vec<Action>) {
        let mut fed = match &self.feeding {
            Feeding::Ready(fed) => fed.clone(),
            Feeding::Fed(fed) if fed.next.is_some_and(|next| next <= now) => fed.clone(),
            _ => return,
        };
        let message = fed.offer.message.len();
        if message > max_payload {
            if self.said_too_large.replace(message) != Some(message) {
                actions.push(Action::Notify(Notice::TooLarge { message, limit: max_payload }));
            }
            fed.next = Some(now + fed.pause.next_wait(1.0));
            self.feeding = Feeding::TooLarge(fed);
            return;
        }
        if fed.attempts == ATTEMPTS_BEFORE_NOTICE {
            let (attempts, runs) = (fed.attempts, self.runs.unwrap_or(ConfigHash::EMPTY));
            actions.push(Action::Notify(Notice::NotAdopted { attempts, runs }));
        }
        fed.attempts += 1;
        (fed.wait, fed.next) = (if fed.attempts == 1 { FIRST_REPEAT } else { fed.pause.next_wait(1.0) }, None);
        actions.push(Action::Feed(fed.offer.clone()));
        self.feeding = Feeding::Fed(fed);
    }

    // When the snapshot is to be fetched, if it may be needed and isn't there: after a head start of the control plane,
    // or at once if that is gone.
    fn fetch_at(&self) -> Option<Moment> {
        if self.node_holds() != NodeHolds::Nothing {
            return None;
        }
        match &self.feeding {
            Feeding::No => {}
            // Another one may have been chosen for it since (`lifeboat rollback`).
            Feeding::Fed(fed) if fed.attempts >= ATTEMPTS_BEFORE_NOTICE => return fed.next,
            Feeding::TooLarge(fed) => return fed.next,
            Feeding::Fetching(_) | Feeding::Ready(_) | Feeding::Fed(_) => return None,
        }
        match &self.link {
            Link::Connecting { since, again: false } => Some(*since + HEAD_START),
            Link::Up(up) if !up.has_given => Some(up.since + HEAD_START),
            Link::Down { refused: true, .. } if self.rules.on_refusal == OnRefusal::LeaveAlone => None,
            Link::Connecting { again: true, .. } | Link::Down { .. } => Some(self.last_heard),
            Link::Up(_) => None,
        }
    }

    fn link_is_lost(&self) -> bool {
        matches!(self.link, Link::Down { refused: false, .. } | Link::Connecting { again: true, .. })
    }

    fn node_holds(&self) -> NodeHolds {
        match self.runs {
            // Before its first message it is not known what it can be given.
            _ if self.basic_info.is_none() => NodeHolds::Unknown,
            None => NodeHolds::Unknown,
            Some(hash) if hash.is_empty() && self.loading_until.is_some() => NodeHolds::Unknown,
            Some(hash) if hash.is_empty() => NodeHolds::Nothing,
            Some(_) => NodeHolds::Something,
        }
    }

    fn control_plane_is(&mut self, now: Moment, actions: &mut Vec<Action>) -> ControlPlaneIs {
        let empty = self.node_holds() == NodeHolds::Nothing;
        match &mut self.link {
            Link::Connecting { again: true, .. } => ControlPlaneIs::Gone,
            Link::Connecting { again: false, .. } => ControlPlaneIs::BeingAsked,
            Link::Up(up) if up.has_given => ControlPlaneIs::Giving,
            Link::Up(up) if now - up.quiet_since >= self.rules.config_timeout => {
                if empty && !std::mem::replace(&mut up.said_silent, true) {
                    actions.push(Action::Notify(Notice::Silent(now - up.since)));
                }
                ControlPlaneIs::Silent
            }
            Link::Up(_) => ControlPlaneIs::BeingAsked,
            Link::Down { refused: true, .. } => ControlPlaneIs::Refusing,
            Link::Down { refused: false, .. } => ControlPlaneIs::Gone,
        }
    }
}

// From the third attempt on a node gets at least the time that it may need to load a configuration of this size.
fn pause_for(offer: &Offer) -> Backoff {
    Backoff::new(2 * FIRST_REPEAT + loading_time(offer.config_bytes), LONGEST_PAUSE)
}

fn loading_time(config_bytes: u64) -> Duration {
    FIRST_REPEAT + Duration::from_secs_f64(config_bytes as f64 / LOADED_PER_SECOND)
}

#[cfg(test)]
mod tests;
