//! Asks a control plane once: connects as a backup node, and returns the answer. Nothing is stored. It asks a second
//! time only if the first answer is ambiguous. The caller decides what follows.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::export::Received;
use lifeboat_core::session::answer::Refusal;
use lifeboat_core::session::headless::Notice;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;
use tokio::time::timeout;

use super::{BackupNode, Headless, News};
use crate::admin::AdminError;
use crate::settings::{ClusterSettings, ExporterSettings};

/// What the connection and a large message may take on top of the time that the control plane has to send something.
const ALLOWANCE: Duration = Duration::from_secs(60);

/// What a control plane answers to a node that asks it for a configuration.
#[derive(Debug)]
pub enum Answer {
    /// A configuration.
    Sent(Box<Received>),
    /// It took the node and sent nothing in time. With the likely causes.
    Silent(String),
    /// It refused the node, and so it is there.
    Refused(Refusal),
    /// It does not accept our certificate, and so it is there. With the certificate, the cause and the cure.
    CertificateRefused(String),
    /// There was no link, or it did not last, and the control plane did not decide so: an outage. With the reason.
    Unreachable(String),
    /// It sent something that no node could use. With the reason.
    Unusable(String),
}

/// Connects to the control plane as `node`, whose version need not be one that is exported, and waits for what it
/// sends. Accepts a configuration of at most `max_config` bytes, decompressed.
///
/// # Errors
/// When `LIFEBOAT_ADMIN_URL` can't be used at all.
pub async fn ask(
    cluster: Arc<ClusterSettings>,
    keep: ExporterSettings,
    node: BackupNode,
    max_config: usize,
    clock: Clock,
) -> Result<Answer, AdminError> {
    let limit = keep.config_timeout + ALLOWANCE;
    let _progress = step(format_args!("waiting for the control plane at {}", cluster.control_plane));
    let headless = Headless::new(cluster, keep, node, max_config, clock)?.for_an_asker();
    Ok(timeout(limit, answer(headless)).await.unwrap_or_else(|_| {
        Answer::Unreachable(format!("the control plane sent no whole configuration within {} s", limit.as_secs()))
    }))
}

async fn answer(headless: Headless) -> Answer {
    let (newest, mut news) = (headless.newest(), headless.news());
    let mut session = std::pin::pin!(headless.run());

    loop {
        tokio::select! {
            biased;
            received = newest.next() => return Answer::Sent(Box::new(received)),
            changed = news.changed() => {
                changed.expect("the session has its end of the news");
                if let Some(answer) = news.borrow_and_update().clone().and_then(told) {
                    return answer;
                }
            }
            () = &mut session => {}
        }
    }
}

// Any other news means that nothing will come in this attempt, and there is no second one.
fn told(News { notice, why }: News) -> Option<Answer> {
    match notice {
        // To find that out, the control plane is asked once more.
        Notice::Connected | Notice::Unclear { .. } => None,
        Notice::Silent(_) => Some(Answer::Silent(why)),
        Notice::Refused(refusal) => Some(Answer::Refused(refusal)),
        Notice::CertificateRefused(_) => Some(Answer::CertificateRefused(why)),
        Notice::Lost { .. } | Notice::Unreachable { .. } => Some(Answer::Unreachable(why)),
        Notice::NotReceived | Notice::Fragment => Some(Answer::Unusable(why)),
    }
}
