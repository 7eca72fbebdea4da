//! `lifeboat export --from cp`: the configuration that a control plane sends to a backup node.

use std::sync::Arc;

use anyhow::anyhow;
use lifeboat_runtime::clock::Clock;

use super::super::Failure;
use super::{Besides, keep};
use crate::archive::Archive;
use crate::cli::Output;
use crate::export::BackupNode;
use crate::export::inquiry::{self, Answer};
use crate::settings::{ExportSettings, Source};

/// Connects to the control plane as a backup node of each version, keeps the configuration that it sends, and ends.
pub(super) async fn export(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let ExportSettings { store, cluster, keep: each } = ExportSettings::read(source)?;
    // What is wrong with it is said before a control plane is asked.
    Archive::open(&store).map_err(anyhow::Error::from)?;
    let cluster = Arc::new(cluster);

    for settings in each {
        let node = BackupNode::new(settings.version);
        let besides = Besides { prefix: settings.beside.clone(), admin: settings.admin.clone() };
        let rules = settings.rules;

        let answer = inquiry::ask(cluster.clone(), settings, node.clone(), store.max_config, clock).await;
        match answer.map_err(anyhow::Error::from)? {
            Answer::Sent(received) => keep(besides, &store, &node, rules, &received, output, clock).await?,
            Answer::Refused(refusal) => {
                let (version, at, cure) = (node.version, &cluster.control_plane, refusal.cure());
                return Err(anyhow!(
                    "nothing was exported for Kong {version}: control plane {at} refuses the node, since {refusal}: {cure}"
                )
                .into());
            }
            Answer::Silent(why)
            | Answer::CertificateRefused(why)
            | Answer::Unreachable(why)
            | Answer::Unusable(why) => {
                return Err(anyhow!("nothing was exported for Kong {}: {why}", node.version).into());
            }
        }
    }

    Ok(())
}
