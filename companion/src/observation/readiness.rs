//! What `/readyz` and `/readyz/export` answer: whether nodes may rely on the relay, and an operator on what is published.
//! Pure, from the facts. What `/readyz/current` answers is in `relay::node_readiness`.

use std::fmt;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::publisher::NewestState;
use lifeboat_core::manifest::Held;
use lifeboat_core::time::WallTime;

use super::{ControlPlaneSays, ExportFacts, Failing, Judged, Lead, RelayFacts};

impl RelayFacts {
    /// Whether nodes can connect and may be given something: whether store and control plane are there does not matter. A
    /// control plane that is there and does not accept the relay's own certificate does.
    ///
    /// # Errors
    /// Why not, in words for an operator.
    pub fn check_ready(&self, now: WallTime) -> Result<(), String> {
        if self.listens.is_none() {
            return Err("the relay does not listen".to_owned());
        }
        if let Some(why) = &self.refused_by_control_plane {
            return Err(format!("the control plane refuses this relay: {why}"));
        }

        match self.certificate {
            Some((from, _)) if now < from => {
                Err(format!("the relay's certificate is not valid before {from}: is this host's clock right"))
            }
            Some((_, until)) if until < now => {
                Err(format!("the relay's certificate has expired at {until}: nodes refuse it, renew it"))
            }
            _ => Ok(()),
        }
    }
}

impl ExportFacts {
    /// Whether the newest configuration is published, an operator's choice is instead, or another exporter sees to it; and
    /// whether what is published can be given to a node.
    ///
    /// # Errors
    /// Why not, in words for an operator.
    pub fn check_ready(&self) -> Result<(), String> {
        if let Some(failing) = &self.election_failing {
            return Err(format!("the leader can't be elected {failing}"));
        }
        if let Some(failing) = &self.failing {
            return Err(format!("what was to be done at the store fails {failing}"));
        }
        if let Some(lost) = &self.payload_lost {
            return Err(lost.clone());
        }

        match &self.lead {
            Lead::Others { .. } => return Ok(()),
            Lead::Unknown => return Err("no exporter is known to lead yet".to_owned()),
            Lead::Own { .. } => {}
        }

        if let ControlPlaneSays::RefusesCertificate(why) = &self.control_plane_says {
            return Err(format!("the control plane refuses this exporter: {why}"));
        }
        let Some(Judged { newest: judged, state }) = &self.judged else {
            return Err("what is in the store is not known yet".to_owned());
        };

        match self.newest.map(|newest| newest.config_hash) {
            None if self.is_connected => Err("the control plane is connected and has sent nothing yet".to_owned()),
            None if let ControlPlaneSays::RefusesNode(why) = &self.control_plane_says => {
                Err(format!("the control plane refuses this node: {why}"))
            }
            None => Err("the control plane is not connected and has sent nothing since the start".to_owned()),
            newest if newest != *judged => Err("a configuration has just come and is being looked at".to_owned()),
            Some(_) if matches!(state, NewestState::Published | NewestState::Pinned(_)) => Ok(()),
            Some(hash) => Err(format!("configuration {hash} is not published: {}", state.reason())),
        }
    }

    /// What the control plane sent last, if it is this exporter that writes and the store has it neither published nor held.
    pub fn unwritten(&self) -> Option<ConfigHash> {
        let newest = self.newest?.config_hash;
        if let Lead::Others { .. } = self.lead {
            return None;
        }

        let judged = self.judged.as_ref().filter(|judged| judged.newest == Some(newest));
        let state = judged.map(|judged| &judged.state);
        let is_written = match state {
            Some(
                NewestState::Published | NewestState::Pinned(_) | NewestState::Outdated | NewestState::Doubted { .. },
            ) => true,
            Some(NewestState::Held(_)) => self.failing.is_none(),
            Some(
                NewestState::Nothing
                | NewestState::Confirming { .. }
                | NewestState::Delayed { .. }
                | NewestState::Ready(_),
            )
            | None => false,
        };
        (!is_written).then_some(newest)
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "since {}: {}", self.since, self.reason)
    }
}

/// What metrics and status call a state.
pub fn newest_state_name(state: &NewestState) -> &'static str {
    match state {
        NewestState::Nothing => "nothing",
        NewestState::Published => "published",
        NewestState::Pinned(_) => "pinned",
        NewestState::Outdated => "outdated",
        NewestState::Doubted { .. } => "doubted",
        NewestState::Held(_) => "held",
        NewestState::Confirming { .. } => "confirming",
        NewestState::Delayed { .. } => "delayed",
        NewestState::Ready(_) => "ready",
    }
}

/// All of these names.
pub(crate) const NEWEST_STATES: [&str; 9] =
    ["nothing", "published", "pinned", "outdated", "doubted", "held", "confirming", "delayed", "ready"];

/// What they call a reason for holding.
pub(crate) fn held_name(held: &Held) -> &'static str {
    match held {
        Held::Shrunk(_) => "shrunk",
        Held::Refused => "refused",
        Held::Unrunnable(_) => "unrunnable",
        Held::Unreleased => "unreleased",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::RelayRecorder;
    use super::*;

    #[test]
    fn a_relay_is_ready_while_it_listens_with_a_certificate_that_is_valid_now() {
        let now = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let day = Duration::from_secs(86_400);
        let mut facts = RelayFacts::default();
        assert!(facts.check_ready(now).unwrap_err().contains("does not listen"));
        facts.listens = Some(([127, 0, 0, 1], 8005).into());
        facts.certificate = Some((now, now + day));
        assert_eq!(facts.check_ready(now + day), Ok(()));
        assert!(facts.check_ready(now + 2 * day).unwrap_err().contains("has expired"));
        facts.certificate = Some((now + day, now + 2 * day));
        assert!(facts.check_ready(now).unwrap_err().contains("clock"));
    }

    #[test]
    fn a_relay_whose_certificate_the_control_plane_refuses_is_not_ready_until_it_is_taken_or_another_one() {
        let now = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let relay = RelayRecorder::default();
        relay.listens(([127, 0, 0, 1], 8005).into());
        let refuse = || relay.refused_by_the_control_plane("it does not accept CN kong_clustering".to_owned());
        for accept in [RelayRecorder::reached, RelayRecorder::not_reached] {
            refuse();
            assert!(relay.facts().check_ready(now).unwrap_err().contains("CN kong_clustering"));
            accept(&relay);
            assert_eq!(relay.facts().check_ready(now), Ok(()));
        }
    }
}
