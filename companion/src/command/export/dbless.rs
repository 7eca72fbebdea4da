//! `lifeboat export --from dbless:URL`: what a node without a database runs, now or from now on.

use std::pin::pin;

use lifeboat_core::export::publisher::{Doubt, Rules};
use lifeboat_runtime::clock::Clock;
use reqwest::Url;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info};

use super::super::Failure;
use super::super::stopped::{Hangup, Stop};
use super::judged::{self, Judge};
use super::{Besides, keep};
use crate::archive::Archive;
use crate::cli::Export;
use crate::config_source::Dbless;
use crate::export::{BackupNode, Exporter, Newest};
use crate::logging::Log;
use crate::reload::Reloader;
use crate::settings::{DblessSettings, LiveRules, RuleChanger, Source};

/// Keeps what the node runs, and ends.
pub(super) async fn once(source: &Source, url: &Url, asked: &Export, clock: Clock) -> Result<(), Failure> {
    let settings = DblessSettings::read(source)?;
    let node =
        Dbless::new(url.clone(), &settings.admin, settings.store.max_config, clock).map_err(anyhow::Error::from)?;
    let version = node.version(settings.version).await.map_err(anyhow::Error::from)?;
    let (_, found) = node.configuration(version).await.map_err(anyhow::Error::from)?;
    let archive = Archive::open(&settings.store).map_err(anyhow::Error::from)?;
    let (plugins, accept) = (&*settings.plugins, asked.accept.as_deref());
    let judge = Judge { archive: &archive, version, plugins, accept, clock };
    let received = judge.judged(&judged::ConfigSource::node(url), found).await?;
    keep(Besides::default(), &settings.store, &BackupNode::new(version), settings.rules, &received, asked.output, clock)
        .await
}

/// Keeps all that the node comes to run, until SIGTERM or SIGINT; what is waiting then is still written. SIGHUP has the
/// settings read again.
pub(super) async fn watch(source: &Source, url: &Url, asked: &Export, log: &Log, clock: Clock) -> Result<(), Failure> {
    let (mut told, mut hangup) = (Stop::listen()?, Hangup::listen()?);
    let settings = DblessSettings::read(source)?;
    let changer = RuleChanger::new(LiveRules::from(&settings));
    let mut reloader = Reloader::new(source, log, |source| Ok(LiveRules::from(&DblessSettings::read(source)?)));
    let node =
        Dbless::new(url.clone(), &settings.admin, settings.store.max_config, clock).map_err(anyhow::Error::from)?;
    // A person has just started this: report a wrong address or version at once instead of trying again.
    let version = node.version(settings.version).await.map_err(anyhow::Error::from)?;
    let archive = Archive::open(&settings.store).map_err(anyhow::Error::from)?;

    info!(
        "lifeboat {}: keeping what the node at {url} runs (Kong {version}) in {}",
        crate::version::described(),
        archive.place()
    );
    let (newest, stop) = (Newest::without_a_link(), CancellationToken::new());
    // The node itself was asked what it runs, and by no link that may be cut off.
    let rules = Rules { doubt: Doubt::Nothing, ..settings.rules };
    let (plugins, origin) = (settings.plugins, judged::ConfigSource::node(url));
    let judge = Judge { archive: &archive, version, plugins: &plugins, accept: asked.accept.as_deref(), clock };
    let exporter = Exporter::new(archive.clone(), &BackupNode::new(version), rules, clock).electing(settings.election);
    let elsewhere = Archive::open_election(&settings.store).map_err(anyhow::Error::from)?;
    let exporter = exporter.electing_in(elsewhere);
    let exporter = exporter.mirrored_in(settings.store.others()).ruled_by(changer.rulebook());
    let mut exporting = tokio::spawn(exporter.run(newest.clone(), stop.clone()).in_current_span());
    let judged = async |found| judge.judged(&origin, found).await.map_err(|refused| refused.in_one_line());
    let mut following = pin!(node.follow(version, newest, judged));
    let ended = loop {
        tokio::select! {
            () = told.told() => break false,
            () = hangup.came() => changer.follow(reloader.reload().await),
            () = &mut following => break true,
            _ = &mut exporting => break true,
        }
    };
    if ended {
        return Err(anyhow::anyhow!("a part of lifeboat has ended unexpectedly").into());
    }

    info!("stopping");
    stop.cancel();
    exporting.await.map_err(anyhow::Error::from)?;
    Ok(())
}
