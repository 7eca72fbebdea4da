//! All times of the election: [`Lease`](super::Lease) and [`Registry`](super::Registry) go by them.

use std::time::Duration;

/// How often a leader renews its lease, and a candidate its registration.
pub const RENEWAL: Duration = Duration::from_secs(10);
/// A lease or a registration that has not changed for this long is dead.
pub const DEATH: Duration = Duration::from_secs(30);
/// How long after the beginning of its last successful renewal a leader may write. This is less than [`DEATH`], so that
/// its last write has arrived before another exporter can lead.
pub const SAFE: Duration = Duration::from_secs(25);
/// How often others look at the lease.
pub const WATCH: Duration = Duration::from_secs(5);
/// A request at the store that is not answered by then has failed, because a lease must be renewed in time.
pub const REQUEST_LIMIT: Duration = RENEWAL;

/// The pause before the next try when a change is near: after a failure, and while a leader without a link is replaced.
pub(super) const SOON: Duration = Duration::from_secs(2);
/// How long an exporter that has just stepped down, or that reaches no control plane, leaves a free lease to others.
pub(super) const COURTESY: Duration = Duration::from_secs(20);
/// How long a link to the control plane may be down before it counts as dead, and other exporters are told.
pub(super) const LINK_DEATH: Duration = Duration::from_secs(10);
/// How often an exporter with a lease writes its registration again, so that people see it, and no lifecycle rule expires it.
pub(super) const REGISTER: Duration = Duration::from_secs(60 * 60);
