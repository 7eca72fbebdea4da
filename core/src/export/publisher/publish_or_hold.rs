//! The decision: the newest configuration's state, computed from the known facts. Pure: it remembers nothing.

use std::time::Duration;

use super::super::adoption::{Adoption, CONFIRMATION_WAIT};
use super::super::history::Past;
use super::facts::{Doubt, Facts, Newest, Phase};
use crate::manifest::{Held, Pin, State};
use crate::object_key::HistoryState;
use crate::time::Moment;

/// How long a configuration that was published before and then replaced is doubted.
pub(super) const DOUBT: Duration = Duration::from_secs(120);

/// The state of the newest configuration, which is what the control plane sent last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewestState {
    /// Nothing has been received.
    Nothing,
    /// It is the published one.
    Published,
    /// An operator's choice is published instead, until the control plane's configuration changes or it is unpinned.
    Pinned(Pin),
    /// The link that it came over is gone, and the published one may be newer: only the control plane can tell.
    Outdated,
    /// It was published before and then replaced. A control plane that was cut off from its database sends such an old
    /// configuration (KONG.md section 1). So it waits, and the control plane is then asked again on a new connection.
    Doubted {
        /// When it is asked for again.
        until: Moment,
    },
    /// It is written to the store as held, and not published.
    Held(Held),
    /// It waits for a node that runs it.
    Confirming {
        /// When it is published all the same.
        until: Moment,
    },
    /// It waits for `cluster_fallback_config_export_delay`.
    Delayed {
        /// When it goes out.
        until: Moment,
    },
    /// It is to be published, for this reason.
    Ready(State),
}

impl NewestState {
    /// Why the newest configuration isn't published, in words for an operator.
    pub fn reason(&self) -> String {
        match self {
            Self::Held(why @ Held::Unrunnable(_)) => format!(
                "it is held, because {why}. New nodes are still restored from what is published. Mend it at the control plane, \
             whose data planes can't run it either"
            ),
            Self::Held(why) => format!(
                "it is held, because {why}. New nodes are still restored from what is published. If it is right: lifeboat \
             release"
            ),
            Self::Pinned(Pin::Unpin) => {
                "an operator has pinned another one, which stays until it is unpinned".to_owned()
            }
            Self::Pinned(Pin::Change { .. }) => {
                "an operator has chosen another one instead of it, which stays until the \
                                                 control plane's configuration changes"
                    .to_owned()
            }
            Self::Outdated => "the link that it came over is gone, and what is published may be newer".to_owned(),
            Self::Doubted { .. } => "it was published before and then replaced. A control plane that can't reach its \
                                     database sends such a one, so it is asked for again in two minutes"
                .to_owned(),
            Self::Confirming { .. } => "it waits for a node that runs it".to_owned(),
            Self::Delayed { .. } => "it waits for KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY".to_owned(),
            Self::Nothing | Self::Published | Self::Ready(_) => "it was not written".to_owned(),
        }
    }
}

impl Facts {
    /// The newest configuration's state.
    pub(super) fn newest_state(&self, now: Moment) -> NewestState {
        let Some(newest) = &self.newest else { return NewestState::Nothing };
        if let Some(lost) = self.lost_as(newest.hash) {
            return NewestState::Ready(lost.state);
        }

        if self.is_published(newest.hash) {
            return NewestState::Published;
        }
        if let Some(pin) = self.pin_against(newest) {
            return NewestState::Pinned(pin);
        }
        let past = self.store.history.of(newest.hash);
        if !self.is_current() && (past.is_some() || newest.last_received <= self.store.since) {
            return NewestState::Outdated;
        }
        if let Some(until) = self.doubted_until(newest, past) {
            return NewestState::Doubted { until };
        }
        let adoption = self.adoption(newest);
        if let Some(held) = self.objection(newest, past, adoption) {
            return NewestState::Held(held);
        }
        self.when_to_publish(now, adoption)
    }

    /// Whether only a new connection to the control plane can tell how to go on.
    pub(super) fn must_ask_again(&self, now: Moment) -> bool {
        match self.newest_state(now) {
            NewestState::Doubted { until } => until <= now,
            // Its bytes were dropped when it was the published one. A new link brings them again.
            NewestState::Ready(_) => {
                self.is_current() && self.newest.as_ref().is_some_and(|newest| newest.configuration.is_none())
            }
            _ => false,
        }
    }

    fn pin_against(&self, newest: &Newest) -> Option<Pin> {
        let pin = self.store.published.as_ref()?.pin?;
        let stands = match pin {
            Pin::Unpin => true,
            Pin::Change { instead_of } => {
                newest.hash == instead_of || self.pinned_over.is_some_and(|moment| newest.first_received <= moment)
            }
        };
        stands.then_some(pin)
    }

    fn doubted_until(&self, newest: &Newest, past: Option<&Past>) -> Option<Moment> {
        let published = self.store.published.as_ref()?;
        if past?.id.sequence >= published.sequence || self.rules.doubt == Doubt::Nothing {
            return None;
        }
        let until = newest.first_received.max(self.store.since) + DOUBT;
        (newest.link_opened < until).then_some(until)
    }

    fn objection(&self, newest: &Newest, past: Option<&Past>, adoption: Adoption) -> Option<Held> {
        if let Some(why) = &newest.unrunnable {
            return Some(Held::Unrunnable(why.clone()));
        }
        if let Some(published) = &self.store.published
            && let Some(shrunk) = self.rules.guard.objection(&published.counts, &newest.counts)
        {
            return Some(Held::Shrunk(shrunk));
        }
        let state = past.map(|past| past.state);
        if state == Some(HistoryState::HeldAsShrunk) || newest.was_held {
            return Some(Held::Unreleased);
        }
        let refused = newest.refused || state == Some(HistoryState::HeldAsRefused);
        (refused && adoption != Adoption::Confirmed).then_some(Held::Refused)
    }

    fn when_to_publish(&self, now: Moment, adoption: Adoption) -> NewestState {
        let state = if adoption == Adoption::Confirmed { State::Confirmed } else { State::Received };
        if self.phase == Phase::Stopping {
            return NewestState::Ready(state);
        }
        // Counted from the first configuration that waited: a control plane that sends a new one each minute must not keep
        // all of them waiting for ever.
        let patient_until = self.waiting_since.unwrap_or(now) + CONFIRMATION_WAIT;
        if adoption == Adoption::Open && now < patient_until {
            return NewestState::Confirming { until: patient_until };
        }
        if now < self.not_before {
            return NewestState::Delayed { until: self.not_before };
        }
        NewestState::Ready(state)
    }
}
