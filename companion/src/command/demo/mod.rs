//! `lifeboat demo`: an outage, rehearsed in one process. A fake control plane and a fake data plane speak Kong's protocol over
//! real sockets and mutual TLS, with data that a real Kong sent; keeping and restoring is the product's own.

mod control_plane;
mod credentials;
mod incremental_node;
mod node;

use std::future::Future;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::counted;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::storage_url::StorageUrl;
use lifeboat_fakes::certificate::{ClusterCertificate, Credentials};
use lifeboat_fakes::control_plane::{ControlPlane, ControlPlaneOptions};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::{Node, NodeOptions};
use lifeboat_fakes::recorded;
use lifeboat_link::tls::{Identity, client_config_shared, server_config_shared};
use lifeboat_runtime::clock::Clock;
use tokio::time::{sleep, timeout};

use super::stopped::Stop;
use super::{Failure, stdout};
use crate::archive::Archive;
use crate::cli::Actor;
use crate::companion::Companion;
use crate::settings::{RunSettings, Source, StoreSettings, check_names, names};

/// No step of a rehearsal takes longer: a link that was lost is tried again within 10 s.
const STEP_LIMIT: Duration = Duration::from_secs(30);
const VERSION: KongVersion = KongVersion::new(3, 9, 1);

/// Plays one actor, or rehearses an outage; that with `--storage` against that store, in a prefix of its own.
pub async fn demo(source: &Source, actor: Option<&Actor>, clock: Clock) -> Result<(), Failure> {
    match actor {
        Some(Actor::ControlPlane(part)) => control_plane::play(part).await,
        Some(Actor::Node(part)) if part.incremental_sync => incremental_node::play(part, clock).await,
        Some(Actor::Node(part)) => node::play(part, clock).await,
        None => whole(source, clock).await,
    }
}

async fn whole(source: &Source, clock: Clock) -> Result<(), Failure> {
    check_names(source)?;
    let folder = tempfile::tempdir().context("a temporary folder can't be made")?;
    let certificate = ClusterCertificate::version_1(SystemTime::now());
    source.note(names::KONG_CLUSTER_FALLBACK_CONFIG_STORAGE);
    let given = source.get(names::KONG_CLUSTER_FALLBACK_CONFIG_STORAGE.variable());
    let settings = match &given {
        Some(given) => in_own_prefix(source, &given.value),
        None => {
            vec![("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE".to_owned(), format!("file://{}", folder.path().display()))]
        }
    };

    let store_settings = StoreSettings::read_alone(&to_source(&settings))?;
    let timeline = Timeline { clock };
    let url = store_settings.url.clone();
    let store =
        if given.is_some() { format!("your store: {url}") } else { "a store in a folder of its own".to_owned() };
    let rehearsed = rehearse(&timeline, &certificate, settings, store_settings, &store).await;
    if given.is_some()
        && let Some(command) = clearing(&url)
    {
        timeline.say(&format!("what this demo wrote is left in your store; this removes it: {command}"))?;
    }
    rehearsed
}

/// The command that removes all below the demo's own prefix; none for memory, which is gone with this process.
fn clearing(url: &StorageUrl) -> Option<String> {
    match url {
        StorageUrl::S3 { .. } => Some(format!("aws s3 rm --recursive {url}/")),
        StorageUrl::Gcs { .. } => Some(format!("gcloud storage rm --recursive {url}/")),
        StorageUrl::Azure { account, container, prefix } => Some(format!(
            "az storage blob delete-batch --account-name {account} --source {container} --pattern '{prefix}/*'"
        )),
        StorageUrl::File { path } => Some(format!("rm -r '{path}'")),
        StorageUrl::Memory | StorageUrl::Ticket => None,
    }
}

async fn rehearse(
    timeline: &Timeline,
    certificate: &Credentials,
    mut settings: Vec<(String, String)>,
    store_settings: StoreSettings,
    store: &str,
) -> Result<(), Failure> {
    let identity = Identity::from_pem(certificate.certificate_pem.as_bytes(), certificate.key_pem.as_bytes())
        .context("the rehearsal's certificate")?;
    let server = server_config_shared(&[identity.leaf().der().clone()], &identity).context("the rehearsal's TLS")?;
    let control_plane = ControlPlane::start(ControlPlaneOptions::new(server)).await.context("the control plane")?;
    settings.extend(cluster_settings(certificate, &control_plane));
    let archive = Archive::open(&store_settings).context("the store")?;
    let run = RunSettings::read(&to_source(&settings))?;
    timeline.say(&format!("control plane on {}, {store}", control_plane.address()))?;

    control_plane.push(recorded::first());
    let companion = Companion::start(run, timeline.clock).await?;
    let relay = companion.relay_address().context("the relay was not started")?;
    timeline.say(&format!("lifeboat keeps what the control plane sends, and is a relay on {relay}"))?;
    kept(timeline, &archive, 1, &recorded::first()).await?;
    control_plane.push(recorded::after_change());
    kept(timeline, &archive, 2, &recorded::after_change()).await?;

    step("the control plane to stop", control_plane.stop()).await?;
    timeline.say("the control plane is gone: nothing answers at its address any more")?;
    let tls = client_config_shared(&identity);
    let started = timeline.clock.now();
    let node = Node::start(NodeOptions { hostname: "fresh-node".into(), ..NodeOptions::new(relay, tls) });
    timeline.say("a fresh data plane starts, empty, and connects to the relay")?;
    let expected = configuration(&recorded::after_change())?;
    step("the data plane to be restored", node.wait_for(|state| state.hash() == expected.hash)).await?;
    let took = timeline.clock.now() - started;
    ensure_same(&node, &expected)?;
    timeline.say(&format!(
        "restored in {} ms: it runs {}, {} bytes, byte for byte the control plane's",
        took.as_millis(),
        expected.hash,
        expected.table.len()
    ))?;

    control_plane.come_back().await.context("the control plane's return")?;
    timeline.say("the control plane is back; lost links are tried again within 5 to 10 s")?;
    let id = node.node_id().to_owned();
    step("the data plane to be linked", control_plane.wait_for(|scene| scene.node(&id).is_some())).await?;
    timeline.say("spliced: the control plane sees the data plane under its own id")?;
    control_plane.push(recorded::first());
    let changed = configuration(&recorded::first())?;
    step("the change to arrive", node.wait_for(|state| state.hash() == changed.hash)).await?;
    ensure_same(&node, &changed)?;
    let state = node.state();
    ensure_that(state.connections == 1, "the data plane had to connect again")?;
    timeline.say(&format!("a change made now arrives: it runs {}; its connection was never dropped", changed.hash))?;
    companion.stop().await;
    node.stop().await;
    timeline.say("done: a data plane that was born in the outage served the control plane's configuration")?;
    Ok(())
}

