//! `lifeboat demo control-plane`: the rehearsal's control plane as a process of its own, to be killed and started again.

use anyhow::Context;
use bytes::Bytes;
use lifeboat_fakes::control_plane::{ControlPlane, ControlPlaneOptions, Event, Rpc};
use lifeboat_fakes::recorded;
use lifeboat_link::tls::server_config_shared;

use super::credentials::{CERTIFICATE, made_or_there};
use super::{described, until_a_signal};
use crate::cli::{ControlPlanePart, Recorded};
use crate::command::{Failure, stdout};

impl Recorded {
    fn message(self) -> Bytes {
        match self {
            Self::First => recorded::first(),
            Self::Changed => recorded::after_change(),
            Self::LostDatabase => recorded::lost_database(),
        }
    }
}

/// Plays it until a signal, and prints what data planes do.
pub(super) async fn play(part: &ControlPlanePart) -> Result<(), Failure> {
    let identity = made_or_there(&part.folder)?;
    let tls = server_config_shared(&[identity.leaf().der().clone()], &identity).context("the certificate")?;
    let rpc = if part.incremental_sync { Rpc::IncrementalSync } else { Rpc::Off };
    let options = ControlPlaneOptions { address: part.listen, rpc, ..ControlPlaneOptions::new(tls) };
    let control_plane = ControlPlane::start(options).await;
    let control_plane = control_plane.with_context(|| format!("nothing can listen on {}", part.listen))?;
    control_plane.push(part.sends.message());
    stdout::line(&format!(
        "a control plane on {} sends {} to data planes with {}",
        control_plane.address(),
        described(&super::configuration(&part.sends.message())?),
        part.folder.join(CERTIFICATE).display()
    ))
    .map_err(anyhow::Error::from)?;
    until_a_signal(tell(&control_plane)).await
}

async fn tell(control_plane: &ControlPlane) -> anyhow::Result<()> {
    let mut told = 0;
    loop {
        let scene = control_plane.wait_for(|scene| scene.events.len() > told).await;
        for line in scene.events[told..].iter().filter_map(in_words) {
            stdout::line(&line)?;
        }
        told = scene.events.len();
    }
}

fn in_words(event: &Event) -> Option<String> {
    match event {
        Event::HandshakeFailed(why) => Some(format!("a connection was refused: {why}")),
        Event::Answered(status, path) => Some(format!("{path} was answered with {status}")),
        Event::Connected(node) => Some(format!("data plane {node} is connected")),
        Event::Refused(node, why) => Some(format!("data plane {node} was refused: {why}")),
        Event::PluginMissing(node, plugin) => Some(format!("data plane {node} lacks the plugin {plugin}")),
        Event::Sent(node, bytes) => Some(format!("data plane {node} was sent {bytes} bytes")),
        Event::Ping(node, hash) => Some(format!("data plane {node} runs {hash}")),
        Event::Deltas { node, wipe: true, deltas } => {
            Some(format!("data plane {node} was sent all of a configuration, {deltas} entities"))
        }
        Event::Asked(node, version) => Some(format!("data plane {node} runs version {version}")),
        Event::Deltas { .. } | Event::Notified(..) | Event::Hello(..) | Event::HungUp => None,
        Event::Disconnected(node, why) => Some(format!("data plane {node} is gone: {why}")),
    }
}
