//! `lifeboat export`: one configuration, kept once, wherever it comes from; or all that a node without a database comes to
//! run, until a signal.

mod control_plane;
mod dbless;
mod image;
mod judged;
mod pinned;

use std::path::Path;

use lifeboat_core::export::Received;
use lifeboat_core::export::publisher::Rules;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_node_cache::NodePrefix;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;
use tracing::warn;

use self::judged::Judge;
use super::envelope::manifest_of;
use super::{Failure, stdout};
use crate::admin::Admin;
use crate::archive::{Archive, Stay};
use crate::cli::{Export, Output};
use crate::config_source::{ConfigSource, read_file};
use crate::export::{BackupNode, Exported, Exporter, NotKept, mirror_once, prune_once};
use crate::logging::Log;
use crate::settings::{AdminApi, FileSettings, Reader, Source, StoreSettings};

/// Keeps what was asked for.
pub async fn export(source: &Source, asked: &Export, log: &Log, clock: Clock) -> Result<(), Failure> {
    if asked.pin {
        let stay = if asked.hard { Stay::UntilUnpinned } else { Stay::UntilItChanges };
        return pinned::export(source, asked, stay, clock).await;
    }

    match (&asked.from, asked.watch) {
        (ConfigSource::Dbless(url), true) => dbless::watch(source, url, asked, log, clock).await,
        (ConfigSource::Dbless(url), false) => dbless::once(source, url, asked, clock).await,
        (_, true) => {
            let mut reader = Reader::new(source);
            reader.wrong(
                "--watch goes with --from dbless:URL; a control plane is followed by `lifeboat run --export on`",
            );
            Err(Failure::Settings(reader.into_problems()))
        }
        (ConfigSource::ControlPlane, false) => control_plane::export(source, asked.output, clock).await,
        (ConfigSource::File(path), false) => file(source, path, asked, clock).await,
    }
}

async fn file(source: &Source, path: &Path, asked: &Export, clock: Clock) -> Result<(), Failure> {
    let FileSettings { store, version, rules, plugins } = FileSettings::read(source)?;
    let found = read_file(path, version, store.max_config, clock.wall()).await.map_err(anyhow::Error::from)?;
    let archive = Archive::open(&store).map_err(anyhow::Error::from)?;
    let judge = Judge { archive: &archive, version, plugins: &plugins, accept: asked.accept.as_deref(), clock };
    let received = judge.judged(&judged::ConfigSource::file(path), found).await?;
    keep(Besides::default(), &store, &BackupNode::new(version), rules, &received, asked.output, clock).await
}

/// What is kept with a configuration, where there is such a thing.
#[derive(Default)]
struct Besides {
    /// The prefix of a node, of whose cache an image is kept.
    prefix: Option<NodePrefix>,
    /// The Admin API of the control plane, whose schemas are kept.
    admin: Option<AdminApi>,
}

/// Keeps a configuration, and what goes with it.
async fn keep(
    besides: Besides,
    store: &StoreSettings,
    node: &BackupNode,
    rules: Rules,
    received: &Received,
    output: Output,
    clock: Clock,
) -> Result<(), Failure> {
    let archive = &Archive::open(store).map_err(anyhow::Error::from)?;
    let progress = step(format_args!("keeping configuration {} of Kong {}", received.config_hash, node.version));
    let mut exporter = Exporter::new(archive.clone(), node, rules, clock);
    let mut exported = exporter.export(received).await.map_err(anyhow::Error::from)?;

    if let Some(api) = besides.admin
        && let Err(error) = keep_schemas(&mut exporter, &mut exported, &api).await
    {
        warn!(
            "the control plane's schemas for Kong {} are not kept: {error}. The configuration is kept all the same; what is \
             written by hand in an outage is checked only as far as open-source Kong's own schemas go",
            node.version
        );
    }

    if let Some(prefix) = besides.prefix
        && let Err(error) = image::keep(&mut exporter, &mut exported, prefix).await
    {
        warn!("the snapshot is kept without an image of the node's cache: {error:#}");
    }
    if exported.is_new() {
        prune_once(archive, node.version, clock).await;
    }

    drop(progress);
    print(archive, &exported, output)?;
    let _progress = step("keeping it in the other stores");
    mirror_once(archive, store, &node.author()).await;
    Ok(())
}

async fn keep_schemas(exporter: &mut Exporter, exported: &mut Exported, api: &AdminApi) -> Result<(), NotKept> {
    if let Some(named) = exporter.keep_schemas(&Admin::new(api)?).await? {
        *exported.manifest_mut() = named;
    }
    Ok(())
}

fn print(archive: &Archive, exported: &Exported, output: Output) -> anyhow::Result<()> {
    let manifest = exported.manifest();
    let form = match manifest.snapshot.sealed {
        Some(_) => "sealed, and no config.json".to_owned(),
        None => ObjectKeys::new(manifest.kong_version).config_json().to_string(),
    };

    match output {
        Output::Json => stdout::line(&manifest_of("export", manifest))?,
        Output::Table => stdout::line(&format!(
            "{} configuration {} of Kong {} as snapshot {} in {}: {}, {}, {} bytes of JSON ({form})",
            if exported.is_new() { "kept" } else { "already kept:" },
            manifest.config_hash,
            manifest.kong_version,
            manifest.sequence,
            archive.place(),
            manifest.counts.services(),
            manifest.counts.routes(),
            manifest.config.bytes,
        ))?,
    }
    Ok(())
}
