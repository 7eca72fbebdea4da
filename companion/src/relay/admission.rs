//! Who may connect, before anything is known of them: how many connections there may be at all, and how many that have
//! sent nothing yet. Nothing is read here.
//!
//! The limit is the number of open files. While the control plane is there, a node takes two: its own connection, and
//! one to the control plane on its behalf. In an outage a node takes one, so the relay can serve twice as many; it asks
//! the control plane with a few files that belong to no node. When the control plane is back, there may be nodes
//! without a second file: the relay closes their connections.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifeboat_runtime::lock::Locked;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::places::{self, Places};
use crate::settings::RelayLimits;
use crate::settings::http::MOST_CONNECTIONS;

/// Files for connections to a control plane that is not known to be there, when nodes have taken nearly all other
/// files.
const PROBES: usize = 64;
/// Files that the process needs besides its nodes' connections: for stores, the log, the runtime, and one or two connections
/// to the control plane that are no node's.
pub(crate) const OTHER_FILES: u64 = 128 + (MOST_CONNECTIONS + PROBES) as u64;
/// While the control plane is not known to be there, connections to it leave this fraction of the files, one sixteenth,
/// to nodes that connect.
const FOR_NEWCOMERS: usize = 16;
/// How long to wait for a file: as long as a connection to the control plane may take.
const FILE_WITHIN: Duration = Duration::from_secs(5);
/// How often it is said that nobody else can come in.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// The door.
#[derive(Debug)]
pub(super) struct Admission {
    files: Arc<Semaphore>,
    left_to_newcomers: usize,
    probes: Arc<Semaphore>,
    silent: Places,
    said: Mutex<Said>,
}

/// When it was last said.
#[derive(Debug, Default)]
struct Said {
    full: Option<Instant>,
    sends_away: Option<Instant>,
}

/// A connection's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    silent: places::Place,
    given_up: CancellationToken,
    _own: OwnedSemaphorePermit,
    /// For the connection to the control plane on its behalf.
    link: Mutex<Option<OwnedSemaphorePermit>>,
}

/// A file for a connection to the control plane.
#[derive(Debug)]
pub(super) enum LinkFile {
    /// The place has it, until its link fails.
    OfThePlace,
    /// It belongs to no node. If the control plane turns out to be there, the place needs a file of its own.
    Probe { _file: OwnedSemaphorePermit },
}

/// Why there is no file for a connection to the control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoFile {
    /// The control plane is there, and other nodes have all files.
    ControlPlaneIsThere,
    /// No file became free in time: all probes wait for an answer of the control plane.
    InTime,
}

impl Admission {
    pub(super) fn new(limits: &RelayLimits) -> Self {
        let files = limits.files.unwrap_or_else(files_for_nodes).min(Semaphore::MAX_PERMITS);
        Self {
            files: Arc::new(Semaphore::new(files)),
            left_to_newcomers: files / FOR_NEWCOMERS,
            probes: Arc::new(Semaphore::new(PROBES)),
            silent: Places::new(limits.silent),
            said: Mutex::default(),
        }
    }

    /// A place, if there is one: with a second file while the control plane is there. If too many connections are
    /// silent, the one that has been silent for longest gives up its place.
    pub(super) fn enter(&self, control_plane_is_there: bool) -> Option<Arc<Place>> {
        let own = self.file();
        let link = if control_plane_is_there { self.file() } else { None };
        let (Some(own), true) = (own, link.is_some() || !control_plane_is_there) else {
            self.say_full();
            return None;
        };

        let given_up = CancellationToken::new();
        let silent = self.silent.take(&given_up);
        Some(Arc::new(Place { silent, given_up, _own: own, link: Mutex::new(link) }))
    }