/// Waits until a message's configuration is published, and says so.
async fn kept(timeline: &Timeline, archive: &Archive, count: u64, message: &[u8]) -> anyhow::Result<()> {
    let sent = configuration(message)?;
    let hash: ConfigHash = sent.hash.parse().context("a recorded hash")?;
    let published = step("the configuration to be published", async {
        loop {
            // A store that can't be used is said by the exporter, in the log.
            if let Ok(Some(published)) = archive.published(VERSION).await
                && published.manifest.config_hash == hash
            {
                return published.manifest;
            }
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await?;
    let restored = archive.restore(VERSION).await?.verified.config_json()?;

    ensure!(restored == sent.table, "what is in the store is not what the control plane sent");
    timeline.say(&format!(
        "configuration {count} kept as snapshot {}: {} ({} bytes on the wire, {} of JSON, {} in the store)",
        published.sequence,
        sent.hash,
        message.len(),
        published.config.bytes,
        published.snapshot.bytes
    ))
}

fn ensure_same(node: &Node, expected: &Configuration) -> anyhow::Result<()> {
    ensure_that(
        node.configuration().as_ref() == Some(&expected.table),
        "the data plane's bytes are not the control plane's",
    )
}

fn ensure_that(condition: bool, otherwise: &'static str) -> anyhow::Result<()> {
    ensure!(condition, otherwise);
    Ok(())
}

async fn step<T>(what: &str, work: impl Future<Output = T>) -> anyhow::Result<T> {
    timeout(STEP_LIMIT, work).await.with_context(|| format!("waited {} s for {what}", STEP_LIMIT.as_secs()))
}

fn configuration(message: &[u8]) -> anyhow::Result<Configuration> {
    Configuration::from_message(message).context("a recorded message")
}

// Real backups may lie there: the rehearsal must not touch them. Memory has nothing in it and no prefixes.
fn in_own_prefix(source: &Source, storage: &str) -> Vec<(String, String)> {
    let prefix = match storage.trim().trim_end_matches('/') {
        "memory:" => storage.to_owned(),
        place => format!("{place}/lifeboat-demo-{}", uuid::Uuid::new_v4().simple()),
    };
    let mut settings = vec![("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE".to_owned(), prefix)];
    for name in StoreSettings::ACCESS {
        source.note(*name);
        for name in [name.to_string(), name.in_file()] {
            if let Some(given) = source.get(&name) {
                settings.push((name, given.value));
            }
        }
    }
    settings
}

fn cluster_settings(certificate: &Credentials, control_plane: &ControlPlane) -> Vec<(String, String)> {
    [
        ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "on".to_owned()),
        ("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "on".to_owned()),
        ("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", "0".to_owned()),
        ("KONG_VERSION", VERSION.to_string()),
        ("LIFEBOAT_CONTROL_PLANE", control_plane.address().to_string()),
        ("LIFEBOAT_RELAY_LISTEN", "127.0.0.1:0".to_owned()),
        ("KONG_CLUSTER_CERT", certificate.certificate_pem.clone()),
        ("KONG_CLUSTER_CERT_KEY", certificate.key_pem.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

fn to_source(settings: &[(String, String)]) -> Source {
    Source::from_environment(settings.iter().cloned())
}

/// A configuration in a line.
fn described(configuration: &Configuration) -> String {
    let table: serde_json::Value = serde_json::from_slice(&configuration.table).unwrap_or_default();
    let count = |entity: &str| table[entity].as_array().map_or(0, |list| list.len() as u64);
    let Configuration { hash, table: bytes } = configuration;
    let (services, routes) = (counted(count("services"), "service"), counted(count("routes"), "route"));
    format!("{hash}: {services}, {routes}, {} bytes", bytes.len())
}

/// Works until somebody wants it to end, which is no failure.
async fn until_a_signal(work: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    tokio::select! {
        done = work => Ok(done?),
        () = stop.told() => Ok(()),
    }
}

/// What happens, with the time since the beginning.
struct Timeline {
    clock: Clock,
}

impl Timeline {
    fn say(&self, what: &str) -> anyhow::Result<()> {
        let elapsed = self.clock.now() - lifeboat_core::time::Moment::default();
        stdout::line(&format!("{:>7.3} s  {what}", elapsed.as_secs_f64()))?;
        Ok(())
    }
}
