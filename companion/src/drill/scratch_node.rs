//! The empty node in this process. It is one of the rehearsal's cast, which knows Kong's protocol on its own: a mistake of
//! the relay's shows against it.

use std::time::Duration;

use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_fakes::incremental::{IncrementalNode, IncrementalOptions};
use lifeboat_fakes::node::{EMPTY_HASH, Node, NodeOptions, NodeState, Wrpc};
use lifeboat_link::tls::client_config_shared_with;
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use tokio::time::timeout;

use super::expected::Expected;
use super::outcome::{DrillFailure, Step};
use super::private_relay::PrivateRelay;
use crate::settings::DrillSettings;

/// How long a node may be without a configuration. The relay reads the snapshot once more meanwhile.
const RESTORE_LIMIT: Duration = Duration::from_secs(150);
/// How long it may wait for the answer to its ping.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Kong looks once in a second; that would be measured.
const POLL: Duration = Duration::from_millis(50);

/// What the node came to run.
pub(super) enum Runs {
    /// What was expected.
    Expected(Proof),
    /// Something of this hash.
    Another(String),
}

/// How long it took, and what the bytes are.
#[derive(Debug)]
pub(super) struct Proof {
    /// Until the node ran it.
    pub(super) running_in: Duration,
    /// Until the relay had answered the ping that said so.
    pub(super) confirmed_in: Duration,
    /// Kong's hash of the bytes; none where they can't be hashed.
    pub(super) computed_hash: Option<ConfigHash>,
}

/// Lets an empty node of this version be restored, and looks at what it was given.
pub(super) async fn restored(
    settings: &DrillSettings,
    relay: &PrivateRelay,
    version: KongVersion,
    expected: &Expected,
    clock: Clock,
) -> Result<Runs, DrillFailure> {
    let begun = clock.now();
    let node = Node::start(options(settings, relay, version));
    let runs = node.wait_for(|state| state.hash() != EMPTY_HASH || state.rejected > 0);
    let running = tokio::select! {
        running = timeout(RESTORE_LIMIT, runs) => running.map_err(|_| stayed_empty(&node.state(), version, clock.now() - begun)),
        trouble = relay.stuck() => Err(in_trouble(&trouble, version)),
    }?;

    let running_in = clock.now() - begun;
    let Some(configuration) = running.configuration else { return Err(could_not_load(&running, version)) };
    if configuration.hash != expected.config_hash().to_string() {
        return Ok(Runs::Another(configuration.hash));
    }

    // On a busy host, the ping may have been answered before this is reached.
    let answered = node.wait_for(|state| state.confirmed.as_ref() == Some(&configuration.hash));
    if timeout(ANSWER_LIMIT, answered).await.is_err() {
        return Err(not_answered(&node.state()));
    }
    let confirmed_in = clock.now() - begun;
    node.stop().await;

    let table = configuration.table;
    let (digest, computed_hash) = computed(move || {
        let digest = Sha256Digest::of(&table);
        (digest, Configuration::from_json_with_hashes(table).ok().map(|(_, hashes)| hashes.config))
    })
    .await;

    if digest != expected.config_sha256() {
        let reason = format!(
            "the node was given other bytes (SHA-256 {digest}) than those that were published ({})",
            expected.config_sha256()
        );
        return Err(DrillFailure::new(
            Step::Node,
            reason,
            "that should never happen: please report it, with lifeboat's version",
        ));
    }
    Ok(Runs::Expected(Proof { running_in, confirmed_in, computed_hash }))
}

/// Lets an empty node with incremental sync be restored, where this version has such nodes: how long it took, or why it was
/// not.
pub(super) async fn restored_by_sync(
    settings: &DrillSettings,
    relay: &PrivateRelay,
    version: KongVersion,
    clock: Clock,
) -> Option<Result<Duration, String>> {
    if version.is_enterprise() || version.major_minor() != (3, 9) {
        return None;
    }

    let begun = clock.now();
    let NodeOptions { hostname, version, max_payload, tls, .. } = options(settings, relay, version);
    let options =
        IncrementalOptions { hostname, version, max_payload, ..IncrementalOptions::new(relay.address(), tls) };
    let node = IncrementalNode::start(options);
    let restored = tokio::select! {
        restored = timeout(RESTORE_LIMIT, node.wait_for(|state| state.ready())) => match restored {
            Ok(_) => Ok(clock.now() - begun),
            Err(_) => Err(format!("it stayed empty for {} s", RESTORE_LIMIT.as_secs())),
        },
        trouble = relay.stuck() => Err(trouble),
    };
    node.stop().await;
    Some(restored)
}

fn options(settings: &DrillSettings, relay: &PrivateRelay, version: KongVersion) -> NodeOptions {
    let own = settings.cluster.control_plane.tls.side().identity;
    let tls = client_config_shared_with(&own, &settings.relay_identity());
    let asks_for_wrpc = version.major_minor() == (3, 0);
    NodeOptions {
        hostname: "lifeboat-drill".to_owned(),
        version: version.announced(),
        max_payload: usize::try_from(settings.cluster.control_plane.max_payload).unwrap_or(usize::MAX),
        wrpc: if asks_for_wrpc { Wrpc::AskedFirst } else { Wrpc::NotAsked },
        poll_interval: POLL,
        reconnect: Duration::from_millis(500)..Duration::from_secs(1),
        ..NodeOptions::new(relay.address(), tls)
    }
}

fn in_trouble(trouble: &str, version: KongVersion) -> DrillFailure {
    DrillFailure::new(
        Step::Node,
        format!("an empty node of Kong {version} is not restored: {trouble}"),
        "if the message is too long for it, raise KONG_CLUSTER_MAX_PAYLOAD here and cluster_max_payload on the data planes",
    )
}

fn stayed_empty(state: &NodeState, version: KongVersion, waited: Duration) -> DrillFailure {
    let why = state.last_error.as_deref().unwrap_or("it was connected and given nothing");
    DrillFailure::new(
        Step::Node,
        format!("an empty node of Kong {version} was not restored within {} s: {why}", waited.as_secs()),
        "LIFEBOAT_LOG=debug lifeboat drill shows what its relay does",
    )
}

fn could_not_load(state: &NodeState, version: KongVersion) -> DrillFailure {
    let why = state.log.iter().rev().find(|line| line.contains("running config")).cloned().unwrap_or_default();
    DrillFailure::new(
        Step::Node,
        format!("an empty node of Kong {version} could not load what it was given: {why}"),
        "that should never happen, since the snapshot verifies: please report it, with lifeboat's version",
    )
}

fn not_answered(state: &NodeState) -> DrillFailure {
    let why = state.last_error.as_deref().unwrap_or("its link stands");
    DrillFailure::new(
        Step::Node,
        format!("the relay did not answer the node's ping within {} s: {why}", ANSWER_LIMIT.as_secs()),
        "look at the load of this host; data planes give a link up after 45 s",
    )
}
