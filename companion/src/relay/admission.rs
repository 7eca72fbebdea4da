//! Who may come in, before anything is known of them: how many connections there are at all, and how many that say
//! nothing. Nothing is read here.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_runtime::lock::Locked;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::places::{self, Places};
use crate::settings::RelayLimits;
use crate::settings::http::MOST_CONNECTIONS;

/// Files that the process needs besides its nodes' connections.
const OTHER_FILES: u64 = 128 + MOST_CONNECTIONS as u64;
/// A node's own connection, and the one to the control plane on its behalf.
const FILES_PER_NODE: u64 = 2;
/// How often it is said that nobody else can come in.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// The door.
#[derive(Debug)]
pub(super) struct Admission {
    connections: Arc<Semaphore>,
    silent: Places,
    said: Mutex<Option<Instant>>,
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    silent: places::Place,
    given_up: CancellationToken,
    _connection: OwnedSemaphorePermit,
}

impl Admission {
    pub(super) fn new(limits: &RelayLimits) -> Self {
        let connections = limits.connections.unwrap_or_else(connections_by_files);
        Self {
            connections: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            silent: Places::new(limits.silent),
            said: Mutex::new(None),
        }
    }

    /// A place, if there is one. If too many are silent, the one that has been so for longest gives its own up.
    pub(super) fn enter(&self) -> Option<Arc<Place>> {
        let Ok(connection) = self.connections.clone().try_acquire_owned() else {
            self.say_full();
            return None;
        };
        let given_up = CancellationToken::new();
        let silent = self.silent.take(&given_up);
        Some(Arc::new(Place { silent, given_up, _connection: connection }))
    }

    fn say_full(&self) {
        let mut said = self.said.locked();
        if said.is_none_or(|when| when.elapsed() >= SAY_AGAIN) {
            *said = Some(Instant::now());
            warn!(
                "the relay has as many connections as this process may have files open, and closes further ones: raise the \
                 limit of open files (ulimit -n, LimitNOFILE=), or run more relays. Nodes that are served go on"
            );
        }
    }
}

impl Place {
    /// The connection has said something.
    pub(super) fn spoke(&self) {
        self.silent.leave();
    }

    /// Waits until the place is wanted for another one.
    pub(super) async fn given_up(&self) {
        self.given_up.cancelled().await;
    }
}

// A service manager's soft limit is often 1,024, for programs that could not use more; the hard one is what counts.
fn connections_by_files() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let files = if raised { maximum } else { current };
    let nodes = files.map_or(usize::MAX, |files| (files.saturating_sub(OTHER_FILES) / FILES_PER_NODE) as usize);
    info!("the relay takes up to {nodes} connections, as this process may have files open");
    nodes.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, silent: usize) -> Admission {
        Admission::new(&RelayLimits { connections: Some(connections), silent, ..RelayLimits::default() })
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let admission = admission(1, 10);
        let place = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        drop(place);
        assert!(admission.enter().is_some());
    }

    #[test]
    fn of_too_many_silent_ones_the_oldest_gives_way_and_none_that_has_spoken() {
        let admission = admission(100, 2);
        let spoke = admission.enter().unwrap();
        spoke.spoke();
        let silent: Vec<_> = (0..3).map(|_| admission.enter().unwrap()).collect();
        let gave_way: Vec<bool> = silent.iter().map(|place| place.given_up.is_cancelled()).collect();
        assert_eq!(gave_way, [true, false, false]);
        assert!(!spoke.given_up.is_cancelled());
    }
}