    /// A file for the connection to the control plane on behalf of the node that has this place.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn file_for_link(
        &self,
        place: &Place,
        mut is_there: watch::Receiver<bool>,
    ) -> Result<LinkFile, NoFile> {
        let found = async {
            loop {
                let is_there_now = *is_there.borrow_and_update();
                if self.has_file(place, is_there_now) {
                    return Ok(LinkFile::OfThePlace);
                }
                if is_there_now {
                    self.say_sends_away();
                    return Err(NoFile::ControlPlaneIsThere);
                }
                tokio::select! {
                    probe = self.probes.clone().acquire_owned() => {
                        return Ok(LinkFile::Probe { _file: probe.expect("the semaphore is never closed") });
                    }
                    changed = is_there.changed() => changed.expect("whoever asks has the sender, too"),
                }
            }
        };
        timeout(FILE_WITHIN, found).await.unwrap_or(Err(NoFile::InTime))
    }

    /// The connection has come about, so the control plane is there: from now on the place has a file for it.
    ///
    /// # Errors
    /// [`NoFile::ControlPlaneIsThere`] when other nodes have all files.
    pub(super) fn linked(&self, place: &Place, file: LinkFile) -> Result<(), NoFile> {
        match file {
            LinkFile::OfThePlace => Ok(()),
            LinkFile::Probe { .. } if self.has_file(place, true) => Ok(()),
            LinkFile::Probe { .. } => {
                self.say_sends_away();
                Err(NoFile::ControlPlaneIsThere)
            }
        }
    }

    // Whether the place has a file for its link, now or already.
    fn has_file(&self, place: &Place, control_plane_is_there: bool) -> bool {
        let mut link = place.link.locked();
        let may_take = control_plane_is_there || self.files.available_permits() > self.left_to_newcomers;
        if link.is_none() && may_take {
            *link = self.file();
        }
        link.is_some()
    }

    fn file(&self) -> Option<OwnedSemaphorePermit> {
        self.files.clone().try_acquire_owned().ok()
    }

    fn say_full(&self) {
        if is_due(&mut self.said.locked().full) {
            warn!(
                "the relay has as many connections as this process may have files open, and closes further ones: raise the \
                 limit of open files (ulimit -n, LimitNOFILE=), or run more relays. Nodes that are served go on"
            );
        }
    }

    fn say_sends_away(&self) {
        if is_due(&mut self.said.locked().sends_away) {
            warn!(
                "the control plane is back, and this process may not have enough files open to connect each node to it: closes \
                 the connections of nodes for which there is none. They go on with what they have, and come again after 5 to \
                 10 s: raise the limit of open files (ulimit -n, LimitNOFILE=), or run more relays"
            );
        }
    }
}

fn is_due(said: &mut Option<Instant>) -> bool {
    let is_due = said.is_none_or(|when| when.elapsed() >= SAY_AGAIN);
    if is_due {
        *said = Some(Instant::now());
    }
    is_due
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

    /// The connection to the control plane did not come about.
    pub(super) fn not_linked(&self) {
        *self.link.locked() = None;
    }
}

