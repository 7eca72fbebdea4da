//! Whether the control plane can be asked over `/v2/outlet`. All nodes ask it the same, so one answer counts for all.
//! While it is gone, the relay asks it every two seconds whether it is back, however many nodes wait.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lifeboat_core::backoff::spread;
use lifeboat_core::session::answer::{ConnectFailure, Verdict};
use lifeboat_core::session::reconnect::{NODE_RETRY, RPC_WHILE_GONE};
use lifeboat_core::time::Moment;
use lifeboat_link::dial::DialError;
use lifeboat_runtime::lock::Locked;
use serde::Serialize;
use tokio::sync::watch;
use tracing::warn;

use super::{Asked, Opening};
use crate::relay::Shared;

/// How long an answer counts for all nodes: as long as it can take until the next one.
const FRESH: Duration = Duration::from_secs(3);

/// What is known of the control plane's RPC.
#[derive(Debug)]
pub(in crate::relay) struct Outage {
    standing: watch::Sender<Standing>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    failed: Option<Moment>,
    is_asking: bool,
    /// How many connections the relay serves itself.
    local: usize,
    sync: ControlPlaneSync,
}

/// What follows for nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not known yet.
    Asking,
    /// It is gone: empty nodes are restored.
    Gone,
    /// It is there, but refuses nodes or this relay: no node is restored.
    Refuses,
    /// It is there and speaks: nodes are linked through.
    There,
}

/// What the control plane does for nodes with incremental sync, as far as this relay has seen it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlPlaneSync {
    /// No such node has been linked to it.
    #[default]
    Unknown,
    /// It speaks `kong.sync.v2`.
    On,
    /// It speaks Kong's RPC without `kong.sync.v2`: `cluster_incremental_sync` is off there.
    Off,
    /// It answers 404 to `/v2/outlet`: `cluster_rpc` is off there.
    NoRpc,
    /// It gives its configuration under version 0, and nodes are not ready until it is changed for the first time.
    VersionZero,
}

impl ControlPlaneSync {
    /// What that means for nodes and what to do, if there is something to do.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Unknown | Self::On => None,
            Self::Off => Some(
                "the control plane speaks no kong.sync.v2: nodes with cluster_incremental_sync=on get no configuration from it and go on with what \
                 they have. Set cluster_incremental_sync=on there, or off on the nodes",
            ),
            Self::NoRpc => Some(
                "the control plane answers 404 to /v2/outlet: nodes with cluster_incremental_sync=on get no configuration from it and go on with \
                 what they have. Set cluster_rpc=on and cluster_incremental_sync=on there, or cluster_incremental_sync=off on the \
                 nodes",
            ),
            Self::VersionZero => Some(
                "the control plane gives nodes with incremental sync its configuration under version 0: they serve it, and their /status/ready \
                 answers 503 until something is changed. Change anything there once, such as a tag",
            ),
        }
    }
}

/// A connection that is served here, until this is dropped.
#[derive(Debug)]
pub(super) struct LocalConnection(Arc<Shared>);

impl Default for Outage {
    fn default() -> Self {
        Self { standing: watch::Sender::new(Standing::Asking), known: Mutex::default() }
    }
}

impl Outage {
    /// What follows from its answer.
    ///
    /// # Errors
    /// The one that it was asked with.
    pub(super) async fn judge(&self, shared: &Arc<Shared>, opening: &Opening, asked: Asked) -> Asked {
        let error = match asked {
            Ok(response) => {
                shared.control_plane_health.reached(shared.clock.now());
                self.stands(Standing::There, None);
                return Ok(response);
            }
            Err(error) => error,
        };

        // A control plane with cluster_rpc=off answers so, and so does what stands in front of one that is gone.
        let (standing, now) = match error.failure {
            ConnectFailure::Answered(answer) if answer.status == 404 => match is_there(shared, opening).await {
                true => {
                    self.sees(shared, ControlPlaneSync::NoRpc);
                    (Standing::Refuses, shared.clock.now())
                }
                false => (Standing::Gone, shared.clock.now()),
            },
            _ => (self.follows(shared, &error), shared.clock.now()),
        };
        self.stands(standing, Some(now));
        Err(error)
    }

    fn follows(&self, shared: &Shared, error: &DialError) -> Standing {
        match shared.control_plane_health.failed(error, shared.clock.now()) {
            Verdict::Outage { .. } => Standing::Gone,
            Verdict::RefusesNode(_) if shared.rulebook.now().on_refusal.feeds() => Standing::Gone,
            Verdict::RefusesNode(_) | Verdict::RefusesCertificate(_) => Standing::Refuses,
            Verdict::Unclear => Standing::Asking,
        }
    }

