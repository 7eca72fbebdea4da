//! Whether the control plane can be reached, as all nodes' links together tell it: said once when it changes, not once
//! per node.

use std::sync::Mutex;

use lifeboat_core::session::ConnectFailure;
use tracing::{debug, info, warn};

use crate::dial::DialError;
use crate::metrics::RelayMetrics;
use crate::settings::Address;

#[derive(Debug)]
pub(super) struct Outlook {
    control_plane: Address,
    metrics: RelayMetrics,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Reached,
    Gone,
}

impl Outlook {
    pub(super) fn new(control_plane: Address, metrics: RelayMetrics) -> Self {
        Self { control_plane, metrics, state: Mutex::new(State::Unknown) }
    }

    pub(super) fn reached(&self) {
        self.metrics.reached();
        match self.becomes(State::Reached) {
            State::Gone => info!("control plane {} is back", self.control_plane),
            State::Unknown => info!("control plane {} is there", self.control_plane),
            State::Reached => {}
        }
    }

    pub(super) fn failed(&self, error: &DialError) {
        if matches!(error.failure, ConnectFailure::Refused(_)) {
            // It is there.
            self.metrics.reached();
            return;
        }
        self.metrics.not_reached();
        match self.becomes(State::Gone) {
            State::Gone => debug!("control plane {}: {error}", self.control_plane),
            State::Unknown | State::Reached => warn!(
                "control plane {}: {error}. Nodes that have a configuration go on with it; new ones are restored from the \
                 store. Trying again every 5 to 10 s",
                self.control_plane
            ),
        }
    }

    fn becomes(&self, state: State) -> State {
        std::mem::replace(&mut self.state.lock().expect("nothing panics while it holds this lock"), state)
    }
}
