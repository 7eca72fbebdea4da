//! The control plane's side of a node's session: its link, what is known while there is none, and what passes over it.

use std::time::Duration;

use super::fed::{EXPANDS, loading_time};
use super::{Action, Event, Feeding, NodeHolds, NodeSession, Notice};
use crate::backoff::spread;
use crate::frame::{Frame, Opcode};
use crate::kong::ping::ping;
use crate::session::answer::{EarlyEnd, PONG_LIMIT, REFUSAL_WINDOW, Refusal, Verdict, early_end};
use crate::session::restore::ControlPlaneIs;
use crate::time::Moment;

/// The node's own link to the control plane.
#[derive(Debug)]
pub(super) enum Link {
    Connecting { since: Moment, known: Known },
    Up(Up),
    Down { retry_at: Moment, known: Known },
}

/// What is known of a control plane to which there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It is being asked for the first time.
    Nothing,
    Gone,
    /// It has refused this node.
    RefusesNode,
    /// It does not accept the certificate that it is shown in the node's name.
    RefusesCertificate,
    /// It may have refused the certificate: it is asked again.
    Unclear,
}

#[derive(Debug)]
pub(super) struct Up {
    pub(super) since: Moment,
    /// Since when no byte of a message has come from it.
    pub(super) quiet_since: Moment,
    pub(super) has_given: bool,
    pub(super) said_silent: bool,
    pub(super) pong_due: Option<Moment>,
    pongs_to_swallow: u32,
    /// What it has sent waits here for room, and so does a pong that came after it.
    is_held_back: bool,
}

impl Link {
    pub(super) fn asked_for_the_first_time(now: Moment) -> Self {
        Self::Connecting { since: now, known: Known::Nothing }
    }

    /// What is known of the control plane, if there is no link to it.
    pub(super) fn known(&self) -> Option<Known> {
        match self {
            Self::Connecting { known, .. } | Self::Down { known, .. } => Some(*known),
            Self::Up(_) => None,
        }
    }
}

impl NodeSession {
    pub(super) fn control_plane_event(&mut self, event: Event, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        match event {
            Event::ControlPlaneHeard => self.control_plane_heard(now),
            Event::ControlPlaneHeldBack => self.hold_back(true),
            Event::FromControlPlane(frame) => self.control_plane_sent(frame, now, chance, actions),
            Event::ControlPlaneConnected => self.connected(now, actions),
            Event::ControlPlaneFailed(verdict) => self.connect_failed(verdict, now, chance, actions),
            Event::ControlPlaneClosed => self.control_plane_closed(None, now, chance, actions),
            // The control plane has sent something, so the node must not get the store's snapshot instead. The node
            // reconnects, as it would if it had failed to read the message itself.
            Event::ControlPlaneUnreadable => actions.push(Action::CloseNode(Some(Frame::close(1011)))),
            // If the relay alone served this node, it would get no changes as long as the control plane is there. So its link
            // is closed: it reconnects in 5 to 10 s, perhaps to another relay.
            Event::NoFileForLink => {
                actions.extend([Action::Notify(Notice::NoFileForLink), Action::CloseNode(Some(Frame::close(1013)))]);
            }
            _ => {}
        }
    }

    pub(super) fn link_is_lost(&self) -> bool {
        self.link.known() == Some(Known::Gone)
    }

    /// The control plane's state, as far as it decides whether the node is fed.
    pub(super) fn control_plane_is(&mut self, now: Moment, actions: &mut Vec<Action>) -> ControlPlaneIs {
        let empty = self.node_holds() == NodeHolds::Nothing;
        let up = match &mut self.link {
            Link::Connecting { known, .. } | Link::Down { known, .. } => {
                return match known {
                    Known::Nothing | Known::Unclear => ControlPlaneIs::BeingAsked,
                    Known::Gone => ControlPlaneIs::Gone,
                    Known::RefusesNode => ControlPlaneIs::Refusing,
                    Known::RefusesCertificate => ControlPlaneIs::RefusingCertificate,
                };
            }
            Link::Up(up) => up,
        };

        if up.has_given {
            return ControlPlaneIs::Giving;
        }
        if now - up.quiet_since < self.rules.config_timeout {
            return ControlPlaneIs::BeingAsked;
        }
        if empty && !std::mem::replace(&mut up.said_silent, true) {
            actions.push(Action::Notify(Notice::Silent(now - up.since)));
        }
        ControlPlaneIs::Silent
    }

