//! What the control plane is to the relay, as all nodes' links together tell it: there, gone, or refusing the relay's own
//! certificate. It is said once when it changes, not once per node. What an answer means is decided in `core`.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lifeboat_core::session::answer::{ConnectFailure, EarlyEnd, Verdict};
use lifeboat_core::session::own_certificate::OwnCertificate;
use lifeboat_core::time::Moment;
use lifeboat_link::dial::DialError;
use tracing::{debug, error, info, warn};

use crate::keep::certificate_refused;
use crate::metrics::RelayMetrics;
use crate::settings::ClusterSettings;

/// How often another cause of the same outage is said.
const SAY_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Outlook {
    cluster: Arc<ClusterSettings>,
    metrics: RelayMetrics,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    state: State,
    own_certificate: OwnCertificate,
    /// Why that is not accepted, for as long as it isn't: an outage in between has other causes.
    refused_because: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unknown,
    Reached,
    /// Why, and when that was said.
    Gone(Cause, Moment),
    RefusesUs,
}

/// What kind of outage it is: that of which an operator would look into different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Unreachable,
    Answers(u16),
    EndsEarly,
}

impl Outlook {
    pub(super) fn new(cluster: Arc<ClusterSettings>, metrics: RelayMetrics) -> Self {
        let known = Known { state: State::Unknown, own_certificate: OwnCertificate::default(), refused_because: None };
        Self { cluster, metrics, known: Mutex::new(known) }
    }

    /// A link came about. Whether it stays is known when it gives something.
    pub(super) fn reached(&self) {
        let mut known = self.lock();
        known.own_certificate.linked();
        if let State::Gone(Cause::EndsEarly, _) = known.state {
            return;
        }
        self.is_there(known);
    }

    /// The control plane has sent a node a configuration.
    pub(super) fn gives(&self) {
        self.is_there(self.lock());
    }

    /// A link did not come about. Tells what that means.
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
                self.metrics.reached();
                if known.state == State::RefusesUs {
                    known.state = State::Unknown;
                }
            }
            Verdict::RefusesCertificate(_) => self.refuses_us(known, error),
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

    /// A node's link was ended right after the node's first message, for no reason that the node has given.
    pub(super) fn ended_early(&self, how: EarlyEnd, now: Moment) {
        self.is_gone(self.lock(), Cause::EndsEarly, &how.to_string(), now);
    }

    fn is_there(&self, mut known: MutexGuard<'_, Known>) {
        self.metrics.reached();
        match std::mem::replace(&mut known.state, State::Reached) {
            State::Gone(..) => info!("control plane {} is back", self.cluster.control_plane),
            State::Unknown => info!("control plane {} is there", self.cluster.control_plane),
            State::RefusesUs => info!("control plane {} accepts this relay's certificate", self.cluster.control_plane),
            State::Reached => {}
        }
    }

    fn is_gone(&self, mut known: MutexGuard<'_, Known>, cause: Cause, why: &str, now: Moment) {
        self.metrics.not_reached();
        let is_said = matches!(known.state, State::Gone(said, when) if said == cause || now - when < SAY_AGAIN);
        if is_said {
            debug!("control plane {}: {why}", self.cluster.control_plane);
            return;
        }
        known.state = State::Gone(cause, now);
        warn!(
            "control plane {}: {why}. Nodes that have a configuration go on with it; new ones are restored from the store. \
             Trying again every 5 to 10 s, or when it has asked to",
            self.cluster.control_plane
        );
    }

    fn refuses_us(&self, mut known: MutexGuard<'_, Known>, why: &DialError) {
        let because = known.refused_because.get_or_insert_with(|| why.to_string());
        let refused = certificate_refused(&self.cluster, because);
        if std::mem::replace(&mut known.state, State::RefusesUs) != State::RefusesUs {
            error!(
                "control plane {}: {refused}. Until then this relay gives no node a configuration, not even in an \
                 outage: whoever has a certificate that was exchanged must get nothing",
                self.cluster.control_plane
            );
        }
        self.metrics.refused_by_the_control_plane(refused);
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().expect("nothing panics while it holds this lock")
    }
}
