//! Thousands of data planes, and a control plane that only broadcasts, each in a process of its own, so that what is
//! measured of the program is the program's. Both are as cheap as can be: what behaves like Kong is `lifeboat_fakes`.

mod broadcaster;
mod forwarder;
mod nodes;
pub mod outage;
mod process;
mod wire;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use lifeboat_link::tls::Identity;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

pub use broadcaster::Broadcaster;
pub use forwarder::TlsForwarder;
pub use nodes::{Crowd, Seen};

const CROWD: &str = "crowd";
const BROADCASTER: &str = "broadcaster";
const FORWARDER: &str = "forwarder";

/// The files of the cluster's certificate and its key.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// PEM.
    pub certificate: &'a Path,
    /// PEM.
    pub key: &'a Path,
}

/// What a crowd of data planes does.
#[derive(Clone, Debug)]
pub struct CrowdOptions {
    /// Where they connect.
    pub to: SocketAddr,
    /// How many they are.
    pub nodes: usize,
    /// In what time they come, one after the other.
    pub within: Duration,
    /// What each says at first that it runs: 32 hex digits, zeros for nothing.
    pub runs: String,
    /// What it says after it was sent a message.
    pub adopts: String,
    /// Over which protocol they take it.
    pub by: By,
}

/// How nodes take their configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Over `/v1/outlet`.
    Outlet,
    /// Over `/v2/outlet`, by incremental sync, each with one connection.
    Sync,
}

impl CrowdOptions {
    fn to_json(&self, certificate: Certificate<'_>) -> Value {
        json!({
            "to": self.to, "nodes": self.nodes, "within": self.within.as_secs_f64(), "runs": self.runs,
            "adopts": self.adopts, "sync": self.by == By::Sync, "certificate": certificate.certificate, "key": certificate.key,
        })
    }

    fn from_json(options: &Value) -> Option<Self> {
        Some(Self {
            to: options["to"].as_str()?.parse().ok()?,
            nodes: options["nodes"].as_u64()? as usize,
            within: Duration::from_secs_f64(options["within"].as_f64()?),
            runs: options["runs"].as_str()?.to_owned(),
            adopts: options["adopts"].as_str()?.to_owned(),
            by: if options["sync"].as_bool()? { By::Sync } else { By::Outlet },
        })
    }
}

/// What a benchmark calls first: it is started again as one of these, and then its exit code is here.
pub fn is_part() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let (role, options) = (arguments.next()?, arguments.next()?);
    let options: Value = serde_json::from_str(&options).ok()?;
    match role.as_str() {
        CROWD => nodes::run(&options),
        BROADCASTER => broadcaster::run(&options),
        FORWARDER => forwarder::run(&options),
        _ => return None,
    }
    Some(ExitCode::SUCCESS)
}

/// What all processes of a machine read the same: nanoseconds of the monotonic clock.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A node, and the other end of its link, each need a file. The soft limit is often 1,024.
///
/// # Panics
/// When the hard limit is not enough.
pub fn may_open(files: u64) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a soft limit may be raised");
    assert!(maximum.is_none_or(|most| most >= files), "{files} open files are needed: ulimit -Hn is {maximum:?}");
}

fn identity(options: &Value) -> Identity {
    let read = |name: &str| std::fs::read(options[name].as_str().expect("a path")).expect("the certificate is there");
    Identity::from_pem(&read("certificate"), &read("key")).expect("it is one")
}
