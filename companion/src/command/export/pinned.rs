//! `lifeboat export --from … --pin`: an operator publishes a configuration of their own while the control plane is gone.

use anyhow::Context;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;
use tracing::warn;

use super::super::envelope::manifest_of;
use super::super::{Failure, stdout};
use super::judged::{self, Judge};
use crate::archive::{Archive, Emergency, Operator, Stay};
use crate::cli::{Export, Output};
use crate::config_source::{ConfigSource, Dbless, Found, read_file};
use crate::export::{BackupNode, mirror_once, prune_once};
use crate::settings::{DblessSettings, FileSettings, Reader, Source, StoreSettings};

/// What is to be published, and where.
struct Change {
    store: StoreSettings,
    version: KongVersion,
    plugins: Vec<String>,
    origin: judged::ConfigSource,
    found: Found,
}

/// Publishes what was asked for, as a new snapshot that stays.
pub(super) async fn export(source: &Source, asked: &Export, stay: Stay, clock: Clock) -> Result<(), Failure> {
    let Change { store, version, plugins, origin, found } = Change::read(source, &asked.from, clock).await?;
    let archive = Archive::open(&store).map(Operator::new).map_err(anyhow::Error::from)?;
    let judge = Judge { archive: &archive, version, plugins: &plugins, accept: asked.accept.as_deref(), clock };
    let received = judge.judged(&origin, found).await?;
    let author = BackupNode::new(version).author();
    let progress = step(format_args!("publishing configuration {} of Kong {version}", received.config_hash));
    let prepared = archive.prepare_to_write(&author).await;

    prepared.map_err(anyhow::Error::from).context("nothing was published")?;
    let done = archive.publish_pinned(&author, &received, stay, clock.wall()).await;
    let done = done.map_err(anyhow::Error::from).context("nothing was published")?;
    archive.look_again(version, &done.published).await.map_err(anyhow::Error::from)?;
    prune_once(&archive, version, clock).await;
    drop(progress);
    say(&archive, &done, stay, asked.output)?;
    let _progress = step("publishing it in the other stores");
    mirror_once(&archive, &store, &author).await;
    Ok(())
}

impl Change {
    async fn read(source: &Source, from: &ConfigSource, clock: Clock) -> Result<Self, Failure> {
        match from {
            ConfigSource::File(path) => {
                let FileSettings { store, version, plugins, .. } = FileSettings::read(source)?;
                let found = read_file(path, version, store.max_config, clock.wall()).await;
                let (found, origin) = (found.map_err(anyhow::Error::from)?, judged::ConfigSource::file(path));
                Ok(Self { store, version, plugins, origin, found })
            }
            ConfigSource::Dbless(url) => {
                let DblessSettings { store, version, plugins, admin, .. } = DblessSettings::read(source)?;
                let node = Dbless::new(url.clone(), &admin, store.max_config, clock).map_err(anyhow::Error::from)?;
                let version = node.version(version).await.map_err(anyhow::Error::from)?;
                let (_, found) = node.configuration(version).await.map_err(anyhow::Error::from)?;
                Ok(Self { store, version, plugins, origin: judged::ConfigSource::node(url), found })
            }
            ConfigSource::ControlPlane => {
                let mut reader = Reader::new(source);
                reader.wrong(
                    "--pin goes with --from file:PATH or --from dbless:URL; what the control plane has sent stays with \
                     `lifeboat pin`",
                );
                Err(Failure::Settings(reader.into_problems()))
            }
        }
    }
}

fn say(archive: &Archive, done: &Emergency, stay: Stay, output: Output) -> Result<(), Failure> {
    let (manifest, losses) = (&done.published.manifest, &done.losses);
    if !losses.losses().is_empty() {
        warn!("it has fewer of these entities than what was published before: {losses}");
    }
    let until = match stay {
        Stay::UntilItChanges => "until the control plane's configuration changes",
        Stay::UntilUnpinned => "until lifeboat unpin",
    };
    let text = match output {
        Output::Json => manifest_of("export", manifest),
        Output::Table => format!(
            "published configuration {} of Kong {} as snapshot {} in {}: {}, {}. New nodes are restored \
             from it {until}; nodes that are in an outage now take it up within 30 s where their relay has \
             LIFEBOAT_FOLLOW=on",
            manifest.config_hash,
            manifest.kong_version,
            manifest.sequence,
            archive.place(),
            manifest.counts.services(),
            manifest.counts.routes(),
        ),
    };

    Ok(stdout::line(&text).map_err(anyhow::Error::from)?)
}
