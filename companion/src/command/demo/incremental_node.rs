//! `lifeboat demo node --incremental-sync`: the fake data plane that connects to `/v2/outlet` only, as a process of its own.

use std::time::Duration;

use anyhow::anyhow;
use lifeboat_core::kong::counted;
use lifeboat_fakes::incremental::{IncrementalNode, IncrementalOptions, IncrementalState};
use lifeboat_link::tls::client_config_shared;
use lifeboat_runtime::clock::Clock;
use tokio::time::timeout;

use super::credentials::there;
use super::{Timeline, until_a_signal};
use crate::cli::NodePart;
use crate::command::Failure;
use crate::command::stopped::unless_stopped;

/// With `--once`, a node that has no configuration by then fails. One whose hello was answered late asks 30 s after its
/// start.
const LIMIT: Duration = Duration::from_secs(60);

/// Plays it until a signal, or until it runs a configuration.
pub(super) async fn play(part: &NodePart, clock: Clock) -> Result<(), Failure> {
    let identity = there(&part.folder)?;
    let options = IncrementalOptions {
        hostname: "demo".into(),
        ..IncrementalOptions::new(part.connect, client_config_shared(&identity))
    };
    let timeline = Timeline { clock };

    timeline.say(&format!(
        "an empty data plane with incremental sync starts, and connects to {} with {}",
        part.connect,
        counted(options.workers as u64, "worker")
    ))?;
    let node = IncrementalNode::start(options);
    if !part.once {
        return until_a_signal(tell(&node, &timeline, |_| false)).await;
    }

    // It has confirmed what it runs when it asks with that version.
    let confirmed = |state: &IncrementalState| state.ready() && state.asked().last() == Some(&(state.version() as f64));
    let configured = timeout(LIMIT, tell(&node, &timeline, confirmed));
    match unless_stopped(async { Ok(configured.await) }).await? {
        Ok(told) => told?,
        Err(_) => {
            let error = node.state().workers.into_iter().find_map(|worker| worker.last_error);
            let reason = error.map_or_else(String::new, |error| format!("; the last link: {error}"));
            return Err(anyhow!("no configuration came within {} s{reason}", LIMIT.as_secs()).into());
        }
    }
    node.stop().await;
    Ok(())
}

async fn tell(
    node: &IncrementalNode,
    timeline: &Timeline,
    is_enough: impl Fn(&IncrementalState) -> bool,
) -> anyhow::Result<()> {
    let (mut applied, mut told) = (0, 0);
    loop {
        let state = node.wait_for(|state| state.log.len() > told || is_enough(state)).await;
        // What it has applied is said with more words below.
        for line in state.log[told..].iter().filter(|line| !line.starts_with("applied")) {
            timeline.say(line)?;
        }
        told = state.log.len();
        if state.applied > applied {
            applied = state.applied;
            timeline.say(&format!("it runs {}", described(&state)))?;
        }
        if is_enough(&state) {
            return Ok(());
        }
    }
}

/// What it runs, in a line.
fn described(state: &IncrementalState) -> String {
    let count = |kind: &str| state.database.entities(kind).count() as u64;
    let (services, routes) = (counted(count("services"), "service"), counted(count("routes"), "route"));
    format!("{}: {services}, {routes}", state.hash())
}