    fn control_plane_sent(&mut self, frame: Frame, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        self.control_plane_lives();
        self.hold_back(false);
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
                self.source = super::Source::ControlPlane;
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
            is_held_back: false,
        });
        actions.push(Action::Notify(Notice::Spliced));
        self.introduce(now, actions);
    }

    /// Sends the node's own first message, then a ping that says what the node runs: the node's, if it still waits for the
    /// pong, otherwise one in its name. Nothing may reach a control plane before the first message (KONG.md section 1): Kong
    /// 3.10 and later could crash.
    pub(super) fn introduce(&mut self, now: Moment, actions: &mut Vec<Action>) {
        let (Link::Up(up), Some((basic_info, info))) = (&mut self.link, &self.basic_info) else {
            return;
        };
        (up.since, up.quiet_since) = (now, now);
        actions.extend([Action::RaiseLimit(info.max_payload), Action::ToControlPlane(basic_info.clone())]);

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

    fn connect_failed(&mut self, verdict: Verdict, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        let usual = spread(self.rules.retry.0, self.rules.retry.1, chance);
        let retry_in = verdict.retry_in(usual, chance);
        match verdict {
            Verdict::RefusesNode(refusal) => self.refused(refusal, None, now + retry_in, actions),
            Verdict::RefusesCertificate(_) => {
                // The node may reconnect to another relay, whose certificate is accepted.
                actions.push(Action::CloseNode(Some(Frame::close(1008))));
                self.down(Known::RefusesCertificate, now + retry_in, actions);
            }
            Verdict::Unclear => self.down(Known::Unclear, now + retry_in, actions),
            Verdict::Outage { .. } => self.gone(None, now, retry_in, actions),
        }
    }

    fn control_plane_closed(&mut self, close: Option<Frame>, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        let Link::Up(up) = &self.link else { return };
        let is_early = self.basic_info.is_some() && !up.has_given && now - up.since < REFUSAL_WINDOW;
        let retry_in = spread(self.rules.retry.0, self.rules.retry.1, chance);
        match early_end(close.as_ref()) {
            Ok(refusal) if is_early => self.refused(refusal, close, now + retry_in, actions),
            Err(early) if is_early => self.gone(Some(early), now, retry_in, actions),
            _ => self.gone(None, now, retry_in, actions),
        }
    }

    fn refused(&mut self, refusal: Refusal, close: Option<Frame>, retry_at: Moment, actions: &mut Vec<Action>) {
        actions.push(Action::Notify(Notice::Refused(refusal, self.rules.on_refusal)));
        if !self.rules.on_refusal.feeds() {
            // The node sees what it would see without a relay: its link closes, and it tries again in 5 to 10 s.
            actions.push(Action::CloseNode(Some(close.unwrap_or_else(|| Frame::close(1008)))));
        }
        self.down(Known::RefusesNode, retry_at, actions);
    }

    /// The control plane did not answer a ping.
    pub(super) fn lose(&mut self, now: Moment, chance: f64, actions: &mut Vec<Action>) {
        let retry_in = spread(self.rules.retry.0, self.rules.retry.1, chance);
        self.gone(None, now, retry_in, actions);
    }

    fn gone(&mut self, early: Option<EarlyEnd>, now: Moment, retry_in: Duration, actions: &mut Vec<Action>) {
        actions.push(Action::Notify(Notice::Gone { early, retry_in }));
        self.down(Known::Gone, now + retry_in, actions);
    }

    fn down(&mut self, known: Known, retry_at: Moment, actions: &mut Vec<Action>) {
        self.link = Link::Down { retry_at, known };
        if self.unanswered_ping.take().is_some() {
            actions.push(Action::ToNode(Frame::empty_pong()));
        }
    }

    // A large message may take a long time to arrive; that is not silence.
    fn control_plane_heard(&mut self, now: Moment) {
        self.control_plane_lives();
        self.hold_back(false);
        if let Link::Up(up) = &mut self.link {
            up.quiet_since = now;
        }
    }

    /// While the relay does not read from the control plane, no time counts against it.
    pub(super) fn excuse_held_back(&mut self, now: Moment) {
        if let Link::Up(up) = &mut self.link
            && up.is_held_back
        {
            (up.quiet_since, up.pong_due) = (now, None);
        }
    }

    fn hold_back(&mut self, is_held_back: bool) {
        if let Link::Up(up) = &mut self.link {
            up.is_held_back = is_held_back;
        }
    }

    fn control_plane_lives(&mut self) {
        if let Link::Up(up) = &mut self.link {
            up.pong_due = None;
        }
    }
}