    /// It is being asked, and has not answered yet.
    pub(super) fn is_asked(&self) {
        self.standing.send_if_modified(|known| {
            let was_there = *known == Standing::There;
            if was_there {
                *known = Standing::Asking;
            }
            was_there
        });
    }

    fn stands(&self, standing: Standing, failed: Option<Moment>) {
        self.lock().failed = failed;
        self.standing.send_if_modified(|known| std::mem::replace(known, standing) != standing);
    }

    /// Whether it could not be reached a moment ago, and is already being asked again.
    pub(super) fn has_just_failed(&self, now: Moment) -> bool {
        let known = self.lock();
        let is_fresh = known.failed.is_some_and(|failed| now < failed + FRESH);
        is_fresh && known.is_asking && *self.standing.borrow() == Standing::Gone
    }

    /// Whether it is there, and decided itself.
    pub(super) fn is_there(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Refuses | Standing::There)
    }

    /// What follows for nodes, now and later.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// What the control plane does for nodes with incremental sync.
    pub(in crate::relay) fn sync(&self) -> ControlPlaneSync {
        self.lock().sync
    }

    /// It has answered a node's hello. What it gives nodes is another question.
    pub(super) fn answers_hello(&self, shared: &Shared, lists_sync: bool) {
        match lists_sync {
            true if self.sync() == ControlPlaneSync::VersionZero => {}
            true => self.sees(shared, ControlPlaneSync::On),
            false => self.sees(shared, ControlPlaneSync::Off),
        }
    }

    /// Notes that it was seen to do this.
    pub(super) fn sees(&self, shared: &Shared, sync: ControlPlaneSync) {
        let before = std::mem::replace(&mut self.lock().sync, sync);
        if let Some(warning) = sync.warning().filter(|_| before != sync) {
            warn!(control_plane = %shared.cluster.control_plane.address, "{warning}");
        }
    }

    /// A connection is served here.
    pub(super) fn local(&self, shared: &Arc<Shared>) -> LocalConnection {
        self.lock().local += 1;
        LocalConnection(shared.clone())
    }

    /// How long a connection that is served here waits until it is closed, so that not all come at once: nodes themselves
    /// wait for 5 to 10 s.
    pub(super) fn close_within(&self) -> Duration {
        const EACH: Duration = Duration::from_millis(10);
        let local = u32::try_from(self.lock().local).unwrap_or(u32::MAX);
        EACH.saturating_mul(local).min(Duration::from_secs(10))
    }

    /// Asks the control plane again and again, until it is there or no connection is served here any more.
    pub(super) fn watch(&self, shared: &Arc<Shared>, opening: &Opening) {
        if !std::mem::replace(&mut self.lock().is_asking, true) {
            shared.spawn(ask_again_and_again(shared.clone(), opening.clone()));
        }
    }

    // `false` ends the asking. A connection that comes at that moment begins it anew.
    fn goes_on(&self) -> bool {
        let mut known = self.lock();
        known.is_asking = known.local > 0 && *self.standing.borrow() != Standing::There;
        known.is_asking
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.locked()
    }
}

async fn ask_again_and_again(shared: Arc<Shared>, opening: Opening) {
    loop {
        let refuses = *shared.sync_outage.standing.borrow() == Standing::Refuses;
        let (least, most) = if refuses { NODE_RETRY } else { RPC_WHILE_GONE };
        tokio::time::sleep(spread(least, most, rand::random())).await;
        if !shared.sync_outage.goes_on() {
            return;
        }
        let asked = opening.ask(&shared).await;
        // The connection that it opens is not needed: nodes connect by themselves.
        drop(shared.sync_outage.judge(&shared, &opening, asked).await);
    }
}

// A control plane's /v1/outlet answers 400 to a request that doesn't say which node it comes from. A proxy in front of
// a control plane that is gone answers 404 to this request, too.
async fn is_there(shared: &Arc<Shared>, opening: &Opening) -> bool {
    match opening.of_outlet().ask(shared).await {
        Ok(_) => true,
        Err(error) => match error.failure {
            ConnectFailure::Answered(answer) => answer.refusal().is_some(),
            ConnectFailure::Unreachable | ConnectFailure::EndedWithoutAnswer => false,
        },
    }
}

impl Drop for LocalConnection {
    fn drop(&mut self) {
        self.0.sync_outage.lock().local -= 1;
    }
}
