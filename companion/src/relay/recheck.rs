//! While the control plane does not accept the relay's certificate, asks it again until it does, or until the
//! certificate is replaced. A relay that isn't ready may get no more nodes, whose links would otherwise show it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lifeboat_core::backoff::spread;
use lifeboat_core::session::answer::Verdict;
use lifeboat_link::dial::dial;

use super::{NodeIdentity, Shared};

/// Whether asking is under way.
#[derive(Debug, Default)]
pub(super) struct Recheck(AtomicBool);

/// Begins to ask, in the name of the node that was refused with the relay, unless that is being done.
pub(super) fn begin(shared: &Arc<Shared>, node: &NodeIdentity) {
    if !shared.recheck.0.swap(true, Ordering::Relaxed) {
        shared.spawn(ask_until_it_changes(shared.clone(), node.target.clone(), node.via.clone()));
    }
}

async fn ask_until_it_changes(shared: Arc<Shared>, target: String, via: Option<String>) {
    let (dialer, rules) = (shared.dialer(via.as_deref()), shared.settings.rules);

    loop {
        tokio::time::sleep(spread(rules.retry.0, rules.retry.1, rand::random())).await;
        match dial(&shared.cluster.control_plane, &target, Some(&dialer), rules.config_timeout).await {
            Ok(link) => {
                shared.control_plane_health.reached(shared.clock.now());
                link.close().await;
                break;
            }
            Err(error) => {
                let verdict = shared.control_plane_health.failed(&error, shared.clock.now());
                if !matches!(verdict, Verdict::RefusesCertificate(_)) {
                    break;
                }
            }
        }
    }

    shared.recheck.0.store(false, Ordering::Relaxed);
}
