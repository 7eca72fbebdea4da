//! All times of the election: [`Lease`](super::Lease), [`Registry`](super::Registry),
//! [`Clearance`](super::clearance::Clearance) and their drivers go by them.

use std::time::Duration;

use crate::backoff::Backoff;

/// How often a leader renews its lease, and a candidate its registration: each time up to a tenth sooner.
pub const RENEWAL: Duration = Duration::from_secs(10);
/// A lease or a registration that has not changed for this long is dead.
pub const DEATH: Duration = Duration::from_secs(30);
/// How long after the beginning of its last successful renewal a leader may write. This is less than [`DEATH`], so that
/// its last write has arrived before another exporter can lead.
pub const SAFE: Duration = Duration::from_secs(25);
/// How long others wait at most until they look at the lease again.
pub const WATCH: Duration = Duration::from_secs(5);
/// How long they wait at least. The wait is drawn evenly between the two.
pub(super) const WATCH_AT_LEAST: Duration = Duration::from_secs(4);
/// How often a leader that reaches no control plane renews its lease, and looks for exporters that reach one.
pub(super) const RENEWAL_WITHOUT_LINK: Duration = Duration::from_secs(5);
/// A request at the store that is not answered by then has failed, because a lease must be renewed in time.
pub const REQUEST_LIMIT: Duration = RENEWAL;

/// The pause before the next try when a change is near: after a failure, and while a leader without a link is replaced.
pub const SOON: Duration = Duration::from_secs(2);
/// How long an exporter that has just stepped down, or that reaches no control plane, leaves a free lease to others.
pub(super) const COURTESY: Duration = Duration::from_secs(20);
/// How long a link to the control plane may be down before it counts as dead, and other exporters are told.
pub(super) const LINK_DEATH: Duration = Duration::from_secs(10);
/// How often an exporter with a lease writes its registration again, so that people see it, and no lifecycle rule expires
/// it.
pub(super) const REGISTER: Duration = Duration::from_secs(60 * 60);
/// An exporter that registered longer than this before the newest is no candidate, whatever it said.
pub const FORGOTTEN: Duration = Duration::from_secs(2 * 60 * 60);

/// The pauses before the store's conditional writes are tested again, when that failed or proved nothing.
pub const PROBE_RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
/// The pause before they are tested again, if they don't hold and `LIFEBOAT_ELECTION` allows nothing but a lease:
/// somebody may repair the store.
pub const NO_LEASE_RETRY: Duration = Duration::from_secs(10 * 60);
/// How often the mark of an election in another store is read again, also by an exporter that it keeps from leading.
pub const MARK_RECHECK: Duration = Duration::from_secs(60);
/// How often an exporter that elects elsewhere looks at the usual election while it waits for that to end.
pub(super) const USUAL_WATCH: Duration = Duration::from_secs(5);
