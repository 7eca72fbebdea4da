//! `lifeboat demo node`: the rehearsal's data plane as a process of its own, born without a configuration.

use std::time::Duration;

use anyhow::{Context, anyhow};
use lifeboat_fakes::node::{Node, NodeOptions, NodeState};
use lifeboat_link::tls::client_config_shared;
use lifeboat_runtime::clock::Clock;
use tokio::time::timeout;

use super::credentials::there;
use super::{Timeline, described, until_a_signal};
use crate::cli::NodePart;
use crate::command::Failure;
use crate::command::stopped::unless_stopped;

/// With `--once`, a node that has no configuration by then fails: a relay waits 10 s for a silent control plane, and links that are
/// lost are tried again within 10 s.
const LIMIT: Duration = Duration::from_secs(60);

/// Plays it until a signal, or until it runs a configuration.
pub(super) async fn play(part: &NodePart, clock: Clock) -> Result<(), Failure> {
    let identity = there(&part.folder)?;
    let options =
        NodeOptions { hostname: "demo".into(), ..NodeOptions::new(part.connect, client_config_shared(&identity)) };
    let timeline = Timeline { clock };

    timeline.say(&format!("an empty data plane starts, and connects to {}", part.connect))?;
    let node = Node::start(options);
    if !part.once {
        return until_a_signal(tell(&node, &timeline, |_| false)).await;
    }
    let configured = timeout(LIMIT, tell(&node, &timeline, |state| state.configuration.is_some()));
    // The first process of a container gets no signal that it doesn't ask for.
    match unless_stopped(async { Ok(configured.await) }).await? {
        Ok(told) => told?,
        Err(_) => {
            let reason = node.state().last_error.map_or_else(String::new, |error| format!("; the last link: {error}"));
            return Err(anyhow!("no configuration came within {} s{reason}", LIMIT.as_secs()).into());
        }
    }

    // Its ping has told the relay what it runs, or will have within the second.
    let confirmed = node.wait_for(|state| state.confirmed.as_deref() == Some(state.hash()));
    let _ = timeout(Duration::from_secs(2), confirmed).await;
    node.stop().await;
    Ok(())
}

async fn tell(node: &Node, timeline: &Timeline, is_enough: impl Fn(&NodeState) -> bool) -> anyhow::Result<()> {
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
            let configuration = state.configuration.as_ref().context("what was applied is there")?;
            timeline.say(&format!("it runs {}", described(configuration)))?;
        }
        if is_enough(&state) {
            return Ok(());
        }
    }
}
