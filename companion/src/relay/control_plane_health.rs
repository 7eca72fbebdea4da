//! The control plane's state, as all nodes' links together show it: there, gone, or refusing the relay's own
//! certificate. A change is logged once, not once per node. What an answer means is decided in `core`.

use std::sync::{Arc, Mutex, MutexGuard};

use lifeboat_core::outage::OutageLog;
use lifeboat_core::session::answer::{ConnectFailure, EarlyEnd, Verdict};
use lifeboat_core::session::own_certificate::OwnCertificate;
use lifeboat_core::time::Moment;
use lifeboat_link::dial::DialError;
use lifeboat_runtime::lock::Locked;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use crate::export::certificate_refused;
use crate::observation::RelayRecorder;
use crate::settings::ClusterSettings;

#[derive(Debug)]
pub(super) struct ControlPlaneHealth {
    cluster: Arc<ClusterSettings>,
    recorder: RelayRecorder,
    known: Mutex<Known>,
    /// Whether it is [`State::Reached`], for whoever waits for that.
    is_there: watch::Sender<bool>,
}

#[derive(Debug)]
struct Known {
    state: State,
    outage: OutageLog,
    own_certificate: OwnCertificate,
    /// Why the certificate is not accepted, for as long as it isn't. An outage in between has other causes.
    refused_because: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Reached,
    Gone(Cause),
    RefusesUs,
}

/// What kind of outage it is. For each kind an operator would look into something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Unreachable,
    Answers(u16),
    EndsEarly,
}

impl ControlPlaneHealth {
    pub(super) fn new(cluster: Arc<ClusterSettings>, recorder: RelayRecorder) -> Self {
        let (state, outage) = (State::Unknown, OutageLog::default());
        let known = Known { state, outage, own_certificate: OwnCertificate::default(), refused_because: None };
        Self { cluster, recorder, known: Mutex::new(known), is_there: watch::Sender::new(false) }
    }

    /// A link was made. Whether it lasts is known when the control plane sends something over it.
    pub(super) fn reached(&self, now: Moment) {
        let mut known = self.lock();
        known.own_certificate.linked();
        if let State::Gone(Cause::EndsEarly) = known.state {
            return;
        }
        self.has_come(known, now);
    }

    /// Whether the newest attempt to link has succeeded.
    pub(super) fn is_there(&self) -> bool {
        *self.is_there.borrow()
    }

    /// The same, now and later.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.is_there.subscribe()
    }

    /// The control plane has sent a node a configuration.
    pub(super) fn gives(&self, now: Moment) {
        self.has_come(self.lock(), now);
    }

    /// A link could not be made. Returns what that means.
    pub(super) fn failed(&self, error: &DialError, now: Moment) -> Verdict {
        let shown = self.cluster.control_plane.tls.side().identity.leaf().fingerprint();
        let mut known = self.lock();
        let verdict = known.own_certificate.judge(error.failure, shown, now);
        if !matches!(verdict, Verdict::RefusesCertificate(_)) {
            known.refused_because = None;
        }

        match verdict {
            // It is there; the node's session says the rest.
            Verdict::RefusesNode(_) => {
                self.recorder.reached();
                if known.state == State::RefusesUs {
                    self.enter(&mut known, State::Unknown);
                    known.outage.works(now);
                }
            }
            Verdict::RefusesCertificate(_) => self.refuses_us(known, error, now),
            Verdict::Unclear => debug!("control plane {}: {error}", self.cluster.control_plane),
            Verdict::Outage { .. } => {
                let cause = match error.failure {
                    ConnectFailure::Answered(answer) => Cause::Answers(answer.status),
                    ConnectFailure::Unreachable | ConnectFailure::EndedWithoutAnswer => Cause::Unreachable,
                };
                self.is_gone(known, cause, &error.to_string(), now);
            }
        }
        verdict
    }

    /// The control plane ended a node's link right after the node's first message, and the node was not the reason.
    pub(super) fn ended_early(&self, how: EarlyEnd, now: Moment) {
        self.is_gone(self.lock(), Cause::EndsEarly, &how.to_string(), now);
    }

    fn has_come(&self, mut known: MutexGuard<'_, Known>, now: Moment) {
        self.recorder.reached();
        let control_plane = &self.cluster.control_plane.address;
        let lasted = known.outage.works(now);
        let before = self.enter(&mut known, State::Reached);
        match (before, lasted) {
            (State::Gone(_), Some(lasted)) => info!("control plane {control_plane} is back, after {lasted}"),
            (State::RefusesUs, Some(lasted)) => {
                info!("control plane {control_plane} accepts this relay's certificate, after {lasted}");
            }
            (State::Gone(_) | State::RefusesUs, None) => debug!("control plane {control_plane} is back"),
            (State::Unknown, _) => info!("control plane {control_plane} is there"),
            (State::Reached, _) => {}
        }
    }

    fn is_gone(&self, mut known: MutexGuard<'_, Known>, cause: Cause, why: &str, now: Moment) {
        self.recorder.not_reached();
        self.enter(&mut known, State::Gone(cause));
        let control_plane = &self.cluster.control_plane.address;
        match known.outage.failed(&format!("{cause:?}"), now) {
            Some(lasted) => warn!(
                "control plane {control_plane}{lasted}: {why}. Nodes that have a configuration go on with it; new ones are \
                 restored from the store. Trying again every 5 to 10 s, or when it has asked to"
            ),
            None => debug!("control plane {control_plane}: {why}"),
        }
    }

    fn refuses_us(&self, mut known: MutexGuard<'_, Known>, why: &DialError, now: Moment) {
        let because = known.refused_because.get_or_insert_with(|| why.to_string());
        let refused = certificate_refused(&self.cluster, because);
        self.enter(&mut known, State::RefusesUs);
        if let Some(lasted) = known.outage.failed("certificate refused", now) {
            error!(
                "control plane {}{lasted}: {refused}. Until then this relay gives no node a configuration, not even \
                 in an outage: the certificate may have been replaced, and someone who still has the old one must get \
                 nothing",
                self.cluster.control_plane
            );
        }
        self.recorder.refused_by_the_control_plane(refused);
    }

    // Returns the state until now.
    fn enter(&self, known: &mut Known, state: State) -> State {
        let is_there = state == State::Reached;
        self.is_there.send_if_modified(|known| std::mem::replace(known, is_there) != is_there);
        std::mem::replace(&mut known.state, state)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.locked()
    }
}