// The hard limit counts. A service manager's soft limit is often 1,024, for the sake of programs that can't use more.
fn files_for_nodes() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let Some(limit) = (if raised { maximum } else { current }) else { return usize::MAX };

    let files = usize::try_from(limit.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX).max(2);
    let linked = files / 2;
    info!(
        "the relay takes up to {linked} connections while the control plane is there, and {files} in an outage, as this process \
         may have {limit} files open"
    );
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(files: usize, silent: usize) -> Admission {
        Admission::new(&RelayLimits { files: Some(files), silent, ..RelayLimits::default() })
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let admission = admission(1, 10);
        let place = admission.enter(false).unwrap();
        assert!(admission.enter(false).is_none());
        drop(place);
        assert!(admission.enter(false).is_some());
    }

    #[test]
    fn of_too_many_silent_ones_the_oldest_gives_way_and_none_that_has_spoken() {
        let admission = admission(100, 2);
        let spoke = admission.enter(false).unwrap();
        spoke.spoke();
        let silent: Vec<_> = (0..3).map(|_| admission.enter(false).unwrap()).collect();
        let gave_way: Vec<bool> = silent.iter().map(|place| place.given_up.is_cancelled()).collect();
        assert_eq!(gave_way, [true, false, false]);
        assert!(!spoke.given_up.is_cancelled());
    }

    #[test]
    fn a_node_takes_one_file_in_an_outage_and_two_while_the_control_plane_is_there() {
        let admission = admission(5, 10);
        let linked: Vec<_> = std::iter::from_fn(|| admission.enter(true)).collect();
        assert_eq!(linked.len(), 2);
        // The fifth file is no good for a node that needs two, and is not lost.
        assert!(admission.enter(false).is_some());
        drop(linked);
        assert_eq!(std::iter::from_fn(|| admission.enter(false)).take(9).collect::<Vec<_>>().len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn of_as_many_nodes_as_there_are_files_half_are_linked_when_the_control_plane_is_back() {
        const FILES: usize = 20;
        let (admission, there) = (admission(FILES, 100), watch::Sender::new(false));
        let mut served: Vec<_> = (0..FILES).map(|_| admission.enter(false).unwrap()).collect();
        let file = admission.file_for_link(&served[0], there.subscribe()).await.unwrap();
        assert!(matches!(file, LinkFile::Probe { .. }), "{file:?}");

        // It is found by the one who asked, for whom there is no second file either.
        there.send_replace(true);
        assert_eq!(admission.linked(&served[0], file), Err(NoFile::ControlPlaneIsThere));
        served.remove(0);
        let (mut linked, mut sent_away) = (Vec::new(), 1);
        for place in served {
            match admission.file_for_link(&place, there.subscribe()).await {
                Ok(file) => {
                    admission.linked(&place, file).unwrap();
                    linked.push(place);
                }
                Err(NoFile::ControlPlaneIsThere) => sent_away += 1,
                Err(NoFile::InTime) => panic!("nobody waits for a control plane that is there"),
            }
        }
        assert_eq!((linked.len(), sent_away), (FILES / 2, FILES / 2));
        assert!(admission.enter(true).is_none());
        drop(linked.pop());
        assert!(admission.enter(true).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_for_a_control_plane_that_is_away_leaves_files_to_nodes_that_come() {
        const FILES: usize = 320;
        let (admission, there) = (admission(FILES, 1_000), watch::Sender::new(false));
        let places: Vec<_> = (0..FILES / 2).map(|_| admission.enter(false).unwrap()).collect();
        let mut probes = Vec::new();
        for place in &places {
            match admission.file_for_link(place, there.subscribe()).await.unwrap() {
                LinkFile::OfThePlace => {}
                probe @ LinkFile::Probe { .. } => probes.push(probe),
            }
        }
        let left = FILES / FOR_NEWCOMERS;
        assert_eq!(probes.len(), left);
        let newcomers: Vec<_> = std::iter::from_fn(|| admission.enter(false)).collect();
        assert_eq!(newcomers.len(), left);

        // A link that failed is another's file.
        places[0].not_linked();
        assert!(admission.enter(false).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_to_ask_learns_that_the_control_plane_is_there_or_gives_up_in_time() {
        let (admission, there) = (admission(1, 10), watch::Sender::new(false));
        let place = admission.enter(false).unwrap();
        let mut probes = Vec::new();
        for _ in 0..PROBES {
            probes.push(admission.file_for_link(&place, there.subscribe()).await.unwrap());
        }
        let late = admission.file_for_link(&place, there.subscribe()).await;
        assert_eq!(late.unwrap_err(), NoFile::InTime);

        let waits = admission.file_for_link(&place, there.subscribe());
        let (waited, ()) = tokio::join!(waits, async {
            tokio::task::yield_now().await;
            there.send_replace(true);
        });
        assert_eq!(waited.unwrap_err(), NoFile::ControlPlaneIsThere);
    }
}
