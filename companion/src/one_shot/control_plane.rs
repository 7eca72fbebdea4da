//! The control plane comes first: it is asked as the node itself would ask it, while what could be given is being fetched.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::session::answer::Refusal;
use lifeboat_runtime::clock::Clock;
use tracing::warn;

use crate::admin::AdminError;
use crate::export::BackupNode;
use crate::export::inquiry::{self, Answer};
use crate::settings::ControlPlaneSettings;

/// What a control plane means for a node without a configuration.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// It gives none: the node may be given one.
    GivesNothing,
    /// It is there, and so the node is its own.
    There(There),
}

/// What a control plane does that is there.
#[derive(Debug, PartialEq, Eq)]
pub enum There {
    /// It gives this configuration.
    Gives(ConfigHash),
    /// It refuses the node.
    Refuses(Refusal),
    /// It does not accept the certificate that it is shown. With the certificate, the cause and the cure.
    RefusesCertificate(String),
    /// It sends what no node can use. With the reason.
    SendsTheUnusable(String),
}

impl fmt::Display for There {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gives(hash) => write!(f, "the control plane gives configuration {hash}: the node gets it from there"),
            Self::Refuses(refusal) => write!(
                f,
                "the control plane is there and refuses the node: {refusal}. To have it taken, {}; to restore it all the \
                 same, set LIFEBOAT_FEED_ON_REFUSAL=on",
                refusal.cure()
            ),
            Self::RefusesCertificate(why) => write!(
                f,
                "the control plane is there and refuses this certificate, so nothing is restored: the certificate may \
                 have been replaced, and someone who still has the old one must get nothing. {why}"
            ),
            Self::SendsTheUnusable(why) => write!(f, "the control plane is there, and sends what can't be used: {why}"),
        }
    }
}

/// Asks the control plane as a node of `version`. At most `max_config` bytes of configuration are taken, decompressed. Why
/// it gives nothing is logged.
///
/// # Errors
/// When `LIFEBOAT_ADMIN_URL` can't be used at all.
pub async fn ask(
    control_plane: ControlPlaneSettings,
    version: KongVersion,
    max_config: usize,
    clock: Clock,
) -> Result<Asked, AdminError> {
    let ControlPlaneSettings { cluster, session, on_refusal } = control_plane;
    let node = BackupNode::new(version);
    let why = match inquiry::ask(Arc::new(cluster), session, node, max_config, clock).await? {
        Answer::Sent(received) => return Ok(Asked::There(There::Gives(received.config_hash))),
        Answer::Refused(refusal) if !on_refusal.feeds() => return Ok(Asked::There(There::Refuses(refusal))),
        Answer::CertificateRefused(why) => return Ok(Asked::There(There::RefusesCertificate(why))),
        Answer::Unusable(why) => return Ok(Asked::There(There::SendsTheUnusable(why))),
        Answer::Refused(refusal) => {
            format!("it refuses the node ({refusal}), which is restored all the same (LIFEBOAT_FEED_ON_REFUSAL)")
        }
        Answer::Silent(why) | Answer::Unreachable(why) => why,
    };
    warn!("the control plane gives no configuration: {why}");
    Ok(Asked::GivesNothing)
}

/// What `fetching` comes to, unless `asking` says that nothing is wanted. Both go on at the same time: who is given a
/// configuration by its control plane doesn't wait for a store, and who isn't has waited for the longer of both.
///
/// # Errors
/// What `asking` says.
pub async fn fetched_unless<T, E>(
    asking: impl Future<Output = Result<(), E>>,
    fetching: impl Future<Output = T>,
) -> Result<T, E> {
    let (mut asking, mut fetching) = (pin!(asking), pin!(fetching));
    tokio::select! {
        asked = &mut asking => {
            asked?;
            Ok(fetching.await)
        }
        fetched = &mut fetching => {
            asking.await?;
            Ok(fetched)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    async fn after<T>(seconds: u64, value: T) -> T {
        sleep(Duration::from_secs(seconds)).await;
        value
    }

    #[tokio::test(start_paused = true)]
    async fn asking_and_fetching_cost_the_longer_of_both() {
        for (asking, fetching) in [(10, 4), (4, 10)] {
            let start = Instant::now();
            let fetched = fetched_unless(after(asking, Ok::<_, &str>(())), after(fetching, "a snapshot")).await;
            assert_eq!((fetched, start.elapsed()), (Ok("a snapshot"), Duration::from_secs(10)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_control_plane_that_gives_one_is_enough_while_the_store_hangs() {
        let start = Instant::now();
        let fetched = fetched_unless(after(1, Err::<(), _>("it is there")), pending::<()>()).await;
        assert_eq!((fetched, start.elapsed()), (Err("it is there"), Duration::from_secs(1)));
        let fetched = fetched_unless(after(3, Err::<(), _>("it is there")), after(1, "a snapshot")).await;
        assert_eq!(fetched, Err("it is there"));
    }
}
