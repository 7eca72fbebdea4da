//! `lifeboat demo control-plane`: the rehearsal's control plane as a process of its own, to be killed and started again.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use bytes::Bytes;
use lifeboat_fakes::control_plane::{ControlPlane, ControlPlaneOptions, Event};
use lifeboat_fakes::recorded;
use lifeboat_link::tls::server_config_shared;

use super::credentials::{CERTIFICATE, made_or_there};
use super::{described, until_a_signal};
use crate::command::{Failure, stdout};

/// What it takes.
#[derive(Debug, clap::Args)]
pub struct ControlPlanePart {
    /// Where it listens for data planes
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9005")]
    pub listen: SocketAddr,
    /// Where the cluster certificate and its key lie: cluster.crt and cluster.key, made if there are none
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub folder: PathBuf,
    /// Which of the recorded configurations it sends
    #[arg(long, value_enum, default_value = "first")]
    pub sends: Recorded,
}

/// What a real control plane sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Recorded {
    /// A small configuration
    First,
    /// The same after a route was added
    Changed,
    /// What a control plane sends whose database was lost and made anew: almost nothing
    LostDatabase,
}

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
    let options = ControlPlaneOptions { address: part.listen, ..ControlPlaneOptions::new(tls) };
    let control_plane = ControlPlane::start(options).await;
    let control_plane = control_plane.with_context(|| format!("nothing can listen on {}", part.listen))?;
    control_plane.push(part.sends.message());
    stdout::line(&format!(
        "a control plane on {} sends {} to who shows {}",
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
        Event::HandshakeFailed(why) => Some(format!("somebody was turned away: {why}")),
        Event::Answered(status, path) => Some(format!("{path} was answered with {status}")),
        Event::Connected(node) => Some(format!("data plane {node} is connected")),
        Event::Refused(node, why) => Some(format!("data plane {node} was refused: {why}")),
        Event::PluginMissing(node, plugin) => Some(format!("data plane {node} lacks the plugin {plugin}")),
        Event::Sent(node, bytes) => Some(format!("data plane {node} was sent {bytes} bytes")),
        Event::Ping(node, hash) => Some(format!("data plane {node} runs {hash}")),
        Event::Hello(..) | Event::HungUp => None,
        Event::Disconnected(node, why) => Some(format!("data plane {node} is gone: {why}")),
    }
}
